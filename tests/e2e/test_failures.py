"""Replicas, kills and stops: what holds while our own processes fail (P1, P2, P4)."""

import json
import signal

import pytest
from e2e.conftest import start
from e2e.stack import LWS


def leader_of(scene):
    lease = json.loads(
        scene.cluster.kubectl(
            "get", "lease", "lws-placement-leader", "-n", "lws-placement-system", "-ojson"
        )
    )
    return lease["spec"].get("holderIdentity") or ""


def make_lead(scene, name):
    """Let `name` hold the leader Lease: the other one is stopped until it does."""
    other = "two" if name == "one" else "one"
    if leader_of(scene) != name:
        scene.installation.stop_server(other)
        scene.wait(lambda: leader_of(scene) == name, f"{name} leads")
        start(scene.installation, other)


def test_the_other_replica_takes_over_after_kill_9(scene):
    scene.pool(4)
    make_lead(scene, "two")
    scene.create(scene.lws(replicas=2))
    scene.wait_bound(8)
    scene.installation.kill_server("two")
    scene.kubectl("scale", "lws", "llm", "--replicas=4")
    try:
        scene.wait_bound(16)
        assert leader_of(scene) == "one"
        assert scene.broken_promises() == []
    finally:
        start(scene.installation, "two")


def test_a_planner_that_was_stopped_and_continued_writes_nothing(scene):
    """SIGSTOP beyond the lease time; meanwhile the other replica gives the domains away."""
    scene.pool(2)
    make_lead(scene, "two")
    scene.create(scene.lws("old", replicas=2))
    scene.wait_bound(8)
    stopped = scene.installation.servers["two"]
    stopped.signal(signal.SIGSTOP)
    try:
        scene.wait(lambda: leader_of(scene) == "one", "one leads")
        scene.kubectl("delete", "lws", "old", "--wait=false")
        scene.create(scene.lws("new", replicas=2))
        scene.wait_bound(8, "new")
        holds = {h["domain"]: h["holders"][0]["lws"] for h in scene.holds()}
    finally:
        stopped.signal(signal.SIGCONT)
    scene.wait(lambda: "no longer leading" in stopped.log.read_text(), "it knows it was deposed")
    assert {h["domain"]: h["holders"][0]["lws"] for h in scene.holds()} == holds
    assert set(holds.values()) == {"new"}
    assert scene.broken_promises() == []


def test_a_pod_pinned_where_no_hold_puts_it_is_replaced_and_never_bound_there(scene):
    """As an admission with a stale hold would have pinned it."""
    scene.pool(2)
    scene.create(scene.lws())
    scene.wait_bound(4)
    taken = scene.places()[("llm", "0")].pop()
    other = "n01" if taken == "n00" else "n00"
    wrong = f"{scene.namespace}-{other}-0"
    scene.cluster.stop_scheduler()
    try:
        scene.kubectl("delete", "pod", "llm-0", "--wait=false")
        scene.wait(lambda: not scene.bound() and len(scene.members()) == 1, "only a new leader")
        leader = scene.one("pod", "llm-0")
        stale = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                k: leader["metadata"][k] for k in ("name", "namespace", "labels", "annotations")
            },
            "spec": {k: leader["spec"][k] for k in ("containers", "affinity")},
        }
        stale["metadata"]["ownerReferences"] = leader["metadata"]["ownerReferences"]
        terms = stale["spec"]["affinity"]["nodeAffinity"][
            "requiredDuringSchedulingIgnoredDuringExecution"
        ]["nodeSelectorTerms"]
        for term in terms:
            for field in term["matchFields"]:
                field["values"] = [wrong]
        stale["metadata"]["annotations"]["lws-placement.dev/pinned-node"] = wrong
        text = json.dumps(stale)
        scene.wait(
            lambda: (
                "replaced" in scene.kubectl("replace", "--force", "-f-", stdin=text, check=False)
            ),
            "the stale pod is there before its StatefulSet makes another one",
        )
    finally:
        scene.installation.start_scheduler()
    scene.wait_bound(4)
    assert scene.broken_promises() == []
    assert wrong not in {p["spec"]["nodeName"] for p in scene.bound()}


@pytest.mark.parametrize("killed", ["one", "two"])
def test_a_replica_killed_while_a_group_is_bound_stalls_nothing(scene, killed):
    """No half group at rest, and no 30 s stall: what was not bound is bound on the next attempt."""
    scene.pool(6)
    make_lead(scene, "one" if killed == "two" else "two")
    scene.create(scene.lws(replicas=6))
    scene.wait(lambda: scene.bound(), "binding has begun")
    scene.installation.kill_server(killed)
    start(scene.installation, killed)
    scene.wait_bound(24, timeout_s=25)
    assert scene.broken_promises() == []


def test_a_member_deleted_while_its_group_is_bound_stalls_nothing(scene):
    scene.pool(2)
    scene.create(scene.lws(replicas=2))
    pods = scene.wait(lambda: [p for p in scene.members() if _is_worker(p)], "workers exist")
    for pod in pods[:2]:
        scene.kubectl("delete", "pod", pod["metadata"]["name"], "--wait=false", "--force")
    scene.wait_bound(8, timeout_s=25)
    assert scene.broken_promises() == []


def _is_worker(pod):
    return pod["metadata"]["labels"][f"{LWS}/worker-index"] != "0"
