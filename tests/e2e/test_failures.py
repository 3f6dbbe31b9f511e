"""Replicas, kills and stops: what holds while our own processes fail (P1, P2, P4)."""

import asyncio
import json
import signal

import pytest
from e2e.leaders import leader_of, make_lead
from e2e.servers import start
from e2e.stack import LWS

from lws_placement.cluster.adapters.admission_lookup import AdmissionLookup
from lws_placement.cluster.api.client import connect
from lws_placement.cluster.cache.cluster_cache import ClusterCache
from lws_placement.cluster.cache.informers import Informers
from lws_placement.cluster.cache.topology_index import TopologyIndex
from lws_placement.engine.admission.pod_gating import Owner, gate_or_pin, stamp
from lws_placement.engine.base.json_copy import json_copy
from lws_placement.errors import ConflictError
from lws_placement.localcluster.install import NAMESPACE


def test_the_other_replica_takes_over_after_kill_9(scene):
    scene.pool(4)
    make_lead(scene, "brain-b")
    scene.create(scene.lws(replicas=2))
    scene.wait_bound(8)
    scene.installation.kill_server("brain-b")
    scene.kubectl("scale", "lws", "llm", "--replicas=4")
    try:
        scene.wait_bound(16)
        assert leader_of(scene) == "brain-a"
        assert scene.broken_promises() == []
    finally:
        start(scene.installation, "brain-b")


def test_a_planner_that_was_stopped_and_continued_writes_nothing(scene):
    """SIGSTOP beyond the lease time; meanwhile the other replica gives the domains away."""
    scene.pool(2)
    make_lead(scene, "brain-b")
    scene.create(scene.lws("old", replicas=2))
    scene.wait_bound(8)
    stopped = scene.installation.servers["brain-b"]
    stopped.signal(signal.SIGSTOP)
    try:
        scene.wait(lambda: leader_of(scene) == "brain-a", "brain-a leads")
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


async def a_frozen_lookup(scene):
    """What admission asks, over a cache whose watches have ended."""
    api = await connect(str(scene.cluster.kubeconfig))
    cache = ClusterCache(TopologyIndex())
    informers = Informers(api, cache, namespace=NAMESPACE)
    watching = asyncio.create_task(informers.run())
    await informers.wait_synced()
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
    await api.close()
    return AdmissionLookup(api, cache, informers=informers, extender_configured=True)


UNSEEN = "/webhooks/0/objectSelector/matchExpressions/1"
NOT_STALE = {"key": "stale", "operator": "DoesNotExist"}


async def test_a_pin_from_a_frozen_watch_is_refused_at_bind(scene):
    """Admission pinned by a hold that has moved on; no planner is there to clean up before bind."""
    nodes = scene.pool(2)
    scene.create(scene.lws())
    scene.wait_bound(4)
    old = scene.places()[("llm", "0")].pop()
    # The group restarts; the watches end while its room is free and its hold is still the old one.
    scene.cluster.stop_scheduler()
    _restart_unbound(scene)
    lookup = await a_frozen_lookup(scene)
    # Then its domain is cordoned, so it moves.
    scene.kubectl("cordon", *[n for n in nodes if scene.domain_of(n) == old])
    scene.installation.start_scheduler()
    scene.wait(lambda: _elsewhere(scene, old), "the group is whole in the other domain")
    scene.kubectl("uncordon", *[n for n in nodes if scene.domain_of(n) == old])

    brains = [scene.installation.servers[n] for n in ("brain-a", "brain-b")]
    scene.cluster.stop_scheduler()
    _change_webhook(scene, {"op": "add", "path": UNSEEN, "value": NOT_STALE})
    try:
        _restart_unbound(scene)
        for brain in brains:
            brain.signal(signal.SIGSTOP)
        stale = _pinned_by(lookup, scene.one("pod", "llm-0"), scene.namespace)
        wrong = stale["metadata"]["annotations"]["lws-placement.dev/pinned-node"]
        assert scene.domain_of(wrong) == old
        await _put_in_place_of(scene, stale, wrong)
        scene.wait(lambda: len(scene.members()) == 1, "the old leader's workers are gone")
        scene.installation.start_scheduler()
        scene.wait(lambda: _refusals(scene), "bind refuses it")
        assert scene.bound() == []
    finally:
        for brain in brains:
            brain.signal(signal.SIGCONT)
        _change_webhook(scene, {"op": "remove", "path": UNSEEN})
        if scene.cluster.scheduler is None:
            scene.installation.start_scheduler()
    scene.wait_bound(4)
    assert scene.broken_promises() == []
    assert wrong not in {p["spec"]["nodeName"] for p in scene.bound()}


def _change_webhook(scene, patch):
    which = ("mutatingwebhookconfiguration", "lws-placement-mutating")
    scene.kubectl("patch", *which, "--type=json", f"--patch={json.dumps([patch])}")


def _restart_unbound(scene):
    """Delete the leader while nothing can be bound; its group is there again, without nodes."""
    scene.kubectl("delete", "pod", "llm-0", "--wait=false")
    scene.wait(lambda: scene.members() and not scene.bound(), "a new leader, nothing bound")


def _elsewhere(scene, old):
    places = scene.places().get(("llm", "0"), set())
    return len(scene.bound()) == 4 and len(scene.members()) == 4 and old not in places


def _pinned_by(lookup, leader, namespace):
    """The leader as this lookup would have had it admitted."""
    meta = leader["metadata"]
    own = {k: meta[k] for k in ("name", "namespace", "labels", "annotations", "ownerReferences")}
    notes = {k: v for k, v in own["annotations"].items() if not k.startswith("lws-placement.dev/")}
    ours = ("affinity", "schedulingGates")
    spec = {k: v for k, v in leader["spec"].items() if k not in ours}
    pod = json_copy({"metadata": own | {"annotations": notes}, "spec": spec})
    stamp(pod, Owner(meta["annotations"]["lws-placement.dev/lws-uid"]))
    pin = lookup.pin_for(pod, namespace=namespace)
    assert pin is not None
    gate_or_pin(pod, pin=pin, keep_affinity=True)
    pod["metadata"]["labels"]["stale"] = "true"
    return {"apiVersion": "v1", "kind": "Pod", **pod}


async def _put_in_place_of(scene, pod, pinned):
    """Delete the pod of that name and create this one before its StatefulSet makes a successor, and
    without our webhook, which would pin it anew.
    """
    api = await connect(str(scene.cluster.kubeconfig))
    path = f"/api/v1/namespaces/{scene.namespace}/pods"
    try:
        for _ in range(50):
            await api.delete(f"{path}/{pod['metadata']['name']}")
            try:
                made = await api.create(path, pod)
            except ConflictError:
                continue  # the StatefulSet was faster
            if made["metadata"]["annotations"]["lws-placement.dev/pinned-node"] == pinned:
                return
        raise AssertionError("the StatefulSet was faster 50 times, or our webhook still sees it")
    finally:
        await api.close()


def _refusals(scene):
    return [e for e in scene.events("FailedScheduling") if "nobody holds" in e["message"]]


@pytest.mark.parametrize("killed", ["gate-a", "brain-a"])
def test_a_replica_killed_while_a_group_is_bound_stalls_nothing(scene, killed):
    """No half group at rest, and no 30 s stall: what was not bound is bound on the next attempt."""
    scene.pool(6)
    make_lead(scene, "brain-a")
    scene.create(scene.lws(replicas=6))
    scene.wait(lambda: scene.bound(), "binding has begun")
    scene.installation.kill_server(killed)
    start(scene.installation, killed)
    scene.wait_bound(24, timeout_s=25)
    assert scene.broken_promises() == []


def test_one_replica_of_webhook_and_extender_is_enough(scene):
    scene.pool(2)
    scene.installation.kill_server("gate-a")
    try:
        scene.insist(lambda: scene.create(scene.lws()))
        scene.wait_bound(4)
        assert scene.broken_promises() == []
    finally:
        start(scene.installation, "gate-a")
    scene.insist(lambda: scene.kubectl("scale", "lws", "llm", "--replicas=2"))
    scene.wait_bound(8)


def test_a_member_deleted_while_its_group_is_bound_stalls_nothing(scene):
    scene.pool(2)
    scene.create(scene.lws(replicas=2))
    pods = scene.wait(lambda: [p for p in scene.members() if _is_worker(p)], "workers exist")
    for pod in pods[:2]:
        name = pod["metadata"]["name"]
        scene.kubectl("delete", "pod", name, "--wait=false", "--force", check=False)
    scene.wait_bound(8, timeout_s=25)
    assert scene.broken_promises() == []


def _is_worker(pod):
    return pod["metadata"]["labels"][f"{LWS}/worker-index"] != "0"
