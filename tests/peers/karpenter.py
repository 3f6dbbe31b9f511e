"""Karpenter on a local control plane: nodes that KWOK simulates, of pools that a test makes."""

import json

from lws_placement.localcluster.cluster import free_ports
from lws_placement.localcluster.process import Process

_NAMESPACE = "karpenter"
_INSTANCE_TYPES = [
    {
        "name": "tpu-4",
        "architecture": "amd64",
        "operatingSystems": ["linux"],
        "resources": {
            "cpu": "64",
            "memory": "256Gi",
            "ephemeral-storage": "100Gi",
            "pods": "110",
            "google.com/tpu": "4",
        },
        "offerings": [
            {
                "Price": 1.0,
                "Available": True,
                "Requirements": [
                    {
                        "key": "karpenter.sh/capacity-type",
                        "operator": "In",
                        "values": ["on-demand"],
                    },
                    {
                        "key": "topology.kubernetes.io/zone",
                        "operator": "In",
                        "values": ["zone-a"],
                    },
                ],
            }
        ],
    }
]
_NODE_CLASS = {
    "apiVersion": "karpenter.kwok.sh/v1alpha1",
    "kind": "KWOKNodeClass",
    "metadata": {"name": "default"},
    "spec": {},
}


class Karpenter:
    """Runs as the cluster's administrator until the cluster ends."""

    def __init__(self, cluster, program):
        self._cluster = cluster
        self._program = program

    def run(self):
        """It serves nothing that a test calls, so nothing is waited for."""
        cluster = self._cluster
        cluster.kubectl("apply", "--server-side", "-f", str(self._program.manifests))
        cluster.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=60s")
        cluster.kubectl("create", "namespace", _NAMESPACE)
        cluster.kubectl("apply", "--server-side", "-f", "-", stdin=json.dumps(_NODE_CLASS))
        types = cluster.folder / "instance_types.json"
        types.write_text(json.dumps(_INSTANCE_TYPES))
        (health,) = free_ports(1)
        env = {
            "KUBECONFIG": str(cluster.kubeconfig),
            "DISABLE_LEADER_ELECTION": "true",
            "METRICS_PORT": "0",
            "HEALTH_PROBE_PORT": str(health),
            "SYSTEM_NAMESPACE": _NAMESPACE,
            "INSTANCE_TYPES_FILE_PATH": str(types),
        }
        log = cluster.folder / "logs" / "karpenter.log"
        process = Process([str(self._program.path)], log=log, env=env)
        process.name = "karpenter"
        cluster.attach(process)


def a_pool(name, *, key, domains, labels):
    """Of nodes in domains of `key`: as many as there are pods for, in each."""
    requirements = [
        {"key": key, "operator": "In", "values": domains},
        {"key": "karpenter.sh/capacity-type", "operator": "In", "values": ["on-demand"]},
    ]
    node_class = {"group": "karpenter.kwok.sh", "kind": "KWOKNodeClass", "name": "default"}
    return {
        "apiVersion": "karpenter.sh/v1",
        "kind": "NodePool",
        "metadata": {"name": name},
        "spec": {
            "template": {
                "metadata": {"labels": labels},
                "spec": {
                    "nodeClassRef": node_class,
                    "requirements": requirements,
                    "expireAfter": "Never",
                },
            },
            "disruption": {
                "consolidationPolicy": "WhenEmpty",
                "consolidateAfter": "5s",
                "budgets": [{"nodes": "100%"}],
            },
        },
    }
