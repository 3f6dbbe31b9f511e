"""What becomes of a group when its room, its pods or its LeaderWorkerSet change under it (P3)."""

import json
from contextlib import contextmanager

import pytest
from e2e.failing import (
    ATTACHING,
    fail_a_worker,
    patch,
    refuse_everywhere,
    users_of_the_disk,
)
from e2e.mortals import goes
from e2e.stack import CHIPS, LWS, MODEL
from e2e.verbs import ask

GROUP = ("llm", "0")


def domain(scene, lws="llm"):
    (found,) = scene.places()[(lws, "0")]
    return found


def annotate(scene, value):
    patch(scene, "lws", "llm", {"metadata": {"annotations": {f"{LWS}/exclusive-topology": value}}})


def resize(scene, size):
    patch(scene, "lws", "llm", {"spec": {"leaderWorkerTemplate": {"size": size}}})


# -- the room is taken ---------------------------------------------------------------------------


@pytest.mark.upstream_too
@pytest.mark.parametrize("fillers", [1, 2])
def test_a_foreign_pod_that_got_the_room_first_costs_a_node_or_the_domain(pinned, fillers):
    """Bound past extender and scheduler, as a static pod is: a spare node serves, else a move."""
    taken = pinned.pin("llm-0")
    old = pinned.domain_of(taken)
    others = [n for n in pinned.nodes if pinned.domain_of(n) == old and n != taken]
    pinned.create(*[pinned.filler(n) for n in [taken, *others][:fillers]])
    pinned.wait(lambda: pinned.pin("llm-0") not in ("", taken), "it is pinned to another node")
    pinned.installation.start_scheduler()
    pinned.wait_bound(3)
    assert (domain(pinned) == old) == (fillers == 1)
    assert pinned.broken_promises() == []


@pytest.mark.upstream_too
def test_a_half_bound_group_whose_room_is_taken_is_moved_whole(scene):
    scene.pool(2)
    lws = scene.lws(size=4, leader=MODEL, startupPolicy="LeaderReady")
    template = lws["spec"]["leaderWorkerTemplate"]["leaderTemplate"]
    template["metadata"] = {"annotations": {"simulate.lws-placement.dev/never-ready": "true"}}
    scene.create(lws)
    scene.wait(lambda: scene.bound(), "the leader is bound, the workers do not exist")
    old = domain(scene)
    node = next(
        n for n in scene.nodes if scene.domain_of(n) == old and n not in scene.nodes_in_use()
    )
    scene.create(scene.filler(node))
    scene.kubectl("annotate", "pod", "llm-0", "simulate.lws-placement.dev/never-ready-")
    scene.wait(lambda: scene.places().get(GROUP, {old}) != {old}, "the new leader is elsewhere")
    scene.kubectl("annotate", "pod", "llm-0", "simulate.lws-placement.dev/never-ready-")
    scene.wait_bound(4)
    assert scene.broken_promises() == []
    scene.wait_told("Repairing", "restarts the group")


def test_foreign_pods_that_race_for_cpu_cause_no_restart_storm(scene):
    scene.pool(2, capacity={**CHIPS, "cpu": "6"})
    foreign = [scene.filler("", {"cpu": "3"}, name=f"f{i}") for i in range(12)]
    for pod in foreign:
        del pod["spec"]["nodeName"]
        pod["spec"]["nodeSelector"] = {"pool": scene.namespace}
    scene.create(scene.lws(), *foreign)
    leaders = set()

    def raced():
        """There is no room left for all: the one who was quicker is there."""
        leaders.update(p["metadata"]["uid"] for p in scene.members() if _is_leader(p))
        others = [p["spec"].get("nodeName") for p in scene.get("pods") if _is_foreign(p)]
        return _at_rest(scene) and (all(others) or len(scene.bound()) == 4)

    scene.wait(raced, "the group is whole, or waits whole")
    assert len(leaders) <= 3
    scene.kubectl("delete", "pods", "--wait=false", *[f["metadata"]["name"] for f in foreign])
    scene.wait_bound(4)
    assert scene.broken_promises() == []


