"""Bodies that kube-scheduler never sends: each is answered, in JSON, and a bind refuses them."""

import json

import pytest
from support.extender_world import World, a_bind, a_hold, a_member, a_raw_pod
from support.hostile_json import hostile_variants, strictly_read

from lws_placement.extender.app import build_calls
from lws_placement.extender.guard import Guard
from lws_placement.extender.members import Members

VICTIMS = {"n0": {"Pods": [{"UID": "uid-0"}], "NumPDBViolations": 0}}
BODIES = {
    "/members/bind": a_bind(),
    "/members/preempt": {"Pod": a_raw_pod(), "NodeNameToMetaVictims": VICTIMS},
    "/guard/filter": {"Pod": a_raw_pod(), "NodeNames": ["n0", "n9"]},
    "/guard/prioritize": {"Pod": a_raw_pod(), "NodeNames": ["n0", "n9"]},
    "/guard/preempt": {"Pod": a_raw_pod(), "NodeNameToMetaVictims": VICTIMS},
}

DECIDES = {key: a_bind()[key] for key in ("PodUID", "Node")}
"""The pod's name is only part of a path, and no name of an object has what a path could not."""


@pytest.mark.parametrize("path", BODIES)
async def test_whatever_is_in_place_of_a_value(path):
    whole = BODIES[path]
    answered = set()
    for name, body in hostile_variants(whole).items():
        world = World(a_member(), hold=a_hold())
        calls = build_calls(Members(world), Guard(world, guarded=("google.com/tpu",)))
        answer = await calls[path](body)
        assert len(answer) < 2 * len(body) + 2_000, name
        answered.add(str(strictly_read(answer))[:100])
        if path == "/members/bind" and not says(body, DECIDES):
            assert world.bindings == [], name
    assert len(answered) > 1 or path.endswith("/preempt")


def says(body, whole):
    """Whether it is JSON with these fields, and perhaps more; the last of duplicate keys counts."""
    try:
        read = json.loads(body)
    except (ValueError, RecursionError):
        return False
    return isinstance(read, dict) and read | whole == read
