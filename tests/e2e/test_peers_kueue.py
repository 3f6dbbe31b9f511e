"""Beside the real Kueue: what it has not admitted holds nothing, what it admits is placed whole."""

import json

import pytest
from e2e.clusters import installed_on
from peers.managers import Manager

from lws_placement.localcluster.cluster import LocalCluster

pytestmark = pytest.mark.peers

QUEUE = "kueue.x-k8s.io/queue-name"
ADMISSION = "kueue.x-k8s.io/admission"
KUEUE = "kueue.x-k8s.io/v1beta2"
WITHOUT_VISIBILITY = {"featureGates": {"VisibilityOnDemand": False}}
"""Its API for looking into queues would be served at a port that is always the same."""


@pytest.fixture(scope="module", params=["standalone", "beside-upstream"])
def installation(binaries, peer, tmp_path_factory, request):
    """In place of the session's: Kueue has a say about every pod of its cluster."""
    with LocalCluster(tmp_path_factory.mktemp("kueue") / "k", binaries) as cluster:
        if request.param == "beside-upstream":
            Manager(cluster, peer("lws")).run()
        with installed_on(cluster, request.param) as installed:
            Manager(cluster, peer("kueue"), certificates=True, **WITHOUT_VISIBILITY).run()
            yield installed


def a_queue(scene, tpus):
    """With a quota of so many TPUs."""
    quotas = [{"name": "cpu", "nominalQuota": "1000"}]
    quotas.append({"name": "google.com/tpu", "nominalQuota": str(tpus)})
    flavors = [{"name": scene.namespace, "resources": quotas}]
    groups = [{"coveredResources": ["cpu", "google.com/tpu"], "flavors": flavors}]
    objects = {
        "ResourceFlavor": {},
        "ClusterQueue": {"namespaceSelector": {}, "resourceGroups": groups},
        "LocalQueue": {"clusterQueue": scene.namespace},
    }
    for kind, spec in objects.items():
        meta = {"name": scene.namespace, "namespace": scene.namespace}
        if kind != "LocalQueue":
            del meta["namespace"]
        obj = {"apiVersion": KUEUE, "kind": kind, "metadata": meta, "spec": spec}
        scene.kubectl("apply", "-f", "-", stdin=json.dumps(obj))


def queued(scene, lws):
    lws["metadata"]["labels"] = {QUEUE: scene.namespace}
    return lws


def gates(scene, pod):
    return [gate["name"] for gate in scene.one("pod", pod)["spec"].get("schedulingGates", [])]


def groups_that_run(scene):
    return {group for (name, group) in scene.places("llm")}


def test_a_quota_for_one_group_of_two_leaves_the_other_domain_to_others(scene):
    """Kueue admits in its own order, not by the group's index."""
    scene.pool(2, nodes_each=2)
    a_queue(scene, tpus=8)
    scene.create(queued(scene, scene.lws(replicas=2, size=2)))
    scene.wait(lambda: len(scene.bound("llm")) == 2, "one group runs")
    (first,) = groups_that_run(scene)
    behind = "llm-1" if first == "0" else "llm-0"
    assert ADMISSION in gates(scene, behind)
    scene.wait(lambda: len(scene.holds()) == 1, "the other holds nothing")
    scene.create(scene.lws("unqueued", size=2))
    scene.wait_bound(2, "unqueued")
    assert ADMISSION in gates(scene, behind)
    assert scene.broken_promises() == []
    a_queue(scene, tpus=16)
    scene.wait(lambda: ADMISSION not in gates(scene, behind), "it is admitted")
    scene.wait(lambda: scene.events("WaitingForDomain"), "now it waits for a domain")
    scene.kubectl("delete", "lws", "unqueued", "--wait=false")
    scene.wait_bound(4, "llm")
    assert groups_that_run(scene) == {"0", "1"}
    assert scene.broken_promises() == []


def test_a_queued_group_that_restarts_comes_back_whole(scene):
    scene.pool(2, nodes_each=2)
    a_queue(scene, tpus=8)
    scene.create(queued(scene, scene.lws(size=2)))
    scene.wait_bound(2, "llm")
    before, places = scene.uids("llm"), scene.places("llm")
    scene.kubectl("delete", "pod", "llm-0-1", "--wait=false")
    scene.wait(lambda: not before & scene.uids("llm"), "all its pods are new")
    scene.wait_bound(2, "llm")
    assert scene.places("llm") == places