def _is_leader(pod):
    return pod["metadata"]["labels"].get(f"{LWS}/worker-index") == "0"


def _is_foreign(pod):
    return f"{LWS}/name" not in pod["metadata"].get("labels", {})


def _at_rest(scene):
    pods = scene.members()
    bound = [p for p in pods if p["spec"].get("nodeName")]
    return len(bound) == 4 or (not bound and scene.notes("WaitingForDomain"))


# -- kube-scheduler refuses what we do not model ---------------------------------------------------


@pytest.mark.upstream_too
@pytest.mark.parametrize("leader", [None, MODEL], ids=["leader refused", "worker refused"])
def test_a_group_that_kube_scheduler_refuses_in_a_domain_moves_to_another(scene, leader):
    scene.pool(2)
    scene.create(*users_of_the_disk(scene, "n00"))
    more = {"leader": leader} if leader else {}
    scene.create(scene.lws(size=3, pod=ATTACHING, **more))
    scene.wait(lambda: len(scene.bound()) == 3 and domain(scene) == "n01", "it is whole in n01")
    assert scene.broken_promises() == []
    scene.wait_told("Moving", "kube-scheduler refuses")
    scene.wait(lambda: len(scene.holds()) == 1, "one hold")


@pytest.mark.upstream_too
def test_a_group_that_is_refused_everywhere_holds_nothing_and_tries_again(scene, tmp_path):
    scene.pool(2)
    lws = scene.lws(size=3, pod={"schedulerName": "the-test"})
    scene.create(lws)
    scene.wait(lambda: scene.pin("llm-0"), "it is planned")
    refuse_everywhere(scene, "llm-0")
    refused = "kube-scheduler refuses llm-0 wherever it is: 0/"
    (note, *_) = scene.wait(lambda: scene.notes("CannotPlan"), "it says why")
    assert note.startswith(refused)
    assert scene.bound() == []
    scene.wait(lambda: not scene.holds(), "it holds nothing")
    file = tmp_path / "llm.json"
    file.write_text(json.dumps(lws))
    asked = ("simulate", "-f", str(file), "--from-cluster")
    scene.wait(
        lambda: refused in ask(scene.cluster.kubeconfig, *asked),
        "who looks ahead is told so between two tries",
    )
    scene.wait(lambda: scene.pin("llm-0"), "it is planned again", timeout_s=90)


# -- recreation ------------------------------------------------------------------------------------


@pytest.mark.upstream_too
def test_a_recreated_group_returns_to_its_domain_while_another_group_waits_for_it(scene):
    scene.pool(1)
    scene.create(scene.lws())
    scene.wait_bound(4)
    scene.create(scene.lws("next"))
    scene.wait(lambda: scene.notes("WaitingForDomain"), "the other group waits")
    before = scene.uids("llm")
    scene.kubectl("delete", "pod", "llm-0", "--wait=false")
    scene.wait(lambda: not before & scene.uids("llm"), "all pods are new")
    scene.wait_bound(4, "llm")
    assert scene.bound("next") == []


@pytest.mark.upstream_too
def test_a_worker_that_is_deleted_by_force_comes_back_in_its_domain(scene):
    scene.pool(2)
    scene.create(scene.lws(size=3))
    scene.wait_bound(3)
    old, uid = domain(scene), scene.one("pod", "llm-0-1")["metadata"]["uid"]
    scene.kubectl("delete", "pod", "llm-0-1", "--force", "--grace-period=0", "--wait=false")
    scene.wait(lambda: uid not in scene.uids(), "it is gone")
    scene.wait_bound(3)
    assert domain(scene) == old
    assert len(scene.holds()) == 1


