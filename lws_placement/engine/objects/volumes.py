"""Claims, volumes and what makes volumes, as kube-scheduler's volume plugins see them: frozen
values, free of JSON.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from lws_placement.engine.objects.label_index import LabelIndex
from lws_placement.engine.objects.label_terms import selects, term_matches
from lws_placement.engine.objects.nodes import NodeTerm, Requirement
from lws_placement.engine.objects.pod_rules import Selector
from lws_placement.engine.objects.pod_volumes import ClaimSpec

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
    """The unclaimed volumes of one storage class."""

    def __init__(self, volumes: Iterable[Volume] = ()) -> None:
        in_order = sorted(volumes, key=lambda v: (v.size, v.name))
        self._index = LabelIndex(in_order, _requirements_of, Volume.is_accessible)

    def __bool__(self) -> bool:
        return bool(self._index)

    def at(self, labels: Mapping[str, str]) -> Iterator[Volume]:
        """Those that are accessible from a node with these labels."""
        return self._index.at(labels)


def _requirements_of(volume: Volume) -> tuple[Requirement, ...] | None:
    if volume.required is None or len(volume.required) != 1 or volume.required[0].fields:
        return None
    return volume.required[0].expressions


class CapacityPool:
    """What a storage class can make, node by node."""

    def __init__(self, capacities: Iterable[Capacity] = ()) -> None:
        usable = [c for c in capacities if c.topology is not None and c.limit is not None]
        self._index = LabelIndex(usable, lambda c: c.topology, _is_for)

    def has_room(self, size: int, labels: Mapping[str, str]) -> bool:
        """For a volume of this size at a node with these labels."""
        return any(c.limit is not None and c.limit >= size for c in self._index.at(labels))


def _is_for(capacity: Capacity, labels: Mapping[str, str]) -> bool:
    return selects(capacity.topology, labels)


NO_POOL = VolumePool()
NO_CAPACITIES = CapacityPool()
