"""Volumes that are lost, and workers that fail."""

import json


def patch(scene, kind, name, body, *more):
    scene.kubectl("patch", kind, name, "--type=merge", "-p", json.dumps(body), *more)


def a_claim(scene):
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "data", "namespace": scene.namespace},
        "spec": {
            "accessModes": ["ReadWriteMany"],
            "storageClassName": "",
            "volumeName": scene.namespace,
            "resources": {"requests": {"storage": "1Gi"}},
        },
    }


def a_volume_in(scene, value):
    """Reachable from the nodes of one domain alone."""
    where = {"key": scene.key, "operator": "In", "values": [value]}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": scene.namespace},
        "spec": {
            "capacity": {"storage": "1Gi"},
            "accessModes": ["ReadWriteMany"],
            "storageClassName": "",
            "persistentVolumeReclaimPolicy": "Retain",
            "hostPath": {"path": "/data"},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [where]}]}},
        },
    }


def a_bound_volume_in(scene, value):
    """With its claim, which is bound: kube-scheduler has nothing else to refuse a pod for."""
    scene.create(a_volume_in(scene, value), a_claim(scene))
    scene.wait(
        lambda: scene.one("persistentvolumeclaim", "data")["status"].get("phase") == "Bound",
        "the claim is bound",
    )


MOUNTED = {"volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]}


def fail_a_worker(scene):
    status = {"phase": "Failed", "reason": "UnexpectedAdmissionError"}
    patch(scene, "pod", "llm-0-1", {"status": status}, "--subresource=status")
