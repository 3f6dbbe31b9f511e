"""kill -9 of the planner at every kind of write that it makes (`write_kinds.py`), before it took
effect and after: each story ends as it would have.

That is against the real API server what `tests/planner/test_kills.py` does at every single write
against one in memory.
"""

import json
from contextlib import contextmanager

from e2e.dead_nodes import dead
from e2e.failing import ATTACHING, fail_a_worker, users_of_the_disk
from e2e.group_facts import by_subgroup, no_pods
from e2e.mortals import BOTH, LEASES, states, whole
from e2e.node_groups import growing, placeholders
from e2e.stack import LWS, MODEL
from support.write_kinds import Kind

from lws_placement.engine.base import keys


def failures(scene):
    """What is remembered of groups: domain -> how many refusals in a row, domain -> failures."""
    found = scene.cluster.api.items(LEASES, labelSelector=f"{keys.HOLD_LABEL}=troubles")
    bodies = [json.loads(lease["metadata"]["annotations"][keys.TROUBLES]) for lease in found]
    refused = {r["domain"]: r["times"] for body in bodies for r in body["refused"]}
    return refused, {f["domain"]: len(f["at"]) for body in bodies for f in body["failed"]}


# -- placing ---------------------------------------------------------------------------------------


@BOTH
def test_while_a_group_is_placed_and_its_hold_ends(scene, kill_at, when):
    """The leader is there before the nodes: planned ahead, no pod would have to be pinned."""
    kill_at(when, Kind.CREATE_HOLD, Kind.PIN_POD, Kind.LEAVE_HOLD, Kind.END_HOLD)
    scene.create(scene.lws())
    scene.wait(lambda: scene.gated("llm-0"), "the leader waits")
    scene.pool(2)
    whole(scene, 4)
    scene.kubectl("delete", "lws", "llm", "--wait=false")
    scene.wait(lambda: not scene.holds() and not scene.members(), "nothing is left")


@BOTH
def test_while_subgroups_are_placed(scene, kill_at, when):
    """Two holds that count together."""
    kill_at(when, Kind.CREATE_PART)
    notes = {f"{LWS}/subgroup-exclusive-topology": scene.key}
    lws = scene.lws(size=4, exclusive=False, annotations=notes)
    lws["spec"]["leaderWorkerTemplate"]["subGroupPolicy"] = {"subGroupSize": 2}
    scene.pool(3, 2)
    scene.create(lws)
    scene.wait_bound(4)
    scene.wait(lambda: states(scene) == ["active", "active"], "one promise of two holds")
    one, other = by_subgroup(scene).values()
    assert len(one) == len(other) == 1
    assert one != other


@BOTH
def test_while_a_group_that_waits_is_told_why_and_let_go(scene, kill_at, when):
    kill_at(when, Kind.WRITE_CONDITION, Kind.RELEASE_POD)
    scene.pool(1, nodes_each=2)
    scene.create(scene.lws(size=4))
    scene.wait(
        lambda: keys.CONDITION in annotations_of(scene, "llm-0"), "the leader carries the reason"
    )
    scene.kubectl("annotate", "lws", "llm", f"{keys.MANAGED}=false")
    scene.wait(lambda: len(scene.bound()) == 2, "the two that fit run")
    assert not any(scene.gated(p["metadata"]["name"]) for p in scene.members())
    assert keys.CONDITION not in annotations_of(scene, "llm-0")
    assert scene.holds() == []


def annotations_of(scene, pod):
    found = [p["metadata"] for p in scene.members() if p["metadata"]["name"] == pod]
    return found[0].get("annotations", {}) if found else {}


@BOTH
def test_while_nodes_are_requested_for_a_group(scene, kill_at, when):
    kill_at(when, Kind.REQUEST_NODE, Kind.END_REQUEST)
    with growing(scene, 1) as autoscaler:
        scene.create(scene.lws())
        whole(scene, 4)
    assert len(autoscaler.made) == 4
    scene.wait(lambda: not placeholders(scene), "no placeholder is left")


@BOTH
def test_while_nodes_are_kept_from_an_autoscaler_and_let_go(scene, kill_at, when):
    """Those of workers that do not exist before their leader is ready."""
    kill_at(when, Kind.KEEP_NODE, Kind.LET_NODE_GO)
    nodes = scene.pool(1)
    scene.create(never_ready(scene, size=4))
    scene.wait(lambda: scene.bound(), "the leader is bound")
    empty = {*nodes} - {scene.node_of("llm-0")}
    scene.wait(lambda: kept(scene) == empty, "the nodes of its workers are kept")
    make_ready(scene)
    whole(scene, 4)
    scene.wait(lambda: not kept(scene), "they are let go")


