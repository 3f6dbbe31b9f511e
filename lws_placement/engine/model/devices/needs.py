"""What one pod's claims and extended resources need of its node, as a rule about nodes, and whether
several pods get their devices whatever order kube-scheduler binds them in (the plugin
DynamicResources, 1.37).

An extended resource that a class serves is asked of devices on a node that does not offer it
itself. Pods compete that reach the same pool, or use the same claim.
"""

from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from math import factorial

from lws_placement.engine.base.effort import Effort
from lws_placement.engine.model.devices.allocation import NotProvenError, allocate
from lws_placement.engine.model.devices.capacity import AllocationError
from lws_placement.engine.model.devices.looks import Attributes
from lws_placement.engine.model.devices.source import Devices, DeviceUser
from lws_placement.engine.model.devices.usage import UsageWith
from lws_placement.engine.objects.devices.claims import (
    MOST_RESERVED,
    Allocation,
    ClaimRef,
    DeviceClaim,
    DeviceClaimSpec,
    Request,
    RequestList,
)
from lws_placement.engine.objects.devices.devices import Device, DeviceClass
from lws_placement.engine.objects.nodes import Node
from lws_placement.engine.objects.pod_volumes import PodIdentity

MOST_ORDERS = 120
"""Orders of binding that are tried for pods that compete."""
NOT_PROVEN = "not proven that it gets devices there"
TOO_FEW = "too few free devices for its"


@dataclass(frozen=True, slots=True)
class NeededClaim:
    """`name`: for people, `claim NAME` or names of extended resources. `key`: for a claim that
    other pods may use, too.
    """

    name: str
    spec: DeviceClaimSpec
    key: tuple[str, str] | None = None
    allocation: Allocation | None = None


@dataclass(frozen=True, slots=True, eq=False)
class DeviceNeeds:
    """A `NodeRule`. Equal if they exclude the same nodes as long as no node changes."""

    devices: Devices
    nowhere: str = ""
    claims: tuple[NeededClaim, ...] = ()
    resources: tuple[tuple[str, int, str], ...] = ()
    """Extended resources, with amount and class."""
    classes: tuple[DeviceClass, ...] = ()
    reads: Attributes | None = None
    """Attributes that decide which devices it gets; None: others may use its claims, too, or any
    attribute may count.
    """
    _hash: int = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_hash", hash(self._facts))

    @property
    def _facts(self) -> tuple[object, ...]:
        return self.nowhere, self.claims, self.resources, self.classes, self.devices.mark

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, DeviceNeeds) and self._facts == other._facts)

    def why_not(self, node: Node) -> str | None:
        if self.nowhere:
            return self.nowhere
        return self.devices.verdict(
            self,
            node,
            lambda effort: why_not_served([(self, node)], effort),
            look=lambda: self._look_at(node),
        )

    def _look_at(self, node: Node) -> Hashable | None:
        """Equal for nodes that serve it alike; None: that is not known."""
        if self.reads is None or any(True for _ in self.devices.in_flight_on(node.name)):
            return None
        look = self.devices.look_at(node, self.reads, self.devices)
        offered = tuple(bool(node.allocatable.get(name)) for name, *_ in self.resources)
        return None if look is None else (look, offered)

    def open_at(self, node: Node) -> Iterator[NeededClaim]:
        """Claims that get devices when it is bound there, if no other pod gets them before."""
        yield from (c for c in self.claims if c.allocation is None)
        lacking = [
            RequestList(name, (Request(name, device_class, amount),))
            for name, amount, device_class in self.resources
            if not node.allocatable.get(name)
        ]
        if lacking:
            names = ", ".join(request.name for request in lacking)
            yield NeededClaim(names, DeviceClaimSpec(tuple(lacking)))


Bound = tuple[DeviceNeeds, Node]
"""What a pod needs, and its node."""


