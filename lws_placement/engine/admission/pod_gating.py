"""Our half of a member's admission: the marker, and a gate or a pin.

The marker makes kube-scheduler call us before it binds. The scheduling gate keeps the pod from
kube-scheduler until its whole group has room. A pin replaces the gate where the group's hold
determines the node. A bound pod is not gated.

Nothing of ours on a new pod counts: users copy pods, and may write what they like. So whatever says
that we decided something is removed first (`strip`), and each call decides afresh, also when the
API server calls again in the same request.

Functions edit pods in place.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from lws_placement.engine.base import keys
from lws_placement.engine.base.raw import Raw
from lws_placement.engine.lws.pod_env import containers_of
from lws_placement.engine.lws.pod_identity import (
    annotations_of,
    drop_exclusive_terms,
    is_exclusive_term,
)
from lws_placement.engine.model.pods import DEFAULT_SCHEDULER
from lws_placement.engine.objects.placement_request import Scope, placement_request_of

STAMPED = (keys.SCOPE, keys.WITHIN_TOPOLOGY, keys.PREFER_TOPOLOGY, keys.GANG, keys.MANAGED)
"""Annotations of a LeaderWorkerSet that LeaderWorkerSet does not copy to its pods."""
TYPED = (keys.LWS_EXCLUSIVE_TOPOLOGY, keys.LWS_SUBGROUP_EXCLUSIVE_TOPOLOGY)
"""Annotations that stand for typed fields; a pod's own value comes from LeaderWorkerSet."""

OURS = (
    keys.ADMITTED,
    keys.CONDITION,
    keys.LWS_UID,
    keys.NO_ROOM,
    keys.OWNER_UID,
    keys.PINNED_NODE,
    keys.PLAN,
    keys.RELEASED,
    keys.SLOT,
    keys.WOKEN,
)
"""Annotations of pods that only we write."""
_MARKERS = frozenset((keys.MEMBER_MARKER, keys.GUEST_MARKER))
_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
"""The API server's default for `schedulerName`."""


@dataclass(frozen=True, slots=True)
class Pin:
    """The node that a hold assigns to a member, and the id of the plan."""

    node: str
    plan: str


@dataclass(frozen=True, slots=True)
class Owner:
    """The owner of a pod: its LeaderWorkerSet, or the topmost controller of another group's pod.

    `uid` is empty if there is no owner. `annotations`: the owner's. `uid_note`: the annotation that
    takes the UID.
    """

    uid: str
    annotations: Mapping[str, str] = field(default_factory=dict)
    uid_note: str = keys.LWS_UID


def stamp(pod: Raw, owner: Owner) -> None:
    """Write the owner's UID and placement annotations to an unbound pod."""
    annotations = annotations_of(pod)
    if pod["spec"].get("nodeName"):
        return
    if owner.uid:
        annotations[owner.uid_note] = owner.uid
    annotations |= {key: value for key, value in owner.annotations.items() if key in STAMPED}
    for key in TYPED:
        if owner.annotations.get(key):
            annotations.setdefault(key, owner.annotations[key])


def strip(pod: Raw) -> None:
    """Remove all that records a decision of ours, and what comes with it."""
    annotations, spec = annotations_of(pod), pod["spec"]
    _drop_pin(pod)
    _unmark(spec)
    gates = [gate for gate in spec.pop("schedulingGates", None) or () if gate["name"] != keys.GATE]
    if gates:
        spec["schedulingGates"] = gates
    if keys.ADMITTED in annotations:
        for note, value in keys.UNDISTURBED.items():
            if annotations.get(note) == value:
                del annotations[note]
    for note in OURS:
        annotations.pop(note, None)


def leave_alone(pod: Raw) -> None:
    """Treat a pod with LeaderWorkerSet's labels that is no member like any foreign pod.

    Mark it as a guest, which keeps it out of held domains: its labels make kube-scheduler refuse
    members beside it.
    """
    if pod["spec"].get("nodeName"):
        return
    annotations = annotations_of(pod)
    annotations[keys.ADMITTED] = keys.FOREIGN
    if placement_request_of(annotations).managed:
        _mark(pod, keys.GUEST_MARKER)


def gate_or_pin(pod: Raw, *, pin: Pin | None, keep_affinity: bool) -> None:
    """Mark, and gate or pin, a pod that has its identity and its owner's stamp."""
    annotations = annotations_of(pod)
    request = placement_request_of(annotations)
    keep_affinity = (
        keep_affinity
        and request.scope is not Scope.LWS
        and not _has_other_pod_affinity(pod["spec"], request.keys)
    )
    if pod["spec"].get("nodeName") or not request.managed:
        return
    if gates_of_others(pod["spec"]):
        pin = None
    if not request.places:
        _mark(pod, keys.GUEST_MARKER)
        return
    _mark(pod, keys.MEMBER_MARKER)
    for note, value in keys.UNDISTURBED.items():
        annotations.setdefault(note, value)
    if not keep_affinity:
        _drop_terms(pod["spec"])
    if pin is not None:
        annotations |= {keys.ADMITTED: "pinned", keys.PINNED_NODE: pin.node, keys.PLAN: pin.plan}
        affinity = pod["spec"].setdefault("affinity", {})
        affinity["nodeAffinity"] = pinned_affinity(affinity.get("nodeAffinity") or {}, pin.node)
    else:
        annotations[keys.ADMITTED] = "gated"
        pod["spec"].setdefault("schedulingGates", []).append({"name": keys.GATE})


def to_scheduler(pod: Raw, name: str) -> None:
    """Set the scheduler of a member that we decided: the marker ensures that only a scheduler that
    calls us binds it as planned.

    A pod that requests a scheduler other than the default keeps it; an empty name changes nothing.
    """
    spec = pod["spec"]
    decided = keys.ADMITTED in annotations_of(pod) and not spec.get("nodeName") and _is_marked(spec)
    if name and decided and scheduler_of(spec) == DEFAULT_SCHEDULER:
        spec["schedulerName"] = name


def scheduler_of(spec: Raw) -> str:
    return str(spec.get("schedulerName") or DEFAULT_SCHEDULER)


def _is_marked(spec: Raw) -> bool:
    resources = spec["containers"][0].get("resources") or {}
    return keys.MEMBER_MARKER in (resources.get("requests") or {})


def gates_of_others(spec: Raw) -> list[str]:
    """Foreign scheduling gates. A pod with one is never pinned: the gate's owner may still change
    the pod's requests, and may remove the gate long after another group took the room.
    """
    return [gate["name"] for gate in spec.get("schedulingGates") or () if gate["name"] != keys.GATE]


def _drop_pin(pod: Raw) -> None:
    annotations, spec = annotations_of(pod), pod["spec"]
    if keys.PINNED_NODE not in annotations:
        return
    affinity = spec.get("affinity") or {}
    node = annotations.pop(keys.PINNED_NODE, "")
    kept = _unpinned_affinity(affinity.get("nodeAffinity") or {}, node)
    affinity.pop("nodeAffinity", None)
    if kept:
        affinity["nodeAffinity"] = kept
    if not affinity:
        spec.pop("affinity", None)


def _has_other_pod_affinity(spec: Raw, exclusive: tuple[str, ...]) -> bool:
    """Whether it has required pod affinity besides LeaderWorkerSet's term: kube-scheduler looks for
    a pod that matches all terms at once, and a pod of another workload never matches that one.
    """
    terms = ((spec.get("affinity") or {}).get("podAffinity") or {}).get(_REQUIRED) or []
    return any(not is_exclusive_term(term, exclusive) for term in terms)


def _drop_terms(spec: Raw) -> None:
    for key in (keys.LWS_GROUP_KEY, keys.LWS_SUBGROUP_KEY):
        drop_exclusive_terms(spec, key=key)


def pinned_affinity(node_affinity: Raw, node: str) -> Raw:
    """`nodeAffinity` with the node-name pin added to every non-empty required term (they are ORed).

    The API server lets a gated pod take on this shape only, and kube-scheduler then looks at one
    node (KEP-3838; PreFilter of the NodeAffinity plugin).
    """
    pin = {"key": keys.NODE_NAME_FIELD, "operator": "In", "values": [node]}
    terms = (node_affinity.get(_REQUIRED) or {}).get("nodeSelectorTerms") or []
    if not terms:
        return {**node_affinity, _REQUIRED: {"nodeSelectorTerms": [{"matchFields": [pin]}]}}
    pinned = [
        {**t, "matchFields": [*(t.get("matchFields") or []), pin]}
        if t.get("matchExpressions") or t.get("matchFields")
        else t
        for t in terms
    ]
    return {**node_affinity, _REQUIRED: {"nodeSelectorTerms": pinned}}


def _unpinned_affinity(node_affinity: Raw, node: str) -> Raw:
    """The inverse of `pinned_affinity`."""
    pin = {"key": keys.NODE_NAME_FIELD, "operator": "In", "values": [node]}
    kept = []
    for term in (node_affinity.get(_REQUIRED) or {}).get("nodeSelectorTerms") or []:
        fields = [field for field in term.get("matchFields") or [] if field != pin]
        rest = {name: value for name, value in term.items() if name != "matchFields"}
        if rest or fields or not term:
            kept.append({**rest, "matchFields": fields} if fields else rest)
    others = {name: value for name, value in node_affinity.items() if name != _REQUIRED}
    return {**others, _REQUIRED: {"nodeSelectorTerms": kept}} if kept else others


def _unmark(spec: Raw) -> None:
    for container in containers_of(spec):
        resources = container.get("resources") or {}
        for kind in ("requests", "limits"):
            amounts = resources.get(kind)
            if not isinstance(amounts, dict) or not amounts.keys() & _MARKERS:
                continue
            kept = {name: amount for name, amount in amounts.items() if name not in _MARKERS}
            resources[kind] = kept
            if not kept:
                del resources[kind]


def _mark(pod: Raw, marker: str) -> None:
    """Quantity 0 makes kube-scheduler send the pod to us and requests nothing of a node."""
    resources = pod["spec"]["containers"][0].setdefault("resources", {})
    for kind in ("requests", "limits"):
        resources.setdefault(kind, {})[marker] = "0"