def kept(scene):
    """Nodes that carry all that keeps them; it goes as a whole."""
    nodes = [n["metadata"] for n in scene.get("nodes", labels=f"pool={scene.namespace}")]
    notes = {meta["name"]: meta.get("annotations", {}) for meta in nodes}
    ours = {keys.KEPT, *keys.KEEPS_NODE}
    found = {name for name in notes if ours & notes[name].keys()}
    assert all(ours <= notes[name].keys() for name in found)
    return found


# -- repair ----------------------------------------------------------------------------------------


@BOTH
def test_while_a_pinned_pod_is_replaced(scene, kill_at, when):
    """A worker: a leader that is replaced takes its workers with it, as one that restarts does."""
    scene.pool(2)
    kill_at(when, Kind.REPLACE_HOLD, Kind.REPLACE_POD)
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
def test_while_a_half_bound_group_is_moved(scene, kill_at, when):
    """The room of a worker is taken while the leader runs."""
    scene.pool(2)
    kill_at(when, Kind.LEAVE_HOLD, Kind.RESTART_GROUP)
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
def test_while_a_pod_is_forced_off_a_dead_node(scene, kill_at, when):
    scene.pool(2)
    kill_at(when, Kind.FORCE_DELETE)
    scene.create(scene.lws(size=3))
    whole(scene, 3)
    node = scene.node_of("llm-0-1")
    with dead(scene, node):
        scene.kubectl("delete", "pod", "llm-0-1", "--wait=false")
        scene.wait(lambda: node not in scene.nodes_in_use(), "nothing is on the dead node")
        whole(scene, 3)


@BOTH
def test_while_it_is_noted_and_forgotten_that_a_domain_refused_a_group(scene, kill_at, when):
    scene.pool(2)
    kill_at(when, Kind.REMEMBER_TROUBLES, Kind.FORGET_TROUBLES)
    scene.create(*users_of_the_disk(scene, "n00"))
    scene.create(scene.lws(size=3, pod=ATTACHING))
    scene.wait(lambda: scene.places() == {("llm", "0"): {"n01"}}, "it is where its disk is free")
    whole(scene, 3)
    assert failures(scene) == ({"n00": 2}, {}), "two nodes were tried, then too few were left"
    scene.kubectl("delete", "lws", "llm", "--wait=false")
    scene.wait(lambda: failures(scene) == ({}, {}), "nothing is remembered of what is no more")


@BOTH
def test_while_it_is_noted_that_a_node_failed_under_a_group(scene, kill_at, when):
    """The failed pod is gone when the other replica leads, which has seen it while it stood by."""
    scene.pool(2)
    kill_at(when, Kind.REMEMBER_TROUBLES)
    scene.create(scene.lws(size=3))
    whole(scene, 3)
    before, (used,) = scene.uids(), scene.places()[("llm", "0")]
    fail_a_worker(scene)
    scene.wait(lambda: not before & scene.uids(), "all pods are new")
    whole(scene, 3)
    scene.wait(lambda: failures(scene) == ({}, {used: 1}), "it is remembered")


# -- preemption ------------------------------------------------------------------------------------


@BOTH
def test_while_a_group_is_evicted_for_another(scene, kill_at, when):
    scene.pool(1)
    kill_at(when, Kind.ANNOUNCE_HOLD, Kind.EVICT_POD)
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


def test_before_a_pod_is_woken(scene, other_scene, kill_at):
    """No pod of the group exists, so that nothing but us tells kube-scheduler of the room."""
    scene.pool(1)
    kill_at("before", Kind.WAKE_POD)
    scene.create(no_pods(scene))
    scene.create(scene.lws())
    scene.wait(lambda: scene.holds(), "the group holds the domain without a pod")
    foreign = other_scene.filler("", name="foreign")
    del foreign["spec"]["nodeName"]
    foreign["spec"]["nodeSelector"] = {"pool": scene.namespace}
    other_scene.create(foreign)
    other_scene.wait(lambda: "held" in why_unbound(other_scene, "foreign"), "it is kept off")
    scene.kubectl("delete", "lws", "llm", "--wait=false")
    scene.wait(lambda: other_scene.node_of("foreign"), "it has the room")


def why_unbound(scene, pod):
    conditions = scene.one("pod", pod)["status"].get("conditions", [])
    return " ".join(c.get("message", "") for c in conditions if c["type"] == "PodScheduled")
