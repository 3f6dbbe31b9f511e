"""What admission does to a pod of a LeaderWorkerSet: upstream's edits, then ours (design section
2.1).

Upstream's part gives exactly its results, whether its own webhook ran before, runs after, or is not
there: labels are set only if absent, exclusive terms only if the pod has no pair for that topology,
environment is rebuilt. Ours, for a pod that asks for an exclusive domain: the marker (so that
kube-scheduler asks us before it binds), and a scheduling gate, or a pin where the group's hold
leaves no doubt. A pod that is bound already, or that we have decided on before (it carries our
`admitted` annotation), is not gated.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lws_placement.engine.ask import Scope, ask_of
from lws_placement.engine.json_copy import json_copy
from lws_placement.engine.lws_groups import (
    group_key,
    parent_and_ordinal,
    subgroup_index,
    subgroup_key,
)
from lws_placement.engine.lws_names import (
    ADMITTED,
    GANG,
    GATE,
    GUEST_MARKER,
    LWS_EXCLUSIVE_TOPOLOGY,
    LWS_GROUP_INDEX,
    LWS_GROUP_KEY,
    LWS_LEADER_REQUESTS_TPUS,
    LWS_NAME,
    LWS_SIZE,
    LWS_SUBDOMAIN_POLICY,
    LWS_SUBGROUP_EXCLUSIVE_TOPOLOGY,
    LWS_SUBGROUP_INDEX,
    LWS_SUBGROUP_KEY,
    LWS_SUBGROUP_POLICY_TYPE,
    LWS_SUBGROUP_SIZE,
    LWS_UID,
    LWS_WORKER_INDEX,
    MANAGED,
    MEMBER_MARKER,
    NODE_NAME_FIELD,
    PINNED_NODE,
    PLAN,
    PREFER_TOPOLOGY,
    SCOPE,
    WITHIN_TOPOLOGY,
)
from lws_placement.engine.pod_env import add_lws_env, add_tpu_env, requests_tpu, tpu_env_bytes
from lws_placement.engine.whole_numbers import DEFAULT_MOST_SIZE, whole_number

Raw = dict[str, Any]

STAMPED = (SCOPE, WITHIN_TOPOLOGY, PREFER_TOPOLOGY, GANG, MANAGED)
"""Annotations of a LeaderWorkerSet that its pods do not get from LeaderWorkerSet itself."""

_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_SHOWN = 20
_MOST_ENV_BYTES = 2 * 2**20
"""etcd takes objects of 1.5 MiB."""


@dataclass(frozen=True, slots=True)
class Pin:
    """Where a hold wants a member, and the plan that says so."""

    node: str
    plan: str


@dataclass(frozen=True, slots=True)
class Owner:
    """Who a pod belongs to: the LeaderWorkerSet, or the topmost controller of another group's pod.

    `uid` is empty where there is none. `notes`: its annotations. `uid_note`: the annotation that
    takes the UID.
    """

    uid: str
    notes: Mapping[str, str] = field(default_factory=dict)
    uid_note: str = LWS_UID


@dataclass(frozen=True, slots=True)
class Denied:
    """The pod is refused; the text says what is wrong with which field."""

    message: str


def add_lws_identity(
    pod: Raw, *, namespace: str, most_size: int = DEFAULT_MOST_SIZE
) -> Raw | Denied:
    """Upstream's edits. A new pod; one that carries no LWS name label comes back equal.

    `most_size`: pods that a group may have, as some of them are told of all others.
    """
    labels = pod["metadata"].get("labels") or {}
    if not labels.get(LWS_NAME):
        return pod
    pod = json_copy(pod)
    size = _positive(pod, LWS_SIZE, most=most_size)
    if isinstance(size, Denied):
        return size
    subgroup_size = None
    if LWS_SUBGROUP_SIZE in _notes(pod):
        given = _positive(pod, LWS_SUBGROUP_SIZE, most=most_size)
        if isinstance(given, Denied):
            return given
        subgroup_size = given
    if labels.get(LWS_WORKER_INDEX) == "0":
        problem = _lead(pod, namespace=namespace, subgroup_size=subgroup_size)
    else:
        problem = _follow(pod, size=size, subgroup_size=subgroup_size)
    if problem is not None:
        return problem
    return _add_env(pod, namespace=namespace, size=size, subgroup_size=subgroup_size) or pod


def stamp(pod: Raw, owner: Owner) -> Raw:
    """The pod with what its owner asks of placement and the pod does not show. A new pod."""
    pod = json_copy(pod)
    notes = _notes(pod)
    if ADMITTED not in notes and not pod["spec"].get("nodeName"):
        if owner.uid:
            notes[owner.uid_note] = owner.uid
        notes |= {key: value for key, value in owner.notes.items() if key in STAMPED}
    return pod


def gate_or_pin(pod: Raw, *, pin: Pin | None, keep_affinity: bool) -> Raw:
    """Our edits, on a pod that has its identity and its owner's stamp. A new pod."""
    pod = json_copy(pod)
    notes = _notes(pod)
    ask = ask_of(notes)
    keep_affinity = keep_affinity and ask.scope is not Scope.LWS
    if ADMITTED in notes and not keep_affinity:
        _drop_terms(pod["spec"])  # put there again by a reinvocation
    if gates_of_others(pod["spec"]):
        pin = None
        _take_pin_back(pod)
    if ADMITTED in notes or pod["spec"].get("nodeName") or not ask.managed:
        return pod
    if not ask.places:
        _mark(pod, GUEST_MARKER)
        return pod
    _mark(pod, MEMBER_MARKER)
    if not keep_affinity:
        _drop_terms(pod["spec"])
    if pin is not None:
        notes |= {ADMITTED: "pinned", PINNED_NODE: pin.node, PLAN: pin.plan}
        affinity = pod["spec"].setdefault("affinity", {})
        affinity["nodeAffinity"] = pinned_affinity(affinity.get("nodeAffinity") or {}, pin.node)
    else:
        notes[ADMITTED] = "gated"
        gates = pod["spec"].setdefault("schedulingGates", [])
        if not any(g["name"] == GATE for g in gates):
            gates.append({"name": GATE})
    return pod


