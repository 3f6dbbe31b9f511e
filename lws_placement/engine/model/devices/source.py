"""All that device rules are checked against: claims, classes, what drivers publish, and the pods
that will get devices.
"""

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Protocol

from lws_placement.engine.base.effort import Effort
from lws_placement.engine.model.devices.allocation import Selecting
from lws_placement.engine.model.devices.looks import Attributes
from lws_placement.engine.model.devices.pools import Pool
from lws_placement.engine.model.devices.usage import Usage
from lws_placement.engine.model.groups import GroupId
from lws_placement.engine.model.placed_pods import Gone
from lws_placement.engine.objects.devices.claims import ClaimRef, DeviceClaim, DeviceClaimSpec
from lws_placement.engine.objects.devices.devices import Device, DeviceClass, DeviceId
from lws_placement.engine.objects.nodes import Node, NodeName
from lws_placement.engine.objects.pod_volumes import PodIdentity

Find = Callable[[Effort], str | None]
"""Why a node is closed to a pod."""


@dataclass(frozen=True, slots=True)
class DeviceUser:
    """A pod with a node whose claims may still have to get devices there: a member on its way, or a
    pod that was just bound.
    """

    namespace: str
    pod: PodIdentity
    claims: tuple[ClaimRef, ...]
    resources: tuple[tuple[str, int], ...]
    node: NodeName
    promised_to: GroupId | None = None
    """For a member on its way: its group."""


class Devices(Usage, Selecting, Protocol):
    """An index. Answers about one node stay the same until the node's view changes; `mark` changes
    with all others.
    """

    @property
    def mark(self) -> Hashable: ...
    def claim(self, namespace: str, name: str) -> DeviceClaim | None: ...
    def template(self, namespace: str, name: str) -> DeviceClaimSpec | None: ...
    def device_class(self, name: str) -> DeviceClass | None: ...
    def class_of(self, resource: str) -> DeviceClass | None:
        """The class that serves an extended resource."""

    def pools_at(self, node: Node) -> Sequence[Pool]: ...
    def verdict(
        self, needs: Hashable, node: Node, find: Find, *, look: Callable[[], Hashable | None]
    ) -> str | None:
        """What was found out of the node for a pod that needs this, as long as neither the node's
        view nor `mark` changes; or what was found out of a node with an equal look.
        """

    def look_at(self, node: Node, reads: Attributes, usage: Usage) -> Hashable | None:
        """`DeviceLooks.at`."""

    def reads(self, expression: str) -> Attributes | None:
        """The attributes that decide what it matches; None: any may."""

    def node(self, name: NodeName) -> Node | None: ...
    def in_flight_on(self, node: NodeName) -> Iterable[DeviceUser]: ...
    def in_flight(self) -> Iterable[DeviceUser]: ...
    def without(self, gone: Gone) -> "Devices":
        """In a hypothetical state; itself if nothing differs in that."""


@dataclass(frozen=True, slots=True)
class DevicesWithout:
    """What is still in use when pods are gone: a claim that served these alone is free again."""

    devices: Devices
    gone: Gone
    freed: frozenset[str]
    """UIDs of such claims."""
    used: Usage = field(compare=False)
    """By all other claims."""

    @property
    def mark(self) -> Hashable:
        return self.devices.mark, self.gone, self.freed

    def has(self, device: DeviceId) -> bool:
        return self.used.has(device)

    def shares(self, device: DeviceId) -> Mapping[str, Fraction] | None:
        return self.used.shares(device)

    def matches(self, expression: str, device: Device) -> bool:
        return self.devices.matches(expression, device)

    def claim(self, namespace: str, name: str) -> DeviceClaim | None:
        found = self.devices.claim(namespace, name)
        return found.freed() if found is not None and found.uid in self.freed else found

    def template(self, namespace: str, name: str) -> DeviceClaimSpec | None:
        return self.devices.template(namespace, name)

    def device_class(self, name: str) -> DeviceClass | None:
        return self.devices.device_class(name)

    def class_of(self, resource: str) -> DeviceClass | None:
        return self.devices.class_of(resource)

    def pools_at(self, node: Node) -> Sequence[Pool]:
        return self.devices.pools_at(node)

    def verdict(
        self, needs: Hashable, node: Node, find: Find, *, look: Callable[[], Hashable | None]
    ) -> str | None:
        return self.devices.verdict(needs, node, find, look=look)

    def look_at(self, node: Node, reads: Attributes, usage: Usage) -> Hashable | None:
        return self.devices.look_at(node, reads, usage)

    def reads(self, expression: str) -> Attributes | None:
        return self.devices.reads(expression)

    def node(self, name: NodeName) -> Node | None:
        return self.devices.node(name)

    def in_flight_on(self, node: NodeName) -> Iterable[DeviceUser]:
        return filter(self._stays, self.devices.in_flight_on(node))

    def in_flight(self) -> Iterable[DeviceUser]:
        return filter(self._stays, self.devices.in_flight())

    def without(self, gone: Gone) -> Devices:
        both = Gone(self.gone.uids | gone.uids, self.gone.groups | gone.groups)
        return self.devices.without(both)

    def _stays(self, user: DeviceUser) -> bool:
        return self.gone.leaves(user.pod.uid, user.promised_to)
