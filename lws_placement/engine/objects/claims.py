"""What a claim means for the node of its pod."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from lws_placement.engine.base.keys import HOSTNAME
from lws_placement.engine.objects.label_terms import selects, term_matches
from lws_placement.engine.objects.nodes import Node, NodeTerm, Operator
from lws_placement.engine.objects.pod_volumes import ClaimSpec
from lws_placement.engine.objects.volumes import CapacityPool, Handle, Volume, VolumePool

_GENERAL = {
    "failure-domain.beta.kubernetes.io/zone": "topology.kubernetes.io/zone",
    "failure-domain.beta.kubernetes.io/region": "topology.kubernetes.io/region",
}
_TOPOLOGY_LABELS = (*_GENERAL, *_GENERAL.values())
_ZONES = tuple(_GENERAL)[:1] + tuple(_GENERAL.values())[:1]


@dataclass(frozen=True, slots=True)
class BoundClaim:
    """It has a volume, which some nodes can reach."""

    name: str
    required: tuple[NodeTerm, ...] | None
    labels: tuple[tuple[str, frozenset[str]], ...]
    """Topology labels of the volume, and the values that a node may have (VolumeZone)."""
    handle: Handle | None = None

    @classmethod
    def of(cls, name: str, volume: Volume, *, by_zone: bool) -> "BoundClaim":
        """`by_zone`: the volume's topology labels count."""
        labels = tuple(_topologies(volume.labels)) if by_zone else ()
        return cls(name, volume.required, labels, volume.handle)

    def why_not(self, node: Node) -> str | None:
        required = self.required
        # The node's name does not count (CheckNodeAffinity).
        if required is not None and not any(
            term_matches(term, node.labels, name="") for term in required
        ):
            return f"its volume {self.name} is {_where(required)}"
        if self.labels and any(key in node.labels for key in _TOPOLOGY_LABELS):
            for key, values in self.labels:
                value = node.labels.get(key, node.labels.get(_GENERAL.get(key, key)))
                if value not in values:
                    kind = "zone" if key in _ZONES else "region"
                    return f"its volume {self.name} is in {kind} {_in_words(values)}"
        return None


@dataclass(frozen=True, slots=True)
class Provision:
    """A storage class that makes volumes."""

    storage_class: str
    topologies: tuple[NodeTerm, ...]
    capacities: CapacityPool | None
    """None: they are not tracked."""

    def why_not(self, size: int, node: Node) -> str | None:
        if self.topologies and not any(
            term_matches(term, node.labels, name="") for term in self.topologies
        ):
            return f"storage class {self.storage_class} makes no volumes there"
        if self.capacities is None or self.capacities.has_room(size, node.labels):
            return None
        return f"storage class {self.storage_class} has too little room there"


@dataclass(frozen=True, slots=True)
class OpenClaim:
    """It gets a volume when its pod gets a node: one that there is, else one that is made.

    `name`: of the claim, or of its template. `meant`: volumes that name the claim. Equal for
    members whose claims can get the same volumes.
    """

    name: str
    spec: ClaimSpec
    pool: VolumePool
    meant: tuple[Volume, ...] = ()
    provision: Provision | None = None
    selected_node: str | None = None
    driver: str = ""
    """The provisioner of its class; empty without a class."""

    def why_not(self, node: Node) -> str | None:
        if self.selected_node is not None and self.selected_node != node.name:
            return f"the volume of its claim {self.name} is being made for {self.selected_node}"
        if any(True for _ in self.choices(node)):
            return None
        if self.provision is None:
            return f"no volume there for its claim {self.name}"
        why = self.provision.why_not(self.spec.size, node)
        return f"{why}, for its claim {self.name}" if why is not None else None

    def is_made_on(self, node: Node) -> bool:
        """Whether a volume can be made for it there."""
        return self.provision is not None and self.provision.why_not(self.spec.size, node) is None

    def choices(self, node: Node) -> Iterator[Volume]:
        """The volumes that it can get there."""
        if self.selected_node is not None:
            return
        if self.meant:
            yield from (v for v in self.meant if v.is_accessible(node.labels))
            return
        spec = self.spec
        for volume in self.pool.at(node.labels):
            suits = self.could_take(spec, volume) and spec.modes <= volume.modes
            if suits and (spec.selector is None or selects(spec.selector, volume.labels)):
                yield volume

    @staticmethod
    def could_take(spec: ClaimSpec, volume: Volume) -> bool:
        """What holds also for a volume that names the claim."""
        return (
            volume.size >= spec.size
            and volume.block == spec.block
            and volume.attributes_class == spec.attributes_class
            and not volume.deleting
        )


def _topologies(labels: Mapping[str, str]) -> Iterator[tuple[str, frozenset[str]]]:
    for key in _TOPOLOGY_LABELS:
        if key in labels:
            values = [value.strip() for value in labels[key].split("__")]
            if all(values):
                yield key, frozenset(values)


def _where(required: tuple[NodeTerm, ...]) -> str:
    """In words, for the usual node affinities."""
    requirements = [r for term in required for r in (*term.expressions, *term.fields)]
    if len(requirements) == 1 and requirements[0].operator is Operator.IN:
        (one,) = requirements
        values = _in_words(one.values)
        if one.key == HOSTNAME:
            return f"on node {values}"
        if one.key in _ZONES or one.key.endswith("/zone"):
            return f"in zone {values}"
        return f"where {one.key} is {values}"
    return "not accessible from there"


def _in_words(values: tuple[str, ...] | frozenset[str]) -> str:
    first = sorted(values)[:3]
    return " or ".join(first) + (" or others" if len(values) > len(first) else "")