def gates_of_others(spec: Raw) -> list[str]:
    """Scheduling gates that are not ours. Such a pod is never pinned: who put them there may still
    change what it asks for, and may let it go when the room is long somebody else's.
    """
    return [gate["name"] for gate in spec.get("schedulingGates") or () if gate["name"] != GATE]


def _take_pin_back(pod: Raw) -> None:
    """Of a pod that got a gate of others after we had pinned it: from a webhook called later."""
    notes, spec = _notes(pod), pod["spec"]
    if notes.get(ADMITTED) != "pinned" or spec.get("nodeName"):
        return
    for note in (ADMITTED, PLAN):
        notes.pop(note, None)
    affinity = spec.get("affinity") or {}
    node = notes.pop(PINNED_NODE, "")
    kept = _unpinned_affinity(affinity.get("nodeAffinity") or {}, node)
    affinity.pop("nodeAffinity", None)
    if kept:
        affinity["nodeAffinity"] = kept
    if not affinity:
        spec.pop("affinity", None)


def _drop_terms(spec: Raw) -> None:
    for key in (LWS_GROUP_KEY, LWS_SUBGROUP_KEY):
        drop_exclusive_terms(spec, key=key)


def pinned_affinity(node_affinity: Raw, node: str) -> Raw:
    """`nodeAffinity` with the node-name pin added to every non-empty required term (they are ORed).

    The only shape that the API server lets a gated pod take on, and one that kube-scheduler turns
    into a look at one node (KEP-3838; PreFilter of the NodeAffinity plugin).
    """
    pin = {"key": NODE_NAME_FIELD, "operator": "In", "values": [node]}
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
    pin = {"key": NODE_NAME_FIELD, "operator": "In", "values": [node]}
    kept = []
    for term in (node_affinity.get(_REQUIRED) or {}).get("nodeSelectorTerms") or []:
        fields = [field for field in term.get("matchFields") or [] if field != pin]
        rest = {name: value for name, value in term.items() if name != "matchFields"}
        if rest or fields or not term:
            kept.append({**rest, "matchFields": fields} if fields else rest)
    others = {name: value for name, value in node_affinity.items() if name != _REQUIRED}
    return {**others, _REQUIRED: {"nodeSelectorTerms": kept}} if kept else others