def needs_of(
    namespace: str,
    pod: PodIdentity,
    claims: Sequence[ClaimRef],
    resources: Iterable[tuple[str, int]],
    devices: Devices,
) -> DeviceNeeds | None:
    """None if it needs no device. `resources`: that it requests."""
    served = ((name, amount, devices.class_of(name)) for name, amount in resources)
    extended = [(name, n, of_class) for name, n, of_class in served if of_class is not None]
    if not claims and not extended:
        return None
    found: list[NeededClaim] = []
    for ref in claims:
        one = _claim(namespace, pod, ref, devices)
        if isinstance(one, str):
            return DeviceNeeds(devices, nowhere=one)
        if one is not None:
            found.append(one)
    keys = [c.key for c in found if c.key is not None]
    if len(set(keys)) < len(keys):
        return DeviceNeeds(devices, nowhere=f"{NOT_PROVEN}: it names a claim twice")
    classes = {of_class.name: of_class for *_, of_class in extended}
    for claim in found:
        for option in _options(claim):
            of_class = devices.device_class(option.device_class)
            if of_class is None:
                why = f"device class {option.device_class} of its {claim.name} does not exist"
                return DeviceNeeds(devices, nowhere=why)
            classes[of_class.name] = of_class
    return DeviceNeeds(
        devices,
        claims=tuple(found),
        resources=tuple((name, n, of_class.name) for name, n, of_class in sorted(extended)),
        classes=tuple(classes[name] for name in sorted(classes)),
        reads=_reads(found, classes.values(), devices),
    )


def _reads(
    claims: Sequence[NeededClaim], classes: Iterable[DeviceClass], devices: Devices
) -> Attributes | None:
    if any(c.key is not None or c.allocation is not None for c in claims):
        return None
    found = {c.attribute for claim in claims for c in claim.spec.constraints}
    selectors = [of_class.selectors for of_class in classes]
    selectors += [option.selectors for claim in claims for option in _options(claim)]
    for expression in chain.from_iterable(selectors):
        reads = devices.reads(expression)
        if reads is None:
            return None
        found.update(reads)
    return tuple(sorted(found))


def _options(claim: NeededClaim) -> Iterator[Request]:
    if claim.allocation is None:
        for request in claim.spec.requests:
            yield from request.options


def _claim(
    namespace: str, pod: PodIdentity, ref: ClaimRef, devices: Devices
) -> NeededClaim | str | None:
    """A text: why it can be bound nowhere for now. None: no claim is needed."""
    if ref.claim:
        claim = devices.claim(namespace, ref.claim)
        if claim is None:
            return f"resource claim {ref.claim} not found"
        key = (namespace, ref.claim)
        return _why_unusable(claim, pod) or _needed(ref.claim, claim, key)
    made = pod.device_claims.get(ref.name)
    if made == "":
        return None
    claim = devices.claim(namespace, made) if made else None
    if claim is not None:
        if claim.owner_uid != pod.uid:
            return f"resource claim {claim.name} was not made for it"
        return _why_unusable(claim, pod) or _needed(ref.name, claim)
    spec = devices.template(namespace, ref.template)
    if spec is None:
        return f"resource claim template {ref.template} not found"
    return NeededClaim(f"claim {ref.name}", spec)


def _needed(name: str, claim: DeviceClaim, key: tuple[str, str] | None = None) -> NeededClaim:
    return NeededClaim(f"claim {name}", claim.spec, key, claim.allocation)


def _why_unusable(claim: DeviceClaim, pod: PodIdentity) -> str:
    if claim.deleting:
        return f"resource claim {claim.name} is being deleted"
    if len(claim.reserved) >= MOST_RESERVED and pod.uid not in claim.reserved:
        return f"resource claim {claim.name} serves {MOST_RESERVED} pods already"
    return ""


# -- several pods ---------------------------------------------------------------------------------


def rivalry(needs: DeviceNeeds, node: Node) -> frozenset[Hashable]:
    """Pods compete if they have one of these in common. Pools, unless the node alone reaches them,
    only if a device of them could serve the pod.
    """
    pools = needs.devices.pools_at(node)
    wanted = list(needs.open_at(node))
    if not wanted:
        return frozenset()
    options = [o for claim in wanted for o in _options(claim)]
    classes = {c.name: c for c in needs.classes}
    keys: set[Hashable] = {c.key for c in wanted if c.key is not None}
    for pool in pools:
        if pool.local or any(
            _may_serve(option, classes[option.device_class], device, needs.devices)
            for option in options
            for device in pool.devices
        ):
            keys.add(("pool", *pool.id))
    return frozenset(keys)


def _may_serve(option: Request, of_class: DeviceClass, device: Device, devices: Devices) -> bool:
    try:
        return all(
            devices.matches(expression, device)
            for expression in (*of_class.selectors, *option.selectors)
        )
    except (AllocationError, NotProvenError):
        return True


