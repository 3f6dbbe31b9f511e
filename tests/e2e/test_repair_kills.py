"""kill -9 of the planner at every kind of write that it makes, before and after it took effect.

That is against the real API server what `tests/planner/test_kills.py` does at every single write
against one in memory.
"""

from pathlib import Path

import pytest
from e2e.conftest import start
from e2e.stack import MODEL
from e2e.test_failures import leader_of

_KILLABLE = Path(__file__).with_name("killable.py")


@pytest.fixture
def kill_at(scene):
    """A planner that leads and dies at its first write of a kind, and one that takes over then."""
    installed = scene.installation

    def arm(kind, when):
        for name in ("brain-b", "brain-a"):
            installed.stop_server(name)
        # A busy machine must not depose it before it is killed.
        start(installed, "mortal", "--lease-seconds=8", program=(str(_KILLABLE), kind, when))
        scene.wait(lambda: leader_of(scene) == "mortal", "it leads")
        start(installed, "brain-a")

    try:
        yield arm
        assert not installed.servers["mortal"].running, "it was killed at its write"
        scene.wait(lambda: leader_of(scene) == "brain-a", "the other one leads")
    finally:
        if "mortal" in installed.servers:
            installed.kill_server("mortal")
        for name in ("brain-a", "brain-b"):
            if name not in installed.servers:
                start(installed, name)


def whole(scene, number):
    """Reached without a promise broken on the way."""

    def looked():
        assert scene.broken_promises() == []
        pods = scene.members()
        there = [p for p in pods if p["spec"].get("nodeName") and not _goes(p)]
        return len(there) == len(pods) == number

    scene.wait(looked, f"{number} members are bound")
    scene.wait(lambda: [h["holders"][0]["state"] for h in scene.holds()] == ["active"], "one hold")


def _goes(pod):
    return "deletionTimestamp" in pod["metadata"]


BOTH = pytest.mark.parametrize("when", ["before", "after"])


@BOTH
@pytest.mark.parametrize("kind", ["create hold", "pin pod"])
def test_a_planner_killed_while_it_places(scene, kill_at, kind, when):
    """The leader is there before the nodes: planned ahead, no pod would have to be pinned."""
    kill_at(kind, when)
    scene.create(scene.lws())
    scene.wait(lambda: scene.gated("llm-0"), "the leader waits")
    scene.pool(2)
    whole(scene, 4)


@BOTH
@pytest.mark.parametrize("kind", ["replace hold", "replace pod"])
def test_a_planner_killed_while_it_replaces_a_pinned_pod(scene, kill_at, kind, when):
    """A worker: a leader that is replaced takes its workers with it, as one that restarts does."""
    scene.pool(2)
    kill_at(kind, when)
    scene.cluster.stop_scheduler()
    try:
        scene.create(scene.lws(size=3))
        node = scene.wait(lambda: scene.pin("llm-0-1"), "the worker is pinned")
        scene.kubectl("cordon", node)
        scene.wait(lambda: scene.pin("llm-0-1") not in ("", node), "it has another node")
    finally:
        scene.installation.start_scheduler()
    whole(scene, 3)


@BOTH
@pytest.mark.parametrize("kind", ["leave hold", "restart group"])
def test_a_planner_killed_while_it_moves_a_half_bound_group(scene, kill_at, kind, when):
    """The room of a worker is taken while the leader runs."""
    scene.pool(2)
    kill_at(kind, when)
    lws = scene.lws(size=4, leader=MODEL, startupPolicy="LeaderReady")
    template = lws["spec"]["leaderWorkerTemplate"]["leaderTemplate"]
    template["metadata"] = {"annotations": {"simulate.lws-placement.dev/never-ready": "true"}}
    scene.create(lws)
    scene.wait(lambda: scene.bound(), "the leader is bound")
    used = scene.node_of("llm-0")
    old = scene.domain_of(used)
    free = [n for n in scene.nodes if scene.domain_of(n) == old and n != used]
    scene.create(scene.filler(free[0]))
    make_ready(scene)
    scene.wait(lambda: old not in {d for ds in scene.places().values() for d in ds}, "it left")
    scene.wait(lambda: scene.bound(), "the new leader is bound")
    make_ready(scene)
    whole(scene, 4)


def make_ready(scene):
    scene.kubectl("annotate", "pod", "llm-0", "simulate.lws-placement.dev/never-ready-")


@BOTH
@pytest.mark.parametrize("kind", ["leave hold", "end hold"])
def test_a_planner_killed_while_it_ends_a_hold(scene, kill_at, kind, when):
    scene.pool(1)
    kill_at(kind, when)
    scene.create(scene.lws())
    whole(scene, 4)
    scene.kubectl("delete", "lws", "llm", "--wait=false")
    scene.wait(lambda: not scene.holds() and not scene.members(), "nothing is left")