def add_exclusive_terms(spec: Raw, *, key: str, value: str, topology: str) -> None:
    """Upstream's pair: with pods of this group, not with pods of any other, per `topology`.

    Left alone if the pod has any required affinity and any required anti-affinity term for that
    topology.
    """
    affinity = spec.setdefault("affinity", {})
    together = affinity.setdefault("podAffinity", {}).setdefault(_REQUIRED, [])
    apart = affinity.setdefault("podAntiAffinity", {}).setdefault(_REQUIRED, [])
    if any(t.get("topologyKey") == topology for t in together) and any(
        t.get("topologyKey") == topology for t in apart
    ):
        return
    same = {"key": key, "operator": "In", "values": [value]}
    other = [
        {"key": key, "operator": "Exists"},
        {"key": key, "operator": "NotIn", "values": [value]},
    ]
    together.append({"labelSelector": {"matchExpressions": [same]}, "topologyKey": topology})
    apart.append({"labelSelector": {"matchExpressions": other}, "topologyKey": topology})


def drop_exclusive_terms(spec: Raw, *, key: str) -> None:
    """Take upstream's pair for `key` out again, and nothing else."""
    affinity = spec.get("affinity") or {}
    for kind in ("podAffinity", "podAntiAffinity"):
        terms = (affinity.get(kind) or {}).get(_REQUIRED)
        if terms is None:
            continue
        kept = [t for t in terms if not _selects_only(t, key)]
        if kept:
            affinity[kind][_REQUIRED] = kept
        else:
            del affinity[kind][_REQUIRED]
            if not affinity[kind]:
                del affinity[kind]
    if not affinity:
        spec.pop("affinity", None)


def _selects_only(term: Raw, key: str) -> bool:
    expressions = (term.get("labelSelector") or {}).get("matchExpressions") or []
    return bool(expressions) and all(e.get("key") == key for e in expressions)


def _lead(pod: Raw, *, namespace: str, subgroup_size: int | None) -> Denied | None:
    meta, spec, notes = pod["metadata"], pod["spec"], _notes(pod)
    labels = meta["labels"]
    name = meta.get("name", "")
    if LWS_GROUP_INDEX not in labels:
        split = parent_and_ordinal(name)
        if split is None:
            return _unnamed(name)
        labels[LWS_GROUP_INDEX] = str(split[1])
    if notes.get(LWS_SUBDOMAIN_POLICY) == "UniquePerReplica":
        spec["subdomain"] = name
    key = labels.setdefault(LWS_GROUP_KEY, group_key(namespace, name))
    topology = notes.get(LWS_EXCLUSIVE_TOPOLOGY)
    if topology:
        add_exclusive_terms(spec, key=LWS_GROUP_KEY, value=key, topology=topology)
    excluded = notes.get(LWS_SUBGROUP_POLICY_TYPE) == "LeaderExcluded"
    if subgroup_size is not None and LWS_SUBGROUP_INDEX not in labels and not excluded:
        _join_subgroup(pod, leader=name, index="0")
    return None


