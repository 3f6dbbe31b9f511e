"""Objects that tests on the real node make."""

from node.cluster import FAKE, NAME, PYTHON
from support.simulated_nodes import a_simulated_node

EXCLUSIVE = "leaderworkerset.sigs.k8s.io/exclusive-topology"
SLICE = "topology.example.com/slice"
CHIPS = {"google.com/tpu": "4"}
_SLEEP = "import signal; signal.pause()"


def a_fake_node(name, *, slice_name, pool):
    """KWOK keeps it, and only pods that tolerate its taint go there."""
    node = a_simulated_node(
        name,
        labels={SLICE: slice_name, "pool": pool},
        capacity=CHIPS,
        taints=[{"key": FAKE, "value": "fake", "effect": "NoSchedule"}],
    )
    node["metadata"]["annotations"] = {FAKE: "fake"}
    return node


def a_pool(pool, *, slices, nodes_each=4):
    """Nodes `<pool>-<slice>-<n>`."""
    return [
        a_fake_node(f"{pool}-{s:02}-{n}", slice_name=f"{pool}-{s:02}", pool=pool)
        for s in range(slices)
        for n in range(nodes_each)
    ]


def a_fake_spec(pool, resources=None):
    """Of a pod for fake nodes of `pool`."""
    resources = CHIPS if resources is None else resources
    container = {"name": "model", "image": "none", "resources": {"limits": resources}}
    return {
        "nodeSelector": {"pool": pool},
        "tolerations": [{"key": FAKE, "operator": "Exists"}],
        "terminationGracePeriodSeconds": 1,
        "containers": [container],
    }


def a_real_spec():
    """Of a pod whose container really runs, on the real node."""
    container = {
        "name": "model",
        "image": PYTHON,
        "command": ["python3", "-c", _SLEEP],
        "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}},
    }
    return {
        "nodeSelector": {"kubernetes.io/hostname": NAME},
        "terminationGracePeriodSeconds": 1,
        "containers": [container],
    }


def an_lws(name, spec, *, namespace="default", replicas=1, size=4, topology=SLICE, **more):
    return {
        "apiVersion": "leaderworkerset.x-k8s.io/v1",
        "kind": "LeaderWorkerSet",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "annotations": {EXCLUSIVE: topology} if topology else {},
        },
        "spec": {
            "replicas": replicas,
            "leaderWorkerTemplate": {"size": size, "workerTemplate": {"spec": spec}, **more},
        },
    }


def a_foreign_pod(name, node, *, namespace="default"):
    """Bound to a fake node, with all of its chips."""
    container = {"name": "c", "image": "none", "resources": {"limits": CHIPS}}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"nodeName": node, "containers": [container], "terminationGracePeriodSeconds": 1},
    }
