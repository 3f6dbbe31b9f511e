"""Real Kueue beside ours: queues, what it keeps behind its gate, and what it asks us."""

import json
from contextlib import contextmanager

from e2e.clusters import installed_on
from peers.managers import Manager

from lws_placement.engine.base import keys
from lws_placement.localcluster.cluster import LocalCluster
from lws_placement.localcluster.install import MANIFESTS

KUEUE = "kueue.x-k8s.io/v1beta2"
QUEUE = "kueue.x-k8s.io/queue-name"
CHECK = "lws-placement"
WITHOUT_VISIBILITY = {"featureGates": {"VisibilityOnDemand": False}}
"""Its API for looking into queues would be served at a port that is always the same."""


@contextmanager
def beside_kueue(binaries, peer, folder, overlay):
    """An installation of ours on a cluster of its own: Kueue has a say about every pod there."""
    with LocalCluster(folder, binaries) as cluster:
        if overlay == "beside-upstream":
            Manager(cluster, peer("lws")).run()
        kueue = Manager(cluster, peer("kueue"), certificates=True, **WITHOUT_VISIBILITY)
        kueue.install_kinds()  # ours look for new kinds once a minute
        with installed_on(cluster, overlay) as installed:
            kueue.run()
            yield installed


def a_queue(scene, tpus, *, checked=False, **more):
    """With a quota of so many TPUs. `checked`: we are asked before anything is admitted."""
    quotas = [{"name": "cpu", "nominalQuota": "1000"}]
    quotas.append({"name": "google.com/tpu", "nominalQuota": str(tpus)})
    flavors = [{"name": scene.namespace, "resources": quotas}]
    groups = [{"coveredResources": ["cpu", "google.com/tpu"], "flavors": flavors}]
    queue = {"namespaceSelector": {}, "resourceGroups": groups, **more}
    objects = {
        "ResourceFlavor": {},
        "ClusterQueue": queue,
        "LocalQueue": {"clusterQueue": scene.namespace},
    }
    if checked:
        queue["admissionChecksStrategy"] = {"admissionChecks": [{"name": CHECK}]}
        scene.kubectl("apply", "-f", str(MANIFESTS / "kueue" / "admission-check.yaml"))
    for kind, spec in objects.items():
        meta = {"name": scene.namespace, "namespace": scene.namespace}
        if kind != "LocalQueue":
            del meta["namespace"]
        obj = {"apiVersion": KUEUE, "kind": kind, "metadata": meta, "spec": spec}
        scene.kubectl("apply", "-f", "-", stdin=json.dumps(obj))


def queued(scene, lws):
    lws["metadata"]["labels"] = {QUEUE: scene.namespace}
    return lws


def is_behind_its_gate(scene, pod):
    found = [p["spec"] for p in scene.members() if p["metadata"]["name"] == pod]
    gates = [gate["name"] for spec in found for gate in spec.get("schedulingGates", [])]
    return keys.KUEUE_GATE in gates


def groups_that_run(scene, lws="llm"):
    return {group for (name, group) in scene.places(lws)}


def workload_of(scene, group, lws="llm"):
    """Of the group of this index; None if there is none."""
    found = json.loads(scene.kubectl("get", "workloads", "-o", "json"))["items"]
    index = "kueue.x-k8s.io/component-workload-index"
    return next(
        (
            one
            for one in found
            if one["metadata"]["annotations"].get(index) == group
            and any(owner["name"] == lws for owner in one["metadata"]["ownerReferences"])
        ),
        None,
    )


def answered(scene, group, lws="llm"):
    """Our answer about the group: state and message."""
    checks = (workload_of(scene, group, lws) or {}).get("status", {}).get("admissionChecks", ())
    return next(((c["state"], c["message"]) for c in checks if c["name"] == CHECK), ("", ""))