def _follow(pod: Raw, *, size: int, subgroup_size: int | None) -> Denied | None:
    labels, name = pod["metadata"]["labels"], pod["metadata"].get("name", "")
    split = parent_and_ordinal(name)
    if split is None:
        return _unnamed(name)
    leader, ordinal = split
    labels[LWS_WORKER_INDEX] = str(ordinal)
    if subgroup_size is not None and LWS_SUBGROUP_INDEX not in labels:
        index = subgroup_index(ordinal, size=size, subgroup_size=subgroup_size)
        _join_subgroup(pod, leader=leader, index=str(index))
    return None


def _join_subgroup(pod: Raw, *, leader: str, index: str) -> None:
    labels = pod["metadata"]["labels"]
    key = subgroup_key(leader, index)
    labels[LWS_SUBGROUP_INDEX], labels[LWS_SUBGROUP_KEY] = index, key
    topology = _notes(pod).get(LWS_SUBGROUP_EXCLUSIVE_TOPOLOGY)
    if topology:
        add_exclusive_terms(pod["spec"], key=LWS_SUBGROUP_KEY, value=key, topology=topology)


def _add_env(pod: Raw, *, namespace: str, size: int, subgroup_size: int | None) -> Denied | None:
    meta, spec = pod["metadata"], pod["spec"]
    labels, notes = meta["labels"], _notes(pod)
    worker = int(labels[LWS_WORKER_INDEX])
    leader = meta["name"] if worker == 0 else f"{labels[LWS_NAME]}-{_index(pod)}"
    if tpu_env_bytes(spec, leader=leader, size=subgroup_size or size) > _MOST_ENV_BYTES:
        return Denied(
            f"pod {pod_name(pod)}: spec.containers: with so many TPU containers and {size} pods in "
            "the group, the host lists that each is given are larger than an object may be"
        )
    leads_with_tpu = (
        requests_tpu(spec) if worker == 0 else notes.get(LWS_LEADER_REQUESTS_TPUS) == "true"
    )
    add_tpu_env(
        spec,
        leader=leader,
        size=size,
        worker=worker,
        leader_has_tpu=leads_with_tpu,
        subgroup_size=subgroup_size,
    )
    subdomain = spec.get("subdomain", "")
    add_lws_env(
        spec,
        leader_address=f"{leader}.{subdomain}.{namespace}",
        size=notes[LWS_SIZE],
        worker_index=str(worker),
    )
    return None


def _index(pod: Raw) -> str:
    """Group index of a worker; its parent's ordinal where the label is missing."""
    label = pod["metadata"]["labels"].get(LWS_GROUP_INDEX)
    if label:
        return str(label)
    parent = parent_and_ordinal(pod["metadata"]["name"])
    split = parent_and_ordinal(parent[0]) if parent else None
    return str(split[1]) if split else ""


def _mark(pod: Raw, marker: str) -> None:
    """Quantity 0 is enough for kube-scheduler to send the pod to us, and asks nothing of a node."""
    resources = pod["spec"]["containers"][0].setdefault("resources", {})
    for kind in ("requests", "limits"):
        resources.setdefault(kind, {})[marker] = "0"


def _positive(pod: Raw, key: str, *, most: int) -> int | Denied:
    value = _notes(pod).get(key)
    number = whole_number(value, least=1, most=most)
    if number is not None:
        return number
    found = "is missing" if value is None else f"is {str(value)[:_SHOWN]!r}, not a positive number"
    if whole_number(value, least=1) is not None:
        found = f"is {value}; a group may have {most} pods (setting max_group_size)"
    return Denied(f"pod {pod_name(pod)}: metadata.annotations[{key}] {found}")


def pod_name(pod: Raw) -> str:
    """For people: a pod that is still to be named goes by what its name will begin with."""
    meta = pod["metadata"]
    return str(meta.get("name") or f"{meta.get('generateName') or ''}*")


def _unnamed(name: str) -> Denied:
    return Denied(
        f"pod {name!r}: metadata.name does not end in an ordinal, as LeaderWorkerSet's do"
    )


def _notes(pod: Raw) -> dict[str, str]:
    notes: dict[str, str] = pod["metadata"].setdefault("annotations", {})
    return notes
