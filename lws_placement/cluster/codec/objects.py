"""Raw JSON -> engine values: the only reader of labels, annotations and specs of nodes and pods.

Decoders of watched objects do not raise for user input: a pod with broken group annotations becomes
a pod of no group (the webhook refuses such pods; these bypassed it). For an object that violates
the API schema they raise one of UNREADABLE.
"""

from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from typing import Any, TypeVar

from lws_placement.cluster.api.timestamps import decode_time
from lws_placement.cluster.codec.kept_nodes import about_scale_down
from lws_placement.cluster.codec.pods.devices import decode_claim_names
from lws_placement.cluster.codec.pods.requirements import decode_demand, node_pin
from lws_placement.engine.base import keys
from lws_placement.engine.base.quantities import PODS, amount_available, amount_requested
from lws_placement.engine.base.raw import Raw
from lws_placement.engine.base.whole_numbers import MOST_SIZE, whole_number
from lws_placement.engine.model.pods import (
    DEFAULT_SCHEDULER,
    UNRANKED,
    Demand,
    MemberInfo,
    Pod,
    PodPhase,
)
from lws_placement.engine.objects.nodes import Node, Taint
from lws_placement.engine.objects.placement_request import placement_request_of
from lws_placement.errors import InvalidObjectError

UNREADABLE = (
    InvalidObjectError,
    ArithmeticError,
    AttributeError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
)
"""Exceptions from reading an object that violates the API schema."""

T = TypeVar("T")

_NODE_REASONS = (
    "Evicted",
    "NodeAffinity",
    "NodeLost",
    "NodeShutdown",
    "OutOf",  # OutOfcpu, OutOfnvidia.com/gpu, ...
    "Terminated",
    "TopologyAffinityError",
    "UnexpectedAdmissionError",
)
"""Prefixes of `status.reason` with which a kubelet fails a pod for a fault of its node."""

_NODE_DISRUPTIONS = ("DeletionByPodGC", "DeletionByTaintManager", "TerminationByKubelet")
"""Reasons of DisruptionTarget that blame the node; not requested evictions or preemptions."""


def decode_node(raw: Raw) -> Node:
    meta, spec, status = raw["metadata"], raw.get("spec") or {}, raw.get("status") or {}
    allocatable = status.get("allocatable") or {}
    return Node(
        name=checked_text(meta["name"]),
        labels=checked_texts(meta.get("labels")),
        allocatable={name: amount_available(name, q) for name, q in allocatable.items()},
        taints=tuple(
            Taint(
                checked_text(t.get("key", "")),
                checked_text(t.get("value") or ""),
                checked_text(t.get("effect", "")),
            )
            for t in spec.get("taints") or ()
        ),
        unschedulable=bool(spec.get("unschedulable")),
        ready=is_ready(status) and not meta.get("deletionTimestamp"),
        scale_down=about_scale_down(checked_texts(meta.get("annotations"))),
    )


def decode_pod(raw: Raw) -> Pod:
    """Decodes a pod. A partly unreadable pod still counts with what is readable: its node and
    phase, whether it is terminating, a pod slot and its containers' readable requests. It is not a
    member of a group, and `unread` says why.

    Raises InvalidObjectError without namespace, name, UID or resourceVersion.
    """
    try:
        return _decode_pod(raw)
    except UNREADABLE as e:
        return _what_is_known(raw, why=repr(e)[:500])


