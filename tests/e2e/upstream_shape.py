"""The objects of one LeaderWorkerSet exactly as LeaderWorkerSet's own controller leaves them.

Written from the description of its behaviour, on purpose without any code of ours.
"""

import copy
import hashlib

P = "leaderworkerset.sigs.k8s.io"


def stored_form(lws):
    """The pod template as Go writes it: `metadata` and `resources` are always there, empty maps in
    them never.
    """
    template = copy.deepcopy(lws["spec"]["leaderWorkerTemplate"]["workerTemplate"])
    template.setdefault("metadata", {})
    for container in template["spec"]["containers"]:
        resources = container.get("resources", {})
        container["resources"] = {kind: amounts for kind, amounts in resources.items() if amounts}
    return template


def revision(lws, key):
    spec = lws["spec"]
    parts = {**spec["leaderWorkerTemplate"], "workerTemplate": stored_form(lws)}
    return {
        "apiVersion": "apps/v1",
        "kind": "ControllerRevision",
        "metadata": {
            "name": f"{lws['metadata']['name']}-{key}-1",
            "namespace": lws["metadata"]["namespace"],
            "labels": {f"{P}/name": lws["metadata"]["name"], f"{P}/template-revision-hash": key},
            "ownerReferences": [owner("leaderworkerset.x-k8s.io/v1", "LeaderWorkerSet", lws)],
        },
        "data": {
            "spec": {
                "leaderWorkerTemplate": {"$patch": "replace", **parts},
                "networkConfig": {"$patch": "replace", "subdomainPolicy": "Shared"},
            }
        },
        "revision": 1,
    }


def leader_set(lws, key):
    meta, spec = lws["metadata"], lws["spec"]
    name, size = meta["name"], spec["leaderWorkerTemplate"]["size"]
    template = stored_form(lws)
    template["metadata"] = {
        "labels": {
            f"{P}/name": name,
            f"{P}/template-revision-hash": key,
            f"{P}/worker-index": "0",
        },
        "annotations": {f"{P}/size": str(size)},
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {
            "name": name,
            "namespace": meta["namespace"],
            "labels": {f"{P}/name": name, f"{P}/template-revision-hash": key},
            "annotations": {**meta.get("annotations", {}), f"{P}/replicas": str(spec["replicas"])},
            "ownerReferences": [owner("leaderworkerset.x-k8s.io/v1", "LeaderWorkerSet", lws)],
        },
        "spec": {
            "replicas": spec["replicas"],
            "serviceName": name,
            "podManagementPolicy": "Parallel",
            "selector": {"matchLabels": {f"{P}/name": name, f"{P}/worker-index": "0"}},
            "updateStrategy": {
                "type": "RollingUpdate",
                "rollingUpdate": {"maxUnavailable": 1, "partition": 0},
            },
            "template": template,
        },
    }


def worker_set(lws, key, leader):
    meta, parts = lws["metadata"], lws["spec"]["leaderWorkerTemplate"]
    name, labels = leader["metadata"]["name"], leader["metadata"]["labels"]
    group = {f"{P}/{k}": labels[f"{P}/{k}"] for k in ("group-index", "group-key")}
    selector = {f"{P}/name": meta["name"], **group}
    template = stored_form(lws)
    template["metadata"] = {
        "labels": {**selector, f"{P}/template-revision-hash": key},
        "annotations": {f"{P}/size": str(parts["size"]), f"{P}/leader-name": name},
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {
            "name": name,
            "namespace": meta["namespace"],
            "labels": {**selector, f"{P}/template-revision-hash": key},
            "annotations": dict(meta.get("annotations", {})),
            "ownerReferences": [owner("v1", "Pod", leader)],
        },
        "spec": {
            "replicas": parts["size"] - 1,
            "serviceName": meta["name"],
            "podManagementPolicy": "Parallel",
            "ordinals": {"start": 1},
            "selector": {"matchLabels": selector},
            "template": template,
        },
    }


def service(lws):
    meta = lws["metadata"]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": meta["name"],
            "namespace": meta["namespace"],
            "labels": {f"{P}/name": meta["name"]},
            "ownerReferences": [owner("leaderworkerset.x-k8s.io/v1", "LeaderWorkerSet", lws)],
        },
        "spec": {
            "clusterIP": "None",
            "publishNotReadyAddresses": True,
            "selector": {f"{P}/name": meta["name"]},
        },
    }


def group_key(namespace, leader):
    return hashlib.sha1(f"{namespace}/{leader}".encode(), usedforsecurity=False).hexdigest()


def owner(api_version, kind, obj):
    return {
        "apiVersion": api_version,
        "kind": kind,
        "name": obj["metadata"]["name"],
        "uid": obj["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }
