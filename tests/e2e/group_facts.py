"""What is to be seen of groups on a real control plane."""

from e2e.other_groups import node_domains
from e2e.stack import LWS


def no_pods(scene):
    return {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "no-pods", "namespace": scene.namespace},
        "spec": {"hard": {"pods": "0"}},
    }


def by_subgroup(scene, lws="llm"):
    found = {}
    for pod in scene.bound(lws):
        index = pod["metadata"]["labels"].get(f"{LWS}/subgroup-index", "")
        found.setdefault(index, []).append(pod)
    return {index: node_domains(scene, pods) for index, pods in found.items()}
