"""The entry for foreign pods: what it keeps them off, where it steers them, whom it spares."""

import json
from dataclasses import replace

import pytest
from support.extender_world import GROUP, KEY, TPU, World, a_hold, a_member, a_raw_pod, call

from lws_placement.engine.model.exclusivity import Claim
from lws_placement.engine.model.groups import GroupId
from lws_placement.engine.model.hold_states import HoldState
from lws_placement.engine.model.pods import Pod
from lws_placement.engine.model.snapshot import DomainView, NodeView
from lws_placement.engine.objects.nodes import DomainName, Node
from lws_placement.extender.wire import Priorities


async def test_the_guard_keeps_foreign_pods_off_held_room():
    world = World(hold=a_hold())
    body = {"Pod": a_raw_pod(), "Nodes": None, "NodeNames": ["n0", "n9"]}
    answer = await call(world, "/guard/filter", body)
    assert answer["NodeNames"] == ["n9"]
    assert list(answer["FailedAndUnresolvableNodes"]) == ["n0"]


async def test_room_that_the_hold_does_not_need_is_free_for_all():
    bound = World(a_member(0, node="n0"), a_member(1, node="n1"), hold=a_hold())
    body = {"Pod": a_raw_pod(), "NodeNames": ["n0", "n1"]}
    assert (await call(bound, "/guard/filter", body))["NodeNames"] == ["n0", "n1"]
    roomy = World(hold=a_hold(), free=8)
    assert (await call(roomy, "/guard/filter", body))["NodeNames"] == ["n0", "n1"]


async def test_room_that_is_kept_for_a_foreign_pod_is_free_for_that_pod():
    own = GroupId.of_pod("ns", "f", "u")
    kept = a_hold(group=own, state=HoldState.COMING, nodes={0: "n0"}, demands={0: TPU})
    body = {"Pod": a_raw_pod(), "NodeNames": ["n0"]}
    assert (await call(World(hold=kept), "/guard/filter", body))["NodeNames"] == ["n0"]
    another = replace(kept, group=GroupId.of_pod("ns", "g", "v"))
    assert (await call(World(hold=another), "/guard/filter", body))["NodeNames"] == []


async def test_a_guest_stays_out_of_held_domains():
    guest = a_raw_pod("0", **{"lws-placement.dev/guest": "0"})
    body = {"Pod": guest, "NodeNames": ["n0", "n9"]}
    assert (await call(World(hold=a_hold()), "/guard/filter", body))["NodeNames"] == ["n9"]


async def test_members_pass_the_guard_untouched():
    member = a_raw_pod(**{"lws-placement.dev/member": "0"})
    body = {"Pod": member, "NodeNames": ["n0"]}
    assert (await call(World(hold=a_hold()), "/guard/filter", body))["NodeNames"] == ["n0"]


async def test_no_member_is_ever_a_victim():
    foreign = Pod("ns", "f", "uid-f", "1", 0.0, TPU, node="n9")
    world = World(a_member(node="n0"), foreign, hold=a_hold())
    victims = {
        "n0": {"Pods": [{"UID": "uid-0"}], "NumPDBViolations": 0},
        "n9": {"Pods": [{"UID": "uid-f"}], "NumPDBViolations": 1},
        "n8": {"Pods": [{"UID": "never seen"}], "NumPDBViolations": 0},
    }
    body = {"Pod": a_raw_pod(), "NodeNameToVictims": None, "NodeNameToMetaVictims": victims}
    assert await call(world, "/guard/preempt", body) == {
        "NodeNameToMetaVictims": {"n9": {"Pods": [{"UID": "uid-f"}], "NumPDBViolations": 1}}
    }
    assert await call(world, "/members/preempt", body) == {"NodeNameToMetaVictims": {}}


def a_domain(value, *free, key=KEY, **owners):
    """Nodes `<value>-0`, `<value>-1`, ... of 4 chips, with so many free."""
    nodes = tuple(
        NodeView(Node(f"{value}-{i}", {key: value}, {"google.com/tpu": 4}), {"google.com/tpu": n})
        for i, n in enumerate(free)
    )
    return DomainView(DomainName(key, value), nodes, **owners)


async def prioritize(world, *nodes, pod=None):
    body = {"Pod": pod or a_raw_pod(), "Nodes": None, "NodeNames": list(nodes)}
    answer = await call(world, "/guard/prioritize", body)
    assert isinstance(answer, list)
    assert all(set(entry) == {"Host", "Score"} for entry in answer)
    assert all(type(e["Score"]) is int and 0 <= e["Score"] <= 10 for e in answer)
    return {entry["Host"]: entry["Score"] for entry in answer}


async def test_foreign_pods_are_steered_to_what_is_broken_most():
    world = World(
        domains=[
            a_domain("whole", 4, 4),
            a_domain("held", 8, 8, holders=frozenset({Claim(GROUP)})),
            a_domain("broken", 4, 4, 4, 0),
            a_domain("ruined", 4, 0, 0, 0),
            a_domain("crumbs", 4, 3),
        ]
    )
    asked = ("whole-0", "held-0", "broken-0", "ruined-0", "nowhere", "whole-1")
    scores = await prioritize(world, *asked)
    order = sorted(asked, key=lambda node: scores.get(node, 0))
    assert order == ["whole-0", "whole-1", "held-0", "broken-0", "ruined-0", "nowhere"]
    assert "whole-0" not in scores, "a node that is left out counts as 0"
    pod = a_raw_pod("3")
    fill = await prioritize(world, "crumbs-0", "crumbs-1", pod=pod)
    assert fill["crumbs-1"] > fill["crumbs-0"], "the node that it fills comes first"


async def test_a_node_in_two_domains_counts_as_the_better_kept_one():
    rack = a_domain("slice", 4, 4, key="example.com/rack")
    broken = DomainView(DomainName(KEY, "b"), (*rack.nodes, *a_domain("x", 0).nodes))
    assert await prioritize(World(domains=[rack, broken]), "slice-0", "slice-1") == {}


async def test_members_and_worlds_that_are_not_sure_have_no_opinion():
    world = World(domains=[a_domain("broken", 4, 0), a_domain("whole", 4, 4)])
    member = a_raw_pod(**{"lws-placement.dev/member": "0"})
    assert await prioritize(world, "broken-0", "whole-0", pod=member) == {}
    assert await prioritize(World(), "n0", "n9") == {}, "no key is in use"
    world.synced = False
    assert await prioritize(world, "broken-0", "whole-0") == {}
    for body in (b"", b"null", b'{"Pod": {}}', b'{"Pod": {"spec": 3}, "NodeNames": ["a", "b"]}'):
        assert await call(world, "/guard/prioritize", body) == []


async def test_a_guest_shares_a_domain_that_a_guest_has_shut_already():
    guest = a_raw_pod("0", **{"lws-placement.dev/guest": "0"})
    shut = a_domain("shut", 4, 4, occupants=frozenset({Claim(GROUP)}))
    world = World(domains=[a_domain("whole", 4, 4), shut])
    assert list(await prioritize(world, "whole-0", "shut-0", pod=guest)) == ["shut-0"]


@pytest.mark.parametrize("name", ['a"b', "a\\b", "a\nb", "\ud800", "n0"])
def test_scores_are_json_whatever_a_caller_names_nodes(name):
    assert json.loads(Priorities(scores={name: 3}).to_json()) == [{"Host": name, "Score": 3}]
