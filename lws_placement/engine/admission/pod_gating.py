"""Our half of what admission does to a member of a group: the marker, and a gate or a pin.

The marker makes kube-scheduler ask us before it binds; the scheduling gate keeps the pod from it
until its whole group has room, and a pin stands in for the gate where the group's hold leaves no
doubt. A pod that is bound already, or that we have decided on before in the same request (it
carries our `admitted` annotation with marker and gate or pin), is not gated.

Pods are edited in place.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from lws_placement.engine.base import keys
from lws_placement.engine.base.raw import Raw
from lws_placement.engine.lws.pod_env import containers_of
from lws_placement.engine.lws.pod_identity import annotations_of, drop_exclusive_terms
from lws_placement.engine.model.placement_request import Scope, placement_request_of

STAMPED = (keys.SCOPE, keys.WITHIN_TOPOLOGY, keys.PREFER_TOPOLOGY, keys.GANG, keys.MANAGED)
"""Annotations of a LeaderWorkerSet that its pods do not get from LeaderWorkerSet itself."""
TYPED = (keys.LWS_EXCLUSIVE_TOPOLOGY, keys.LWS_SUBGROUP_EXCLUSIVE_TOPOLOGY)
"""Those that stand for typed fields; a pod that carries one has it from LeaderWorkerSet."""

_OURS = (keys.LWS_UID, keys.OWNER_UID, keys.PLAN, keys.PINNED_NODE, keys.SLOT, keys.RELEASED)
"""Annotations that say what was decided for a pod."""
_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_DEFAULT_SCHEDULER = "default-scheduler"
"""What the API server fills in."""


@dataclass(frozen=True, slots=True)
class Pin:
    """Where a hold wants a member, and the plan that says so."""

    node: str
    plan: str


@dataclass(frozen=True, slots=True)
class Owner:
    """Who a pod belongs to: the LeaderWorkerSet, or the topmost controller of another group's pod.

    `uid` is empty where there is none. `annotations`: its annotations. `uid_note`: the annotation
    that takes the UID.
    """

    uid: str
    annotations: Mapping[str, str] = field(default_factory=dict)
    uid_note: str = keys.LWS_UID


def stamp(pod: Raw, owner: Owner) -> None:
    """Note what its owner asks of placement and the pod does not show."""
    annotations = annotations_of(pod)
    if pod["spec"].get("nodeName"):
        return
    if owner.uid:
        annotations[owner.uid_note] = owner.uid
    annotations |= {key: value for key, value in owner.annotations.items() if key in STAMPED}
    for key in TYPED:
        if owner.annotations.get(key):
            annotations.setdefault(key, owner.annotations[key])


def leave_alone(pod: Raw) -> None:
    """A pod that carries LeaderWorkerSet's labels and is no member of a group: it is bound as any
    foreign pod is.

    What it may have of ours from the pod that it was copied from goes. It is marked as a guest is,
    and so kept out of held domains: its labels make kube-scheduler refuse members beside it.
    """
    if pod["spec"].get("nodeName"):
        return
    annotations, spec = annotations_of(pod), pod["spec"]
    _drop_pin(pod)
    _unmark(spec)
    gates = [gate for gate in spec.pop("schedulingGates", None) or () if gate["name"] != keys.GATE]
    if gates:
        spec["schedulingGates"] = gates
    for note in _OURS:
        annotations.pop(note, None)
    annotations[keys.ADMITTED] = keys.FOREIGN
    if placement_request_of(annotations).managed:
        _mark(pod, keys.GUEST_MARKER)


def gate_or_pin(pod: Raw, *, pin: Pin | None, keep_affinity: bool) -> None:
    """Our edits, on a pod that has its identity and its owner's stamp."""
    annotations = annotations_of(pod)
    request = placement_request_of(annotations)
    keep_affinity = keep_affinity and request.scope is not Scope.LWS
    if _is_decided(pod) and not keep_affinity:
        _drop_terms(pod["spec"])  # put there again by a reinvocation
    if gates_of_others(pod["spec"]):
        pin = None
        _take_pin_back(pod)
    if _is_decided(pod) or pod["spec"].get("nodeName") or not request.managed:
        return
    if not request.places:
        _mark(pod, keys.GUEST_MARKER)
        return
    _mark(pod, keys.MEMBER_MARKER)
    if not keep_affinity:
        _drop_terms(pod["spec"])
    if pin is not None:
        annotations |= {keys.ADMITTED: "pinned", keys.PINNED_NODE: pin.node, keys.PLAN: pin.plan}
        affinity = pod["spec"].setdefault("affinity", {})
        affinity["nodeAffinity"] = pinned_affinity(affinity.get("nodeAffinity") or {}, pin.node)
    else:
        annotations[keys.ADMITTED] = "gated"
        gates = pod["spec"].setdefault("schedulingGates", [])
        if not any(g["name"] == keys.GATE for g in gates):
            gates.append({"name": keys.GATE})