def why_not_served(pods: Sequence[Bound], effort: Effort) -> str | None:
    """Why, in some order of binding, one of these pods would not get its devices, members of other
    groups on their way included. The pods compete, directly or through others. `effort`: see
    `allocate`.
    """
    devices = pods[0][0].devices
    competing = [*pods, *_rivals(pods, devices, effort)]
    kinds: dict[Hashable, list[Bound]] = {}
    for needs, node in competing:
        kinds.setdefault(_kind(needs, node), []).append((needs, node))
    orders = factorial(len(competing))
    for alike in kinds.values():
        orders //= factorial(len(alike))
    if orders > MOST_ORDERS:
        return f"{NOT_PROVEN}: too many orders of binding"
    for order in _orders(list(kinds.values())):
        why = _why_not_in_order(order, devices, effort)
        if why is not None:
            return why
    return None


def _kind(needs: DeviceNeeds, node: Node) -> Hashable:
    """Equal for pods that may change places in the order."""
    pools = needs.devices.pools_at(node)
    shares_claim = any(c.key is not None for c in needs.claims)
    if shares_claim or any(pool.local for pool in pools):
        return needs, node.name
    return needs, tuple(pool.id for pool in pools)


def _orders(kinds: Sequence[Sequence[Bound]]) -> Iterator[list[Bound]]:
    """Each order of unlike pods once."""
    labels = [index for index, alike in enumerate(kinds) for _ in alike]
    for order in _distinct(labels):
        left = [list(alike) for alike in kinds]
        yield [left[index].pop() for index in order]


def _distinct(labels: Sequence[int]) -> Iterator[tuple[int, ...]]:
    """The distinct orders of these."""
    if not labels:
        yield ()
        return
    for first in sorted(set(labels)):
        rest = list(labels)
        rest.remove(first)
        for order in _distinct(rest):
            yield (first, *order)


def _rivals(pods: Sequence[Bound], devices: Devices, effort: Effort) -> Iterator[Bound]:
    """Others on their way that compete with these pods, and would be served alone."""
    names = dict.fromkeys(node.name for _, node in pods)
    shared = any(not pool.local for _, node in pods for pool in devices.pools_at(node)) or any(
        claim.key is not None for needs, _ in pods for claim in needs.claims
    )
    users = (
        devices.in_flight() if shared else (u for name in names for u in devices.in_flight_on(name))
    )
    others = [found for found in (_bound(user, devices) for user in users) if found is not None]
    if not others:
        return
    keys = frozenset[Hashable]().union(*(rivalry(*pod) for pod in pods))
    while True:
        near = [other for other in others if not keys.isdisjoint(rivalry(*other))]
        if not near:
            return
        others = [other for other in others if other not in near]
        for other in near:
            keys |= rivalry(*other)
            if _why_not_in_order([other], devices, effort) is None:
                yield other


def _bound(user: DeviceUser, devices: Devices) -> Bound | None:
    node = devices.node(user.node)
    needs = needs_of(user.namespace, user.pod, user.claims, user.resources, devices)
    if node is None or needs is None or needs.nowhere:
        return None
    return needs, node


def _why_not_in_order(order: Iterable[Bound], devices: Devices, effort: Effort) -> str | None:
    usage = UsageWith(devices)
    made: dict[tuple[str, str], Allocation] = {}
    for needs, node in order:
        for claim in needs.claims:
            got = claim.allocation or (made.get(claim.key) if claim.key is not None else None)
            if got is not None and not got.reaches(node):
                return f"the devices of its {claim.name} are elsewhere"
        wanted = [c for c in needs.open_at(node) if c.key is None or c.key not in made]
        if not wanted:
            continue
        names = ", ".join(claim.name for claim in wanted[:3])
        try:
            found = allocate(
                [claim.spec for claim in wanted],
                node,
                devices.pools_at(node),
                classes={c.name: c for c in needs.classes},
                usage=usage,
                selecting=devices,
                effort=effort,
            )
        except AllocationError as e:
            return f"devices for its {names} cannot be chosen: {e}"
        except NotProvenError as e:
            return f"{NOT_PROVEN} for its {names}: {e}"
        if found is None:
            return f"{TOO_FEW} {names}"
        for claim, allocation in zip(wanted, found, strict=True):
            usage.give(allocation.devices)
            if claim.key is not None:
                made[claim.key] = allocation
    return None
