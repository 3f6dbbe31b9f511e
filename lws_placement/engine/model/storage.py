"""All that volume rules are checked against: claims, volumes and what makes volumes, and the pods
that use them.
"""

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from lws_placement.engine.model.groups import GroupId
from lws_placement.engine.model.placed_pods import Gone
from lws_placement.engine.objects.nodes import NodeName
from lws_placement.engine.objects.pod_volumes import PodIdentity, PodVolume
from lws_placement.engine.objects.volumes import (
    CapacityPool,
    Claim,
    Driver,
    DriversOnNode,
    Handle,
    StorageClass,
    Volume,
    VolumePool,
)


@dataclass(frozen=True, slots=True)
class VolumeUser:
    """A pod with a node, and its volumes."""

    namespace: str
    pod: PodIdentity
    volumes: tuple[PodVolume, ...]
    node: NodeName
    promised_to: GroupId | None = None
    """For a member on its way: its group."""


class Storage(Protocol):
    """An index of claims, volumes, and what makes and attaches volumes."""

    def claim(self, namespace: str, name: str) -> Claim | None: ...
    def volume(self, name: str) -> Volume | None: ...
    def pool(self, storage_class: str) -> VolumePool:
        """The same object until it changes."""

    def meant_for(self, namespace: str, claim: str) -> Sequence[Volume]:
        """Volumes that name this claim."""

    def storage_class(self, name: str) -> StorageClass | None: ...
    def default_class(self) -> str:
        """Its name; empty if there is none."""

    def capacities(self, storage_class: str) -> CapacityPool:
        """The same object until it changes."""

    def driver(self, name: str) -> Driver | None: ...
    def drivers_on(self, node: NodeName) -> DriversOnNode | None: ...
    def has_limits(self, driver: str) -> bool:
        """Whether any node limits the driver's volumes."""

    def attached(self, node: NodeName) -> Iterable[Handle]:
        """By VolumeAttachments."""


class VolumeUsers(Protocol):
    """An index of the pods that use volumes."""

    @property
    def mark(self) -> Hashable:
        """Changes with whatever may change which volumes are attached where."""

    def users_of(self, namespace: str, claim: str) -> Iterable[VolumeUser]:
        """Bound pods that use the claim."""

    def users_on(self, node: NodeName) -> Iterable[VolumeUser]:
        """Bound pods with volumes."""

    def gone_from(self, node: NodeName) -> Iterable[VolumeUser]:
        """Pods with volumes that are supposed to be gone, in a hypothetical state."""

    def on_their_way(self) -> Iterable[VolumeUser]:
        """Members with a node and volumes that are not bound yet."""


@dataclass(frozen=True, slots=True)
class VolumeUsersWithout:
    """The users that are still there."""

    users: VolumeUsers
    gone: Gone

    @property
    def mark(self) -> Hashable:
        return self.users.mark, self.gone

    def users_of(self, namespace: str, claim: str) -> Iterable[VolumeUser]:
        return filter(self._stays, self.users.users_of(namespace, claim))

    def users_on(self, node: NodeName) -> Iterable[VolumeUser]:
        return filter(self._stays, self.users.users_on(node))

    def gone_from(self, node: NodeName) -> Iterable[VolumeUser]:
        yield from self.users.gone_from(node)
        yield from (u for u in self.users.users_on(node) if not self._stays(u))

    def on_their_way(self) -> Iterable[VolumeUser]:
        return filter(self._stays, self.users.on_their_way())

    def _stays(self, user: VolumeUser) -> bool:
        return self.gone.leaves(user.pod.uid, user.promised_to)
