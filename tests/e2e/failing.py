"""Nodes that kube-scheduler alone refuses, and workers that fail."""

import json


def patch(scene, kind, name, body, *more):
    scene.kubectl("patch", kind, name, "--type=merge", "-p", json.dumps(body), *more)


_DISK = {
    "name": "disk",
    "iscsi": {"targetPortal": "192.0.2.1:3260", "iqn": "iqn.2001-04.com.example:disk", "lun": 0},
}
ATTACHING = {"volumes": [_DISK]}
"""Pods with an inline iSCSI volume, of which a node takes one. kube-scheduler looks at that; we do
not.
"""


def users_of_the_disk(scene, domain):
    """A foreign pod with the volume on each node of the domain."""
    nodes = [name for name in scene.nodes if f"-{domain}-" in name]
    return [
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": f"disk-{node}"},
            "spec": {"nodeName": node, "containers": [{"name": "c", "image": "x"}], **ATTACHING},
        }
        for node in nodes
    ]


def refuse_everywhere(scene, pod):
    """As a scheduler does that refuses a pod before it looks at any node."""
    condition = {
        "type": "PodScheduled",
        "status": "False",
        "reason": "Unschedulable",
        "message": "0/8 nodes are available: pod has unbound immediate PersistentVolumeClaims.",
    }
    patch(scene, "pod", pod, {"status": {"conditions": [condition]}}, "--subresource=status")


def fail_a_worker(scene):
    status = {"phase": "Failed", "reason": "UnexpectedAdmissionError"}
    patch(scene, "pod", "llm-0-1", {"status": status}, "--subresource=status")