@pytest.mark.upstream_too
def test_a_domain_whose_nodes_fail_again_and_again_becomes_the_last_choice(scene):
    """At the second failure, in these tests. The kubelet refuses a pod, as with a broken device
    plugin.
    """
    scene.pool(2)
    scene.create(scene.lws(size=3))
    scene.wait_bound(3)
    old, before = domain(scene), scene.uids()
    with slow_to_go(
        scene, "llm-0-1"
    ):  # upstream's controller overlooks one that is replaced already
        fail_a_worker(scene)
        scene.wait(lambda: goes(scene.one("pod", "llm-0")), "the group is restarted")
    scene.wait(lambda: not before & scene.uids(), "all pods are new")
    scene.wait_bound(3)
    assert domain(scene) == old, "once is no reason"
    with slow_to_go(scene, "llm-0-1"):  # nor is a successor pinned before the planner has seen why
        fail_a_worker(scene)
        scene.wait(lambda: scene.notes("Moving"), "it leaves")
    scene.wait_bound(3)
    assert domain(scene) != old
    assert "its nodes failed 2 times lately" in scene.notes("Moving")[0]
    assert scene.broken_promises() == []


@contextmanager
def slow_to_go(scene, pod):
    """It stays Terminating once it is deleted, and its leader with it."""
    patch(scene, "pod", pod, {"metadata": {"finalizers": ["example.com/slow"]}})
    try:
        yield
    finally:
        patch(scene, "pod", pod, {"metadata": {"finalizers": None}})


def test_a_group_with_a_failed_pod_that_nobody_deletes_is_whole_again_once_it_is_deleted(scene):
    """A finished pod runs nowhere, so it keeps the domain no longer than any returning group."""
    scene.pool(1)
    scene.create(scene.lws(size=3))
    scene.wait_bound(3)
    with kept_failed(scene):
        scene.create(scene.lws("next"))
        scene.wait_bound(4, "next")
        scene.kubectl("delete", "lws", "next", "--wait=false")
    scene.wait_bound(3)


def test_a_failed_pod_that_nobody_deletes_keeps_no_domain_when_its_set_is_gone(scene):
    scene.pool(1)
    scene.create(scene.lws())
    scene.wait_bound(4)
    with kept_failed(scene):
        scene.kubectl("delete", "lws", "llm", "--wait=false")
        scene.create(scene.lws("next"))
        scene.wait_bound(4, "next")


@contextmanager
def kept_failed(scene):
    with slow_to_go(scene, "llm-0-1"):
        patch(scene, "pod", "llm-0-1", {"status": {"phase": "Failed"}}, "--subresource=status")
        yield


# -- the LeaderWorkerSet ---------------------------------------------------------------------------


@pytest.mark.upstream_too
def test_a_placed_group_that_grows_stays_where_there_is_room_and_else_moves_whole(scene):
    scene.pool(1)
    scene.pool(1, 5, prefix="m")
    scene.create(scene.lws(size=3))
    scene.wait_bound(3)
    assert domain(scene) == "n00"
    resize(scene, 4)
    scene.wait_bound(4)
    assert domain(scene) == "n00"
    resize(scene, 5)
    scene.wait_bound(5)
    assert domain(scene) == "m00"
    scene.wait(lambda: len(scene.holds()) == 1, "one hold")


def test_a_waiting_group_that_shrinks_is_placed(scene):
    scene.pool(1)
    scene.create(scene.lws(size=5))
    scene.wait(lambda: scene.notes("WaitingForDomain"), "it waits")
    resize(scene, 4)
    scene.wait_bound(4)


def test_a_placed_group_whose_annotation_is_removed_is_an_ordinary_one_afterwards(scene):
    scene.pool(1)
    scene.create(scene.lws(size=3))
    scene.wait_bound(3)
    before = scene.uids()
    annotate(scene, None)
    scene.wait(lambda: not before & scene.uids(), "all pods are new")
    scene.wait_bound(3)
    scene.wait(lambda: not scene.holds(), "nothing is held")


