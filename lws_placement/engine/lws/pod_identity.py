"""Upstream's part of a pod's admission: identity, terms and environment.

The edits are those of upstream's pod webhook, with the same results whether that webhook ran
before, runs after, or is absent: labels are set only if absent, exclusive terms only if the pod has
no pair for that topology, environment is rebuilt.
"""

from collections.abc import Collection
from dataclasses import dataclass

from lws_placement.engine.base import keys
from lws_placement.engine.base.group_names import (
    group_key,
    is_keyed,
    parent_and_ordinal,
    subgroup_index,
    subgroup_key,
)
from lws_placement.engine.base.raw import Raw
from lws_placement.engine.base.whole_numbers import DEFAULT_MOST_SIZE, whole_number
from lws_placement.engine.lws.pod_env import (
    GroupHosts,
    add_lws_env,
    add_tpu_env,
    requests_tpu,
    tpu_env_bytes,
)

_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_SHOWN = 20
_HOST_OF_KEY = 8
_MOST_ENV_BYTES = 2 * 2**20
"""etcd accepts objects up to 1.5 MiB."""


@dataclass(frozen=True, slots=True)
class Denied:
    """The pod is refused; the text names the field and its problem."""

    message: str


def add_lws_identity(
    pod: Raw, *, namespace: str, most_size: int = DEFAULT_MOST_SIZE
) -> Denied | None:
    """Upstream's edits, in place; none on a pod without the LWS name label.

    `most_size`: the limit of a group's pods, as the environment of some pods lists all of them.
    """
    labels = pod["metadata"].get("labels") or {}
    if not labels.get(keys.LWS_NAME):
        return None
    size = _positive(pod, keys.LWS_SIZE, most=most_size)
    if isinstance(size, Denied):
        return size
    subgroup_size = None
    if keys.LWS_SUBGROUP_SIZE in annotations_of(pod):
        given = _positive(pod, keys.LWS_SUBGROUP_SIZE, most=most_size)
        if isinstance(given, Denied):
            return given
        subgroup_size = given
    if labels.get(keys.LWS_WORKER_INDEX) == "0":
        problem = _lead(pod, namespace=namespace, subgroup_size=subgroup_size)
    else:
        problem = _follow(pod, size=size, subgroup_size=subgroup_size)
    if problem is not None:
        return problem
    return _add_env(pod, namespace=namespace, size=size, subgroup_size=subgroup_size)


def add_exclusive_terms(spec: Raw, *, key: str, value: str, topology: str) -> None:
    """Upstream's pair per `topology`: with pods of this group, not with pods of another group.

    Skipped if the pod already has both a required affinity and a required anti-affinity term for
    that topology.
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
    """Removes upstream's pair for `key`, and nothing else."""
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


def is_exclusive_term(term: Raw, topologies: Collection[str]) -> bool:
    """True for either term of the pair, of a group or a subgroup, for one of these topologies."""
    if term.get("topologyKey") not in topologies:
        return False
    return any(_selects_only(term, key) for key in (keys.LWS_GROUP_KEY, keys.LWS_SUBGROUP_KEY))


def _selects_only(term: Raw, key: str) -> bool:
    selector = term.get("labelSelector") or {}
    expressions = selector.get("matchExpressions") or []
    return (
        not selector.get("matchLabels")
        and bool(expressions)
        and all(e.get("key") == key for e in expressions)
    )


def _lead(pod: Raw, *, namespace: str, subgroup_size: int | None) -> Denied | None:
    meta, spec, annotations = pod["metadata"], pod["spec"], annotations_of(pod)
    labels = meta["labels"]
    name = meta.get("name") or ""
    if keys.LWS_GROUP_INDEX not in labels:
        split = parent_and_ordinal(name)
        if split is None:
            return _unnamed(pod)
        labels[keys.LWS_GROUP_INDEX] = str(split[1])
    if annotations.get(keys.LWS_SUBDOMAIN_POLICY) == "UniquePerReplica" and name:
        spec["subdomain"] = name
    key = labels.setdefault(keys.LWS_GROUP_KEY, group_key(namespace, name))
    topology = annotations.get(keys.LWS_EXCLUSIVE_TOPOLOGY)
    if topology:
        add_exclusive_terms(spec, key=keys.LWS_GROUP_KEY, value=key, topology=topology)
    excluded = annotations.get(keys.LWS_SUBGROUP_POLICY_TYPE) == "LeaderExcluded"
    if subgroup_size is not None and keys.LWS_SUBGROUP_INDEX not in labels and not excluded:
        _join_subgroup(pod, leader=name, index="0")
    return None


def _follow(pod: Raw, *, size: int, subgroup_size: int | None) -> Denied | None:
    labels, name = pod["metadata"]["labels"], pod["metadata"].get("name") or ""
    split = parent_and_ordinal(name)
    if split is None:
        return _unnamed(pod)
    leader, ordinal = split
    labels[keys.LWS_WORKER_INDEX] = str(ordinal)
    if subgroup_size is not None and keys.LWS_SUBGROUP_INDEX not in labels:
        index = subgroup_index(ordinal, size=size, subgroup_size=subgroup_size)
        _join_subgroup(pod, leader=leader, index=str(index))
    return None


