"""kill -9 of controller and extender at every kind of write that they make (`write_kinds.py`),
before it took effect and after: each story ends as it would have.

That is against the real API server what `tests/controller/test_rollout_kills.py` does at every
single write against one in memory.
"""

import pytest
from e2e.mortals import BOTH, states, whole
from e2e.rollouts import images, is_done, revisions, rollout, set_image
from support.write_kinds import Kind

from lws_placement.engine.base import keys

# -- the extender --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def mortal_gates(mortals):
    mortals.become("gate-a", "gate-b")


@BOTH
@pytest.mark.usefixtures("mortal_gates")
def test_while_a_pod_is_bound(scene, kill_at, when):
    """kube-scheduler gets no answer, and asks the other replica."""
    scene.pool(2)
    kill_at(when, Kind.BIND_POD)
    scene.create(scene.lws())
    whole(scene, 4)


# -- the controller ------------------------------------------------------------------------------

FIRST, SECOND = "registry.example.com/model", "registry.example.com/model:2"
CREATED = (
    Kind.CREATE_REVISION,
    Kind.APPLY_LEADER_SET,
    Kind.CREATE_SERVICE,
    Kind.WRITE_STATUS,
    Kind.CREATE_WORKERS,
)
UPDATED = (Kind.SAY_NO_ROOM, Kind.SET_ASIDE, Kind.DELETE_REVISION)
RESTARTED = (Kind.NOTE_RESTART, Kind.RESTART_GROUP)


@BOTH
def test_in_the_life_of_a_leader_worker_set(scene, kill_at, when):
    """Created, updated while there is no room for a surge group, taken back; a worker is lost."""
    scene.pool(2, 2)
    kill_at(when, *CREATED)
    budget = {keys.RESTART_BUDGET: "3"}
    scene.create(scene.lws(replicas=2, size=2, annotations=budget, **rollout(1, surge=1)))
    ends_as(scene, FIRST, set_aside=0)
    kill_at(when, *UPDATED)
    set_image(scene, SECOND)
    ends_as(scene, SECOND, set_aside=1)
    kill_at(when, Kind.TRIM_HISTORY)
    set_image(scene, FIRST)
    ends_as(scene, FIRST, set_aside=1)
    before = scene.uids()
    kill_at(when, *RESTARTED)
    scene.kubectl("delete", "pod", "llm-1-1", "--wait=false")
    scene.wait(lambda: len(scene.uids() - before) == 2 == len(scene.uids() & before), "it is new")
    ends_as(scene, FIRST, set_aside=1)


@BOTH
def test_while_it_tells(scene, kill_at, when):
    """At that alone: what a process did not live to tell for another reason, nobody tells."""
    scene.pool(2)
    kill_at(when, Kind.TELL)
    scene.create(scene.lws())
    whole(scene, 4)


def ends_as(scene, image, *, set_aside):
    want = {
        "images": {0: [image], 1: [image]},
        "domains": [["n00"], ["n01"]],
        "holds": ["active", "active"],
        "gated": [],
        "sets": ["llm", "llm-0", "llm-1"],
        "services": ["llm"],
        "revisions": 1,
        "set aside": set_aside,
    }
    scene.wait(lambda: is_done(scene, 2), "all groups are updated")
    scene.wait(lambda: outcome(scene) == want, f"it is {want}")


def outcome(scene):
    """What must not depend on what happened on the way."""
    names = {kind: [o["metadata"]["name"] for o in scene.get(kind)] for kind in ("sts", "services")}
    return {
        "images": images(scene),
        "domains": sorted(map(sorted, scene.places().values())),
        "holds": states(scene),
        "gated": [
            p["metadata"]["name"] for p in scene.members() if p["spec"].get("schedulingGates")
        ],
        "sets": names["sts"],
        "services": names["services"],
        "revisions": len(revisions(scene)),
        "set aside": len(scene.get("controllerrevisions", labels=f"{keys.HISTORY_OF}=llm")),
    }
