"""YAML files -> objects as the API server would return them.

Whatever a simulation does not need may be left out of a file: names of namespaces, UIDs, versions,
conditions of nodes. `kind: NodePool`, which no API server knows, stands for the nodes of one
domain:

    kind: NodePool
    name: pool-1                             # nodes pool-1-0, pool-1-1, ...
    key: cloud.google.com/gke-nodepool       # their label of this key has the pool's name as value
    count: 4
    allocatable: {cpu: 64, google.com/tpu: 4}
    labels: {}                               # beside kubernetes.io/hostname
                                             # also: taints, unschedulable, ready

`name: pool-01..pool-20` stands for twenty such pools. `kind: NodeGroup` has the same fields and
`most`: how many such domains, NAME-1, NAME-2, ..., a cluster autoscaler could make. A `kind: List`,
as `kubectl get nodes -o yaml` prints it, counts as its items.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from pathlib import Path

import yaml

from lws_placement.engine.base.keys import HOSTNAME
from lws_placement.engine.base.raw import Raw
from lws_placement.engine.base.whole_numbers import whole_number
from lws_placement.errors import InvalidObjectError

NODE_GROUP = "NodeGroup"
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_NODE_FIELDS = {"allocatable", "labels", "taints", "unschedulable", "ready"}
_POOL_FIELDS = {"apiVersion", "kind", "name", "key", "count", *_NODE_FIELDS}
_TYPES: Mapping[str, type] = {"labels": dict, "allocatable": dict, "taints": list, "key": str}
_IN_WORDS: Mapping[type, str] = {dict: "mapping", list: "list", str: "text"}
_PODS = "110"
_MOST_NODES = 100_000
_SHOWN = 60


def load_files(paths: Sequence[Path]) -> list[Raw]:
    """The objects of all files. Raises InvalidObjectError, which names the file."""
    found: list[Raw] = []
    for path in paths:
        try:
            text = path.read_text()
        except (OSError, UnicodeDecodeError) as e:
            raise InvalidObjectError(f"{path}: cannot be read: {e}") from e
        found += load_text(text, where=str(path))
    return found


def load_text(text: str, *, where: str) -> list[Raw]:
    """The objects of all documents, with pools expanded. Raises InvalidObjectError."""
    try:
        documents = list(yaml.load_all(text, Loader=_Loader))
    except yaml.YAMLError as e:
        raise InvalidObjectError(f"{where}: is not YAML: {' '.join(str(e).split())}") from e
    found: list[Raw] = []
    for number, document in enumerate(documents, start=1):
        if document is not None:
            found += _objects(document, where=f"{where}, document {number}")
    return found


def _objects(document: object, *, where: str) -> Iterator[Raw]:
    if not isinstance(document, dict) or not isinstance(document.get("kind"), str):
        raise InvalidObjectError(f"{where}: is no object with a kind")
    if document["kind"].endswith("List") and isinstance(document.get("items"), list):
        kind = document["kind"].removesuffix("List")
        for item in document["items"]:
            yield from _objects({"kind": kind, **item} if kind else item, where=where)
    elif document["kind"] == "NodePool":
        yield from _pool(document, where=where)
    elif document["kind"] == NODE_GROUP:
        yield _node_group(document, where=where)
    else:
        meta = document.get("metadata")
        if not isinstance(meta, dict) or not meta.get("name"):
            raise InvalidObjectError(f"{where}: {document['kind']} has no metadata.name")
        yield document


def _pool(pool: Raw, *, where: str) -> Iterator[Raw]:
    name, where = _name_of(pool, _POOL_FIELDS, where=where)
    names, count = _names(name), _count(pool, "count", where=where)
    if names is None:
        raise InvalidObjectError(f"{where}: name is not a range like s01..s20")
    _check_number(len(names) * count, where=where)
    for one in names:
        yield from nodes_of(pool, name=one, count=count)


def _node_group(pool: Raw, *, where: str) -> Raw:
    name, where = _name_of(pool, _POOL_FIELDS | {"most"}, where=where)
    count, most = (_count(pool, field, where=where) for field in ("count", "most"))
    _check_number(count * most, where=where)
    size = {"most": most, "count": count}
    return {"kind": NODE_GROUP, "metadata": {"name": name}, "pool": pool, **size}


def _name_of(pool: Raw, fields: Set[str], *, where: str) -> tuple[str, str]:
    """The name, and where it is, in words."""
    kind = pool["kind"]
    if unknown := sorted(set(pool) - fields):
        raise InvalidObjectError(f"{where}: {kind} has no field {unknown[0]}")
    if not pool.get("name"):
        raise InvalidObjectError(f"{where}: {kind} has no name")
    name = str(pool["name"])
    where = f"{where}: {kind} {name[:_SHOWN]}"
    for field, type_ in _TYPES.items():
        if not isinstance(pool.get(field) or type_(), type_):
            raise InvalidObjectError(f"{where}: {field} is not a {_IN_WORDS[type_]}")
    return name, where


def _count(pool: Raw, field: str, *, where: str) -> int:
    number = whole_number(pool.get(field, 1), most=_MOST_NODES)
    if number is None:
        raise InvalidObjectError(f"{where}: {field} is not a number up to {_MOST_NODES} in all")
    return number


def _check_number(nodes: int, *, where: str) -> None:
    if nodes > _MOST_NODES:
        raise InvalidObjectError(f"{where}: count is not a number up to {_MOST_NODES} in all")


def nodes_of(pool: Raw, *, name: str, count: int) -> Iterator[Raw]:
    """The nodes of one domain of this name."""
    key = {pool["key"]: name} if pool.get("key") else {}
    for number in range(count):
        yield {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {
                "name": f"{name}-{number}",
                "labels": {HOSTNAME: f"{name}-{number}", **(pool.get("labels") or {}), **key},
            },
            "spec": {
                "taints": pool.get("taints") or [],
                "unschedulable": bool(pool.get("unschedulable")),
            },
            "status": {
                "allocatable": pool.get("allocatable") or {},
                "conditions": [{"type": "Ready", "status": str(pool.get("ready", True))}],
            },
        }


def _names(text: str) -> Sequence[str] | None:
    """`s01..s20` -> twenty names, at most as many as nodes; None if it is a malformed range."""
    first, dots, last = text.partition("..")
    if not dots:
        return [text]
    stem = first.rstrip("0123456789")
    digits = first.removeprefix(stem)
    low = whole_number(digits, most=_MOST_NODES)
    high = whole_number(last.removeprefix(stem), most=_MOST_NODES)
    if low is None or high is None or high < low or not last.startswith(stem):
        return None
    return [f"{stem}{number:0{len(digits)}}" for number in range(low, high + 1)]


def as_stored(raw: Raw, *, number: int) -> Raw:
    """The object as the API server would store it. `number` becomes its UID and version."""
    meta = {"uid": f"file-{number}", **raw["metadata"], "resourceVersion": str(number)}
    stored = {**raw, "metadata": meta}
    match raw["kind"]:
        case "Node":
            stored["status"] = _node_status(raw.get("status") or {})
        case "Pod":
            meta.setdefault("namespace", "default")
            stored["spec"] = {"containers": [], **(raw.get("spec") or {})}
        case _:
            meta.setdefault("namespace", "default")
    return stored


def _node_status(status: Raw) -> Raw:
    """Ready unless the file says otherwise, with kubelet's default number of pods."""
    room = status.get("allocatable") or status.get("capacity") or {}
    ready = [{"type": "Ready", "status": "True"}]
    return {
        **status,
        "allocatable": {"pods": _PODS, **room},
        "conditions": status.get("conditions") or ready,
    }


def by_kind(objects: Iterable[Raw]) -> dict[str, list[Raw]]:
    found: dict[str, list[Raw]] = {}
    for raw in objects:
        found.setdefault(raw["kind"], []).append(raw)
    return found