def _decode_pod(raw: Raw) -> Pod:
    meta, spec, status = raw["metadata"], raw["spec"], raw.get("status") or {}
    annotations, labels = checked_texts(meta.get("annotations")), checked_texts(meta.get("labels"))
    owner = controlling_owner(raw)
    pinned = node_pin(spec) if keys.PINNED_NODE in annotations else None
    marked = _asks_for(spec, keys.MEMBER_MARKER)
    held = placement_request_of(annotations).keys if marked else ()
    gates = tuple(checked_text(g["name"]) for g in spec.get("schedulingGates") or ())
    return Pod(
        namespace=checked_text(meta["namespace"]),
        name=checked_text(meta["name"]),
        uid=checked_text(meta["uid"]),
        resource_version=checked_text(meta["resourceVersion"]),
        created_s=decode_time(meta.get("creationTimestamp")),
        demand=decode_demand(
            spec, status=status, pinned=pinned, exclusive=held, pod=checked_text(meta["name"])
        ),
        node=checked_text(spec.get("nodeName") or "") or None,
        phase=_phase(status.get("phase")),
        terminating=bool(meta.get("deletionTimestamp")),
        gated=keys.GATE in gates,
        gates=gates,
        marked=marked,
        guest=_asks_for(spec, keys.GUEST_MARKER),
        pinned=pinned,
        plan=annotations.get(keys.PLAN, ""),
        released=keys.RELEASED in annotations,
        owner_uid=checked_text(owner.get("uid", "")),
        owner_name=checked_text(owner.get("name", "")),
        owner_kind=checked_text(owner.get("kind", "")),
        priority=int(spec.get("priority") or 0),
        preempts=spec.get("preemptionPolicy") != "Never",
        ready=is_ready(status),
        labels=tuple(_label(k, v) for k, v in sorted(labels.items())),
        member=decode_member(meta),
        nominated=checked_text(status.get("nominatedNodeName") or ""),
        scheduler=checked_text(spec.get("schedulerName") or DEFAULT_SCHEDULER),
        unschedulable=_unschedulable(status),
        deleted_s=decode_time(meta.get("deletionTimestamp")),
        node_failure=_node_failure(status),
        claim_names=decode_claim_names(status),
    )


def _what_is_known(raw: Raw, *, why: str) -> Pod:
    meta, spec, status = (_object(raw.get(part)) for part in ("metadata", "spec", "status"))
    return Pod(
        namespace=checked_text(meta.get("namespace")),
        name=checked_text(meta.get("name")),
        uid=checked_text(meta.get("uid")),
        resource_version=checked_text(meta.get("resourceVersion")),
        created_s=_readable(lambda: decode_time(meta.get("creationTimestamp")), 0.0),
        demand=_readable(lambda: _readable_demand(spec), Demand(((PODS, 1),))),
        node=_readable(lambda: checked_text(spec.get("nodeName") or ""), "") or None,
        phase=_readable(lambda: _phase(status.get("phase")), PodPhase.UNKNOWN),
        terminating=bool(meta.get("deletionTimestamp")),
        marked=_readable(lambda: _asks_for(spec, keys.MEMBER_MARKER), False),
        priority=_readable(lambda: int(spec.get("priority") or 0), 0),
        unread=why,
    )


def _readable_demand(spec: Raw) -> Demand:
    """Sums the containers alone, each resource separately."""
    amounts: dict[str, int] = {}
    for container in spec["containers"]:
        resources = _object(_object(container).get("resources"))
        asked = {**_object(resources.get("limits")), **_object(resources.get("requests"))}
        for name, quantity in asked.items():
            amount = _readable(partial(amount_requested, name, quantity), 0)
            amounts[name] = amounts.get(name, 0) + amount
    kept = {n: a for n, a in amounts.items() if a > 0 and not n.startswith(keys.OUR_PREFIX)}
    return Demand(tuple(sorted({**kept, PODS: 1}.items())))


def _readable(read: Callable[[], T], otherwise: T) -> T:
    try:
        return read()
    except UNREADABLE:
        return otherwise


def checked_text(value: object) -> str:
    """Raises InvalidObjectError if it is not text."""
    if not isinstance(value, str):
        raise InvalidObjectError(f"a field is of type {type(value).__name__}, not text")
    return value


def checked_texts(value: object) -> Mapping[str, str]:
    """Labels or annotations. Raises InvalidObjectError if a value is not text."""
    found = value or {}
    if not isinstance(found, dict) or not all(isinstance(v, str) for v in found.values()):
        raise InvalidObjectError("labels or annotations are not text")
    return found


def _object(value: object) -> Raw:
    return value if isinstance(value, dict) else {}


