"""What drivers publish in ResourceSlices, and what DeviceClasses say (`resource.k8s.io/v1`, 1.37).

Amounts are exact fractions, in units of the quantity.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from lws_placement.engine.objects.label_terms import term_matches
from lws_placement.engine.objects.nodes import Node, NodeTerm

DeviceId = tuple[str, str, str]
"""Driver, pool and name."""
PoolId = tuple[str, str]
"""Driver and name."""
Value = tuple[str, str | int | bool | tuple[str | int | bool, ...]]
"""Of an attribute: its kind (`int`, `bool`, `string`, `version`, or a list of these: `ints`, ...)
and the value.
"""
Amounts = Mapping[str, Fraction]


@dataclass(frozen=True, slots=True)
class NodeChoice:
    """The nodes that reach a device."""

    name: str = ""
    """One node; empty: see below."""
    everywhere: bool = False
    terms: tuple[NodeTerm, ...] | None = None
    """ORed."""

    def includes(self, node: Node) -> bool:
        if self.name:
            return self.name == node.name
        if self.everywhere:
            return True
        terms = self.terms or ()
        return any(term_matches(term, node.labels, name=node.name) for term in terms)


@dataclass(frozen=True, slots=True)
class CapacityRange:
    least: Fraction
    most: Fraction | None = None
    step: Fraction | None = None


@dataclass(frozen=True, slots=True)
class Capacity:
    """`default`, `valid_range`, `valid_values`: its `requestPolicy`."""

    value: Fraction
    default: Fraction | None = None
    valid_range: CapacityRange | None = None
    valid_values: tuple[Fraction, ...] = ()


@dataclass(frozen=True, slots=True)
class DeviceTaint:
    key: str
    value: str
    effect: str


@dataclass(frozen=True, slots=True)
class Device:
    """`attributes` and `capacity`: by their names as the slice has them, with or without a domain.

    `uses`: counter set -> counter -> amount. `nodes`: only if its slice leaves that to devices.
    `unmodelled`: a field that changes what kube-scheduler does in a way unknown here.
    """

    id: DeviceId
    attributes: Mapping[str, Value]
    capacity: Mapping[str, Capacity]
    taints: tuple[DeviceTaint, ...] = ()
    uses: Mapping[str, Amounts] | None = None
    nodes: NodeChoice | None = None
    shareable: bool = False
    """`allowMultipleAllocations`."""
    stays_local: bool = False
    """`bindsToNode`: who gets it stays on its node."""
    binds_late: bool = False
    """`bindingConditions`: taken last."""
    unmodelled: str = ""

    def __hash__(self) -> int:
        return hash(self.id)

    @property
    def driver(self) -> str:
        return self.id[0]

    def attribute(self, name: str) -> Value | None:
        """By its full name, `<domain>/<id>`."""
        found = self.attributes.get(name)
        if found is not None:
            return found
        domain, _, short = name.partition("/")
        return self.attributes.get(short) if domain == self.driver else None


@dataclass(frozen=True, slots=True)
class Slice:
    """A ResourceSlice. `nodes`: None if each device says which nodes reach it."""

    name: str
    pool: PoolId
    generation: int
    count: int
    """Slices that make up its pool."""
    nodes: NodeChoice | None
    counters: Mapping[str, Amounts]
    devices: tuple[Device, ...]

    def __hash__(self) -> int:
        return hash(self.name)

    def reaches(self, node: Node) -> bool:
        if self.nodes is not None:
            return self.nodes.includes(node)
        return any(d.nodes is not None and d.nodes.includes(node) for d in self.devices)


@dataclass(frozen=True, slots=True)
class DeviceClass:
    name: str
    selectors: tuple[str, ...] = ()
    """CEL expressions; all must hold."""
    resource: str = ""
    """`extendedResourceName`."""
    created_s: float = 0.0
    unmodelled: str = ""


@dataclass(frozen=True, slots=True)
class TaintRule:
    """A DeviceTaintRule: empty fields match all."""

    driver: str
    pool: str
    device: str
    taint: DeviceTaint

    def matches(self, device: Device) -> bool:
        mine = (self.driver, self.pool, self.device)
        return all(not want or want == is_ for want, is_ in zip(mine, device.id, strict=True))
