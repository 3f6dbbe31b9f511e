"""kill -9 of the planner at every kind of write that anything depends on, before and after it took
effect.

That is against the real API server what `tests/planner/test_kills.py` does at every single write
against one in memory.
"""

from contextlib import contextmanager
from pathlib import Path

import pytest
from e2e.conftest import start
from e2e.dead_nodes import dead
from e2e.stack import MODEL
from e2e.test_ahead import no_pods
from e2e.test_failures import leader_of
from e2e.test_repair_groups import MOUNTED, a_claim, a_volume_in

_KILLABLE = Path(__file__).with_name("killable.py")


@pytest.fixture
def kill_at(scene):
    """A planner that leads and dies at its first write of a kind, and one that takes over then."""
    installed = scene.installation

    def arm(kind, when, *flags):
        for name in ("brain-b", "brain-a"):
            installed.stop_server(name)
        # A busy machine must not depose it before it is killed.
        program = (str(_KILLABLE), kind, when)
        start(installed, "mortal", "--lease-seconds=8", *flags, program=program)
        scene.wait(lambda: leader_of(scene) == "mortal", "it leads")
        start(installed, "brain-a", *flags)

    try:
        yield arm
        assert not installed.servers["mortal"].running, "it was killed at its write"
        scene.wait(lambda: leader_of(scene) == "brain-a", "the other one leads")
    finally:
        if "mortal" in installed.servers:
            installed.kill_server("mortal")
        for name in ("brain-a", "brain-b"):
            if name in installed.servers:
                installed.stop_server(name)  # it may have the flags of the test
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
    scene.create(never_ready(scene, size=4))
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


def never_ready(scene, size):
    """A set whose workers do not exist before somebody makes the leader ready."""
    lws = scene.lws(size=size, leader=MODEL, startupPolicy="LeaderReady")
    template = lws["spec"]["leaderWorkerTemplate"]["leaderTemplate"]
    template["metadata"] = {"annotations": {"simulate.lws-placement.dev/never-ready": "true"}}
    return lws


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


@BOTH
def test_a_planner_killed_while_it_forces_a_pod_off_a_dead_node(scene, kill_at, when):
    scene.pool(2)
    kill_at("force delete", when, "--force-delete-after=1")
    scene.create(scene.lws(size=3))
    whole(scene, 3)
    node = scene.node_of("llm-0-1")
    with dead(scene, node):
        scene.kubectl("delete", "pod", "llm-0-1", "--wait=false")
        scene.wait(lambda: node not in scene.nodes_in_use(), "nothing is on the dead node")
        whole(scene, 3)


@BOTH
def test_a_planner_killed_while_it_evicts_a_group_for_another(scene, kill_at, when):
    scene.pool(1)
    kill_at("evict pod", when)
    scene.create(scene.lws("low"))
    scene.wait_bound(4, "low")
    with a_priority(scene, 1000) as name:
        high = scene.lws("high")
        template = high["spec"]["leaderWorkerTemplate"]["workerTemplate"]
        template["spec"]["priorityClassName"] = name
        scene.create(high)
        scene.wait_bound(4, "high")
    assert scene.bound("low") == []
    assert scene.broken_promises() == []
    holders = [(h["lws"], h["state"]) for hold in scene.holds() for h in hold["holders"]]
    assert holders == [("high", "active")]


@contextmanager
def a_priority(scene, value):
    meta = {"name": f"{scene.namespace}-{value}"}
    kind = {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass"}
    scene.create({**kind, "metadata": meta, "value": value})
    try:
        yield meta["name"]
    finally:
        scene.kubectl("delete", "priorityclass", meta["name"], "--wait=false")


def test_a_planner_killed_before_it_wakes_a_pod(scene, other_scene, kill_at):
    """No pod of the group exists, so that nothing but us tells kube-scheduler of the room."""
    scene.pool(1)
    kill_at("wake pod", "before")
    scene.create(no_pods(scene))
    scene.create(scene.lws())
    scene.wait(lambda: scene.holds(), "the group holds the domain without a pod")
    foreign = other_scene.filler("", name="foreign")
    del foreign["spec"]["nodeName"]
    foreign["spec"]["nodeSelector"] = {"pool": scene.namespace}
    other_scene.create(foreign)
    other_scene.wait(lambda: "held" in why_unbound(other_scene, "foreign"), "it is kept off")
    scene.kubectl("delete", "lws", "llm", "--wait=false")
    other_scene.wait(lambda: other_scene.node_of("foreign"), "it has the room")


def why_unbound(scene, pod):
    conditions = scene.one("pod", pod)["status"].get("conditions", [])
    return " ".join(c.get("message", "") for c in conditions if c["type"] == "PodScheduled")


def test_a_planner_killed_when_it_has_noted_that_a_domain_refused_a_group(scene, kill_at):
    scene.pool(2)
    kill_at("remember troubles", "after")
    scene.create(a_volume_in(scene, "n01"), a_claim(scene))
    scene.create(scene.lws(size=3, pod=MOUNTED))
    scene.wait(lambda: scene.places() == {("llm", "0"): {"n01"}}, "it is where its volume is")
    whole(scene, 3)