def _join_subgroup(pod: Raw, *, leader: str, index: str) -> None:
    labels = pod["metadata"]["labels"]
    key = subgroup_key(labels[keys.LWS_GROUP_KEY] if _is_keyed(labels) else leader, index)
    labels[keys.LWS_SUBGROUP_INDEX], labels[keys.LWS_SUBGROUP_KEY] = index, key
    topology = annotations_of(pod).get(keys.LWS_SUBGROUP_EXCLUSIVE_TOPOLOGY)
    if topology:
        add_exclusive_terms(pod["spec"], key=keys.LWS_SUBGROUP_KEY, value=key, topology=topology)


def _add_env(pod: Raw, *, namespace: str, size: int, subgroup_size: int | None) -> Denied | None:
    spec, annotations = pod["spec"], annotations_of(pod)
    worker = int(pod["metadata"]["labels"][keys.LWS_WORKER_INDEX])
    leader, host = _leader_of(pod, worker)
    if tpu_env_bytes(spec, leader=leader, size=subgroup_size or size) > _MOST_ENV_BYTES:
        return Denied(
            f"pod {pod_name(pod)}: spec.containers: with so many TPU containers and {size} pods in "
            "the group, the host lists that each is given are larger than an object may be"
        )
    leads_with_tpu = (
        requests_tpu(spec)
        if worker == 0
        else annotations.get(keys.LWS_LEADER_REQUESTS_TPUS) == "true"
    )
    if leader:
        add_tpu_env(
            spec,
            group=GroupHosts(leader, host, size, spec.get("subdomain", "")),
            worker=worker,
            leader_has_tpu=leads_with_tpu,
            subgroup_size=subgroup_size,
        )
    given = annotations.get(keys.LWS_LEADER_ADDRESS)
    add_lws_env(
        spec,
        leader_address=given or f"{host}.{spec.get('subdomain', '')}.{namespace}",
        size=annotations[keys.LWS_SIZE],
        worker_index=str(worker),
    )
    return None


def _leader_of(pod: Raw, worker: int) -> tuple[str, str]:
    """Name and host name of the group's leader pod; the name is empty while unknown.

    In a group with a key in place of an ordinal the leader gets its name only at creation. Its host
    name derives from the key; upstream's webhook has set it, and passed it to the workers.
    """
    labels, annotations = pod["metadata"]["labels"], annotations_of(pod)
    name = str(pod["metadata"].get("name") or "")
    if not _is_keyed(labels):
        by_index = f"{labels[keys.LWS_NAME]}-{_index(pod)}"
        leader = (name if worker == 0 else "") or by_index
        return leader, leader
    host = labels[keys.LWS_GROUP_KEY][:_HOST_OF_KEY]
    if worker == 0:
        return name, pod["spec"].get("hostname") or host
    parent = parent_and_ordinal(name)
    address = annotations.get(keys.LWS_LEADER_ADDRESS) or ""
    return parent[0] if parent else "", address.partition(".")[0] or host


def _is_keyed(labels: Raw) -> bool:
    return is_keyed(labels.get(keys.LWS_GROUP_INDEX) or "", labels.get(keys.LWS_GROUP_KEY) or "")


def _index(pod: Raw) -> str:
    """Group index of a worker; its parent's ordinal if the label is missing."""
    label = pod["metadata"]["labels"].get(keys.LWS_GROUP_INDEX)
    if label:
        return str(label)
    parent = parent_and_ordinal(pod["metadata"].get("name") or "")
    split = parent_and_ordinal(parent[0]) if parent else None
    return str(split[1]) if split else ""


def _positive(pod: Raw, key: str, *, most: int) -> int | Denied:
    value = annotations_of(pod).get(key)
    number = whole_number(value, least=1, most=most)
    if number is not None:
        return number
    found = "is missing" if value is None else f"is {str(value)[:_SHOWN]!r}, not a positive number"
    if whole_number(value, least=1) is not None:
        found = f"is {value}; a group may have {most} pods (setting max_group_size)"
    return Denied(f"pod {pod_name(pod)}: metadata.annotations[{key}] {found}")


def pod_name(pod: Raw) -> str:
    """For users: a pod without a name yet goes by the prefix of its name."""
    meta = pod["metadata"]
    return str(meta.get("name") or f"{meta.get('generateName') or ''}*")


def _unnamed(pod: Raw) -> Denied:
    """LeaderWorkerSet denies it as well."""
    given = pod["metadata"].get("name")
    field = "metadata.name" if given else "metadata.name, still to be made from generateName,"
    return Denied(
        f"pod {pod_name(pod)}: {field} does not end in an ordinal, as that of a LeaderWorkerSet's "
        f"pod does; if it is to be none, take its label {keys.LWS_NAME} off"
    )


def annotations_of(pod: Raw) -> dict[str, str]:
    annotations: dict[str, str] = pod["metadata"].setdefault("annotations", {})
    return annotations
