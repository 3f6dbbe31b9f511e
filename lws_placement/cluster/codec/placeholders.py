"""A placeholder pod (`engine/model/scale_up.py`) as JSON, and back."""

import json
from collections.abc import Sequence

from lws_placement.cluster.codec.groups import decode_group, encode_group
from lws_placement.cluster.codec.objects import UNREADABLE
from lws_placement.engine.base import keys
from lws_placement.engine.base.quantities import CPU, PODS
from lws_placement.engine.base.raw import Raw
from lws_placement.engine.base.whole_numbers import MOST_SIZE, whole_number
from lws_placement.engine.model.pods import Demand, Toleration
from lws_placement.engine.model.scale_up import Placeholder
from lws_placement.engine.objects.nodes import NodeTerm, Operator, Requirement
from lws_placement.engine.objects.placement_request import Scope, TopologyRequest

VERSION = "v1"
PRIORITY_CLASS = "lws-placement-scale-up"
"""`manifests/base/scale_up.yaml`: the lowest priority that cluster autoscalers act on."""
_LONGEST_ANSWER = 400
IMAGE = "lws-placement/placeholder"
"""Never pulled, and in no registry: the pod only takes room."""


def encode_placeholder(
    it: Placeholder,
    demand: Demand,
    *,
    namespace: str,
    topology: TopologyRequest,
    off: Sequence[Requirement],
    provisioning_class: str = "",
) -> Raw:
    """The pod to create. `topology`: of the whole group. `off`: keeps it off existing domains.
    `provisioning_class`: of the ProvisioningRequest that it consumes.

    It has the requests, node selector, required node affinity and tolerations of the member. Its
    rules about other pods, its volumes and devices are left to the plan of the group.
    """
    subgroup = next((i for i, ranks in enumerate(topology.subgroups) if it.rank in ranks), None)
    labels = {"app.kubernetes.io/managed-by": keys.FIELD_MANAGER, keys.SCALE_UP: it.request}
    if subgroup is not None:
        labels[keys.SCALE_UP_SUBGROUP] = str(subgroup)
    body = {"version": VERSION, **encode_group(it.group), "rank": it.rank, "scope": it.scope.value}
    annotations = {
        keys.STANDS_FOR: json.dumps(body, separators=(",", ":")),
        **keys.UNDISTURBED,
    }
    if it.consumes:
        annotations[keys.CONSUMES_REQUEST] = it.consumes
        annotations[keys.PROVISIONING_CLASS] = provisioning_class
    resources = _amounts(demand)
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": f"scale-up-{it.request}-{it.rank}",
            "namespace": namespace,
            "labels": labels,
            "annotations": annotations,
        },
        "spec": {
            "priorityClassName": PRIORITY_CLASS,
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": 0,
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "securityContext": {
                "runAsNonRoot": True,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "nodeSelector": dict(demand.selector),
            "tolerations": [_toleration(t) for t in demand.tolerations],
            "affinity": _affinity(it.request, demand, topology, subgroup=subgroup, off=off),
            "containers": [
                {
                    "name": "placeholder",
                    "image": IMAGE,
                    "imagePullPolicy": "Never",
                    "securityContext": {
                        "allowPrivilegeEscalation": False,
                        "capabilities": {"drop": ["ALL"]},
                    },
                    "resources": {"requests": resources, "limits": resources},
                }
            ],
        },
    }


def decode_placeholder(raw: Raw) -> Placeholder | None:
    """None if the pod is none. Only for pods of our own namespace: others may write anything."""
    meta = raw["metadata"]
    try:
        notes = meta.get("annotations") or {}
        body = json.loads(notes[keys.STANDS_FOR])
        rank = whole_number(body["rank"], most=MOST_SIZE)
        if body["version"] != VERSION or rank is None:
            return None
        return Placeholder(
            request=str(meta["labels"][keys.SCALE_UP]),
            group=decode_group(body),
            rank=rank,
            scope=Scope(body["scope"]),
            consumes=str(notes.get(keys.CONSUMES_REQUEST, "")),
            answer=str(notes.get(keys.SCALE_UP_ANSWER, ""))[:_LONGEST_ANSWER],
        )
    except UNREADABLE:
        return None


def _amounts(demand: Demand) -> dict[str, str]:
    found = {name: amount for name, amount in demand.resources if name != PODS}
    return {name: f"{n}m" if name == CPU else str(n) for name, n in found.items()}


def _toleration(it: Toleration) -> Raw:
    parts = {"key": it.key, "operator": it.operator, "value": it.value, "effect": it.effect}
    return {name: value for name, value in parts.items() if value}


def _affinity(
    request: str,
    demand: Demand,
    topology: TopologyRequest,
    *,
    subgroup: int | None,
    off: Sequence[Requirement],
) -> Raw:
    terms = demand.required if demand.required is not None else (NodeTerm(),)
    nodes = [
        {
            "matchExpressions": [_requirement(r) for r in (*term.expressions, *off)],
            "matchFields": [_requirement(r) for r in term.fields],
        }
        for term in terms
    ]
    ours = _label(keys.SCALE_UP, Operator.IN, request)
    others = [
        _label(keys.SCALE_UP, Operator.EXISTS),
        _label(keys.SCALE_UP, Operator.NOT_IN, request),
    ]
    together: list[Raw] = []
    apart: list[Raw] = []
    for key in filter(None, (topology.outer, topology.required_topology)):
        together.append(_pod_term(key, [ours]))
    if topology.outer:
        apart.append(_pod_term(topology.outer, others))
    if subgroup is not None:
        mine = _label(keys.SCALE_UP_SUBGROUP, Operator.IN, str(subgroup))
        other = _label(keys.SCALE_UP_SUBGROUP, Operator.NOT_IN, str(subgroup))
        together.append(_pod_term(topology.inner, [ours, mine]))
        apart.append(_pod_term(topology.inner, [ours, other]))
        apart.append(_pod_term(topology.inner, others))
    required = "requiredDuringSchedulingIgnoredDuringExecution"
    found: Raw = {}
    if off or demand.required is not None:
        found["nodeAffinity"] = {required: {"nodeSelectorTerms": nodes}}
    if together:
        found["podAffinity"] = {required: together}
    if apart:
        found["podAntiAffinity"] = {required: apart}
    return found


def _pod_term(key: str, expressions: list[Raw]) -> Raw:
    return {"topologyKey": key, "labelSelector": {"matchExpressions": expressions}}


def _label(key: str, operator: Operator, *values: str) -> Raw:
    return _requirement(Requirement(key, operator, values))


def _requirement(it: Requirement) -> Raw:
    values = {"values": list(it.values)} if it.values else {}
    return {"key": it.key, "operator": it.operator.value, **values}