def decode_member(meta: Mapping[str, Any]) -> MemberInfo | None:
    """A pod's membership by its labels; None if it is not a group's pod or its labels make no
    sense.
    """
    labels, annotations = meta.get("labels") or {}, meta.get("annotations") or {}
    if labels.get(keys.GROUP) and not labels.get(keys.LWS_NAME):
        return _decode_other_member(labels[keys.GROUP], annotations)
    name, group_key = labels.get(keys.LWS_NAME), labels.get(keys.LWS_GROUP_KEY)
    size = whole_number(annotations.get(keys.LWS_SIZE), least=1, most=MOST_SIZE)
    if not name or not group_key or size is None:
        return None
    rank = whole_number(labels.get(keys.LWS_WORKER_INDEX), most=size - 1)
    if rank is None:
        return None
    pod_name = meta.get("name", "")
    return MemberInfo(
        group_key=group_key,
        group_index=labels.get(keys.LWS_GROUP_INDEX, ""),
        lws=name,
        lws_uid=annotations.get(keys.LWS_UID, ""),
        rank=rank,
        size=size,
        revision=labels.get(keys.LWS_REVISION, ""),
        request=placement_request_of(annotations),
        leader_name=pod_name
        if rank == 0
        else annotations.get(keys.LWS_LEADER_NAME) or pod_name.rsplit("-", 1)[0],
        foreign=annotations.get(keys.ADMITTED) == keys.FOREIGN,
    )


def _decode_other_member(name: str, annotations: Mapping[str, str]) -> MemberInfo | None:
    """The membership of a pod in a labelled group. Requires our admission: only that establishes
    the pod's owner.
    """
    size = whole_number(annotations.get(keys.GROUP_SIZE), least=1, most=MOST_SIZE)
    if keys.ADMITTED not in annotations or size is None:
        return None
    slot = whole_number(annotations.get(keys.SLOT), most=size - 1)
    return MemberInfo(
        group_key="",
        group_index=name,
        lws=name,
        lws_uid=annotations.get(keys.OWNER_UID, ""),
        rank=slot if slot is not None else UNRANKED,
        size=size,
        revision="",
        request=placement_request_of(annotations),
        leader_name=name,
    )


def controlling_owner(raw: Raw) -> Raw:
    """The ownerReference with `controller: true`; `{}` if there is none."""
    for reference in raw["metadata"].get("ownerReferences") or ():
        if reference.get("controller"):
            found: Raw = reference
            return found
    return {}


def condition_of(status: Raw, kind: str, value: str) -> Raw:
    """The condition of this type and status; `{}` if there is none."""
    for condition in status.get("conditions") or ():
        if condition.get("type") == kind and condition.get("status") == value:
            found: Raw = condition
            return found
    return {}


def is_ready(status: Raw) -> bool:
    """Whether a node or pod is ready."""
    return bool(condition_of(status, "Ready", "True"))


@lru_cache(maxsize=8192)
def _label(key: str, value: str) -> tuple[str, str]:
    """Shares one object among pods that carry the same label."""
    return key, value


def _phase(text: str | None) -> PodPhase:
    try:
        return PodPhase(text or "Pending")
    except ValueError:
        return PodPhase.UNKNOWN


def _asks_for(spec: Raw, resource: str) -> bool:
    for container in (*spec.get("containers", ()), *(spec.get("initContainers") or ())):
        resources = container.get("resources") or {}
        if resource in (resources.get("requests") or ()) or resource in (
            resources.get("limits") or ()
        ):
            return True
    return False


def _unschedulable(status: Raw) -> str:
    condition = condition_of(status, "PodScheduled", "False")
    return str(condition.get("message", "")) if condition.get("reason") == "Unschedulable" else ""


def _node_failure(status: Raw) -> str:
    reason = str(status.get("reason") or "")
    if reason.startswith(_NODE_REASONS):
        return reason
    disruption = str(condition_of(status, "DisruptionTarget", "True").get("reason", ""))
    return disruption if disruption in _NODE_DISRUPTIONS else ""
