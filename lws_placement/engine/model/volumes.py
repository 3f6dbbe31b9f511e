"""Claims, volumes and what makes volumes, as kube-scheduler's volume plugins see them: frozen
values, free of JSON.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from lws_placement.engine.model.label_terms import term_matches
from lws_placement.engine.model.nodes import NodeTerm, Operator
from lws_placement.engine.model.pod_rules import Selector
from lws_placement.engine.model.pod_volumes import ClaimSpec

Handle = tuple[str, str]
"""CSI driver, and what it calls the volume."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A PersistentVolumeClaim."""

    namespace: str
    name: str
    uid: str
    spec: ClaimSpec
    volume: str = ""
    """Name of its volume; counts once the claim is `bound`."""
    bound: bool = False
    lost: bool = False
    deleting: bool = False
    selected_node: str | None = None
    """The node for which its volume is being made."""
    owner_uid: str = ""


@dataclass(frozen=True, slots=True)
class Volume:
    """A PersistentVolume."""

    name: str
    storage_class: str
    size: int
    modes: frozenset[str]
    block: bool = False
    attributes_class: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    required: tuple[NodeTerm, ...] | None = None
    """Its node affinity; None: it is accessible from every node."""
    claim: tuple[str, str, str] | None = None
    """Namespace, name and UID (may be empty) of the claim that has it, or shall have it."""
    available: bool = False
    deleting: bool = False
    handle: Handle | None = None

    def __hash__(self) -> int:
        return hash(self.name)

    def is_accessible(self, labels: Mapping[str, str]) -> bool:
        """From a node with these labels. The node's name does not count (CheckNodeAffinity)."""
        if self.required is None:
            return True
        return any(term_matches(term, labels, name="") for term in self.required)


@dataclass(frozen=True, slots=True)
class StorageClass:
    name: str
    provisioner: str = ""
    makes_volumes: bool = True
    """False for static volumes alone (`kubernetes.io/no-provisioner`)."""
    waits: bool = False
    """`WaitForFirstConsumer`: a claim is bound when its pod has a node."""
    topologies: tuple[NodeTerm, ...] = ()
    """`allowedTopologies`; empty: everywhere."""
    is_default: bool = False
    created_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Capacity:
    """A CSIStorageCapacity: the largest volume that a class makes for some nodes."""

    storage_class: str
    topology: Selector | None
    """None: for no node."""
    limit: int | None
    """Bytes; None: unknown, which counts as too little."""


@dataclass(frozen=True, slots=True)
class Driver:
    """A CSIDriver."""

    name: str
    tracks_capacity: bool = False
    """`storageCapacity`: it makes volumes where a `Capacity` says so."""
    needs_node: bool = False
    """`preventPodSchedulingIfMissing`: not on nodes whose CSINode lacks it."""


@dataclass(frozen=True, slots=True)
class DriversOnNode:
    """A CSINode."""

    names: frozenset[str] = frozenset()
    limits: Mapping[str, int] = field(default_factory=dict)
    """Driver -> volumes that may be attached to the node."""


class VolumePool:
    """The unclaimed volumes of one storage class. A query costs O(its result) for volumes that are
    accessible by one value of a label, as local ones are.
    """

    def __init__(self, volumes: Iterable[Volume] = ()) -> None:
        self._by_label: dict[str, dict[str, list[Volume]]] = {}
        self._others: list[Volume] = []
        for volume in sorted(volumes, key=lambda v: (v.size, v.name)):
            places = _label_values(volume)
            if places is None:
                self._others.append(volume)
                continue
            key, values = places
            for value in values:
                self._by_label.setdefault(key, {}).setdefault(value, []).append(volume)

    def __bool__(self) -> bool:
        return bool(self._others or self._by_label)

    def at(self, labels: Mapping[str, str]) -> Iterator[Volume]:
        """Those that are accessible from a node with these labels."""
        for key, by_value in self._by_label.items():
            yield from by_value.get(labels.get(key, ""), ())
        yield from (v for v in self._others if v.is_accessible(labels))


def _label_values(volume: Volume) -> tuple[str, Collection[str]] | None:
    """The key and the values of the one requirement that its node affinity consists of."""
    if volume.required is None or len(volume.required) != 1:
        return None
    (term,) = volume.required
    if term.fields or len(term.expressions) != 1:
        return None
    (one,) = term.expressions
    is_simple = one.operator is Operator.IN and "" not in one.values
    return (one.key, frozenset(one.values)) if is_simple else None


NO_POOL = VolumePool()
