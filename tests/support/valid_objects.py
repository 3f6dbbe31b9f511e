"""One valid object of each kind that is watched: a pod of a group on node n0, what that belongs to,
and what holds its domain.
"""

from lws_placement.cluster.cache.intake import (
    BUDGETS_PATH,
    LWS_PATH,
    PODS_PATH,
    REVISIONS_PATH,
    SETS_PATH,
)
from lws_placement.cluster.codec.hold_lease import encode_holds
from lws_placement.engine.base import keys
from lws_placement.engine.base.json_copy import json_copy
from lws_placement.engine.model.groups import GroupId
from lws_placement.engine.model.pods import Demand
from lws_placement.engine.model.reservation import Hold
from lws_placement.engine.objects.nodes import DomainName

OURS = "lws-placement-system"
NODES = "/api/v1/nodes"
LEASES = f"/apis/coordination.k8s.io/v1/namespaces/{OURS}/leases"
DAEMONS = "/apis/apps/v1/daemonsets"
SERVICES = "/api/v1/services"

TEMPLATE = {
    "metadata": {"labels": {"app": "x"}},
    "spec": {
        "containers": [
            {
                "name": "c",
                "resources": {"requests": {"cpu": "1", "google.com/tpu": "4"}},
                "ports": [{"containerPort": 80, "hostPort": 8080}],
            }
        ],
        "initContainers": [{"name": "i", "restartPolicy": "Always"}],
        "nodeSelector": {"a": "b"},
        "tolerations": [{"key": "t", "operator": "Exists"}],
        "affinity": {
            "nodeAffinity": {
                "requiredDuringSchedulingIgnoredDuringExecution": {
                    "nodeSelectorTerms": [
                        {"matchExpressions": [{"key": "z", "operator": "In", "values": ["1"]}]}
                    ]
                }
            }
        },
    },
}


def named(name, *, version="7", namespace="ns", **meta):
    base = {"name": name, "uid": f"uid-{name}", "resourceVersion": version}
    return {**({"namespace": namespace} if namespace else {}), **base, **meta}


def a_pod(name="llm-0", *, node="n0", **meta):
    labels = {
        keys.LWS_NAME: "llm",
        keys.LWS_GROUP_KEY: "key",
        keys.LWS_GROUP_INDEX: "0",
        keys.LWS_WORKER_INDEX: "0",
        keys.LWS_REVISION: "r",
    }
    notes = {keys.LWS_SIZE: "4", keys.LWS_EXCLUSIVE_TOPOLOGY: "rack", keys.PINNED_NODE: "n0"}
    owner = {"kind": "StatefulSet", "name": "llm", "uid": "uid-llm", "controller": True}
    return {
        "metadata": named(name, labels=labels, annotations=notes, ownerReferences=[owner], **meta),
        "spec": {**json_copy(TEMPLATE["spec"]), "nodeName": node, "schedulingGates": []},
        "status": {
            "phase": "Running",
            "conditions": [{"type": "Ready", "status": "True"}],
            "containerStatuses": [{"restartCount": 0}],
        },
    }


def a_node():
    return {
        "metadata": named("n0", namespace="", labels={"rack": "r0"}),
        "spec": {"taints": [{"key": "k", "value": "v", "effect": "NoSchedule"}]},
        "status": {
            "allocatable": {"cpu": "8", "pods": "110", "google.com/tpu": "4"},
            "conditions": [{"type": "Ready", "status": "True"}],
        },
    }


def an_lws():
    spec = {
        "replicas": 2,
        "leaderWorkerTemplate": {
            "size": 4,
            "workerTemplate": TEMPLATE,
            "subGroupPolicy": {"subGroupSize": 2},
        },
    }
    notes = {keys.LWS_EXCLUSIVE_TOPOLOGY: "rack"}
    return {"metadata": named("llm", annotations=notes, generation=1), "spec": spec}


def a_revision():
    labels = {keys.LWS_NAME: "llm", keys.LWS_REVISION: "r"}
    return {"metadata": named("rev", labels=labels), "data": {"spec": an_lws()["spec"]}}


def a_set():
    owner = {"kind": "LeaderWorkerSet", "name": "llm", "uid": "uid-llm", "controller": True}
    return {"metadata": named("llm", labels={keys.LWS_NAME: "llm"}, ownerReferences=[owner])}


def a_budget():
    selector = {
        "matchLabels": {"app": "x"},
        "matchExpressions": [{"key": "k", "operator": "In", "values": ["v"]}],
    }
    status = {"observedGeneration": 1, "disruptionsAllowed": 1, "desiredHealthy": 1}
    return {"metadata": named("b", generation=1), "spec": {"selector": selector}, "status": status}


def a_hold():
    hold = Hold(
        domain=DomainName("rack", "r0"),
        group=GroupId("ns", "llm", "uid-llm", "key"),
        group_index="0",
        leader_name="llm-0",
        revision="r",
        size=1,
        plan="p",
        nodes={0: "n0"},
        demands={0: Demand((("cpu", 1000),))},
    )
    raw = encode_holds([hold], namespace=OURS)
    raw["metadata"] |= {"uid": "uid-hold", "resourceVersion": "7"}
    return raw


VALID = {
    NODES: a_node(),
    LEASES: a_hold(),
    LWS_PATH: an_lws(),
    REVISIONS_PATH: a_revision(),
    SETS_PATH: a_set(),
    DAEMONS: {"metadata": named("ds"), "spec": {"template": TEMPLATE}},
    BUDGETS_PATH: a_budget(),
    PODS_PATH: a_pod(),
    SERVICES: {"metadata": named("llm", labels={keys.LWS_NAME: "llm"})},
}