def test_a_waiting_group_whose_annotation_is_removed_is_scheduled_plainly(scene):
    nodes = scene.pool(2, 2)
    scene.create(scene.lws(size=3))
    scene.wait(lambda: scene.notes("WaitingForDomain"), "it waits")
    annotate(scene, None)
    scene.wait_bound(3)
    assert scene.nodes_in_use() < set(nodes)
    assert scene.holds() == []


@pytest.mark.upstream_too
def test_a_placed_group_whose_topology_key_changes_is_placed_by_the_new_one(scene):
    scene.pool(2)
    scene.create(scene.lws(size=3))
    scene.wait_bound(3)
    rack = f"rack.example.com/{scene.namespace}"
    where = [n for n in scene.nodes if n.endswith(("-0", "-1"))]
    scene.kubectl("label", "nodes", *where, f"{rack}=r1")
    annotate(scene, rack)
    scene.wait(lambda: _pods_with(scene, rack) == 3 and len(scene.bound()) == 3, "by the new key")
    assert scene.nodes_in_use() < set(where)
    scene.wait(lambda: not scene.holds(), "nothing is held by the old key")


def test_a_waiting_group_whose_topology_key_is_put_right_is_placed(scene):
    scene.pool(1)
    lws = scene.lws()
    lws["metadata"]["annotations"][f"{LWS}/exclusive-topology"] = "example.com/no-such-label"
    scene.create(lws)
    scene.wait(lambda: scene.notes("WaitingForDomain"), "it waits")
    annotate(scene, scene.key)
    scene.wait_bound(4)


def _pods_with(scene, key):
    notes = [p["metadata"]["annotations"] for p in scene.members()]
    return sum(n.get(f"{LWS}/exclusive-topology") == key for n in notes)


@pytest.mark.upstream_too
def test_a_waiting_group_whose_set_is_deleted_leaves_nothing(scene):
    scene.pool(1, 2)
    scene.create(scene.lws())
    scene.wait(lambda: scene.notes("WaitingForDomain"), "it waits")
    scene.kubectl("delete", "lws", "llm", "--wait=false")
    scene.wait(lambda: not scene.members() and not scene.holds(), "nothing is left")


def test_a_gated_group_whose_set_vanished_is_not_half_placed_and_says_what_to_do(scene):
    scene.create(scene.lws())
    scene.wait(lambda: scene.notes("WaitingForDomain"), "it waits")
    scene.kubectl("delete", "lws", "llm", "--cascade=orphan", "--wait=false")
    scene.wait(lambda: not owners(scene, "statefulset", "llm"), "its StatefulSet is an orphan")
    scene.wait(lambda: not scene.get("lws"), "it is gone itself")
    scene.pool(1)
    note = scene.wait(lambda: scene.notes("CannotPlan"), "it says why")[-1]
    assert "delete the pods" in note
    assert scene.gated("llm-0")
    assert scene.holds() == []
    scene.kubectl("delete", "statefulset", "llm", "--wait=false")


def owners(scene, kind, name):
    return scene.one(kind, name)["metadata"].get("ownerReferences")


@pytest.mark.upstream_too
def test_a_group_that_a_quota_cuts_short_keeps_its_room_until_it_may_be_whole(scene):
    scene.pool(1)
    quota = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "few", "namespace": scene.namespace},
        "spec": {"hard": {"pods": "2"}},
    }
    scene.create(quota)
    scene.create(scene.lws())
    scene.wait(lambda: len(scene.bound()) == 2, "two pods are bound")
    assert len(scene.holds()[0]["holders"][0]["nodes"]) == 4
    scene.kubectl("delete", "resourcequota", "few")
    scene.kubectl("annotate", "statefulset", "llm-0", "example.com/look=again")
    scene.wait_bound(4)