def to_scheduler(pod: Raw, name: str) -> None:
    """Leave a member that we have decided on to this scheduler: it is marked, so only a scheduler
    that calls us binds it as planned.

    One that asks for a scheduler other than the default is left to that; an empty name changes
    nothing.
    """
    spec = pod["spec"]
    decided = keys.ADMITTED in annotations_of(pod) and not spec.get("nodeName") and _is_marked(spec)
    asks_for = spec.get("schedulerName") or _DEFAULT_SCHEDULER
    if name and decided and asks_for == _DEFAULT_SCHEDULER:
        spec["schedulerName"] = name


def _is_marked(spec: Raw) -> bool:
    resources = spec["containers"][0].get("resources") or {}
    return keys.MEMBER_MARKER in (resources.get("requests") or {})


def _is_decided(pod: Raw) -> bool:
    """By us, in this request: not if only the annotation is there, as in a template that was copied
    from a pod.
    """
    annotations, gates = annotations_of(pod), pod["spec"].get("schedulingGates") or ()
    held = keys.PINNED_NODE in annotations or any(gate["name"] == keys.GATE for gate in gates)
    return keys.ADMITTED in annotations and _is_marked(pod["spec"]) and held


def gates_of_others(spec: Raw) -> list[str]:
    """Scheduling gates that are not ours. Such a pod is never pinned: who put them there may still
    change what it asks for, and may let it go when the room is long somebody else's.
    """
    return [gate["name"] for gate in spec.get("schedulingGates") or () if gate["name"] != keys.GATE]


def _take_pin_back(pod: Raw) -> None:
    """Of a pod that got a gate of others after we had pinned it: from a webhook called later."""
    annotations, spec = annotations_of(pod), pod["spec"]
    if annotations.get(keys.ADMITTED) != "pinned" or spec.get("nodeName"):
        return
    for note in (keys.ADMITTED, keys.PLAN):
        annotations.pop(note, None)
    _drop_pin(pod)


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


def _drop_terms(spec: Raw) -> None:
    for key in (keys.LWS_GROUP_KEY, keys.LWS_SUBGROUP_KEY):
        drop_exclusive_terms(spec, key=key)


def pinned_affinity(node_affinity: Raw, node: str) -> Raw:
    """`nodeAffinity` with the node-name pin added to every non-empty required term (they are ORed).

    The only shape that the API server lets a gated pod take on, and one that kube-scheduler turns
    into a look at one node (KEP-3838; PreFilter of the NodeAffinity plugin).
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
    """What `pinned_affinity` was given."""
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
        for amounts in (container.get("resources") or {}).values():
            if isinstance(amounts, dict):
                amounts.pop(keys.MEMBER_MARKER, None)


def _mark(pod: Raw, marker: str) -> None:
    """Quantity 0 is enough for kube-scheduler to send the pod to us, and asks nothing of a node."""
    resources = pod["spec"]["containers"][0].setdefault("resources", {})
    for kind in ("requests", "limits"):
        resources.setdefault(kind, {})[marker] = "0"
