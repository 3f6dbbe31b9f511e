"""All that volume rules are checked against, as one index answers it."""

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from lws_placement.engine.model.groups import GroupId
from lws_placement.engine.objects.nodes import NodeName
from lws_placement.engine.objects.pod_volumes import PodIdentity, PodVolume
from lws_placement.engine.objects.volumes import (
    NO_CAPACITIES,
    NO_POOL,
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
    """An index of all that volume rules are checked against."""

    @property
    def mark(self) -> Hashable:
        """Changes with whatever may change which volumes are attached where."""

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

    def users_of(self, namespace: str, claim: str) -> Iterable[VolumeUser]:
        """Bound pods that use the claim."""

    def users_on(self, node: NodeName) -> Iterable[VolumeUser]:
        """Bound pods with volumes."""

    def gone_from(self, node: NodeName) -> Iterable[VolumeUser]:
        """Pods with volumes that are supposed to be gone, in a hypothetical state."""

    def on_their_way(self) -> Iterable[VolumeUser]:
        """Members with a node and volumes that are not bound yet."""


class NoStorage:
    """Of a cluster without claims."""

    mark: Hashable = 0

    def claim(self, namespace: str, name: str) -> Claim | None:
        return None

    def volume(self, name: str) -> Volume | None:
        return None

    def pool(self, storage_class: str) -> VolumePool:
        return NO_POOL

    def meant_for(self, namespace: str, claim: str) -> Sequence[Volume]:
        return ()

    def storage_class(self, name: str) -> StorageClass | None:
        return None

    def default_class(self) -> str:
        return ""

    def capacities(self, storage_class: str) -> CapacityPool:
        return NO_CAPACITIES

    def driver(self, name: str) -> Driver | None:
        return None

    def drivers_on(self, node: NodeName) -> DriversOnNode | None:
        return None

    def has_limits(self, driver: str) -> bool:
        return False

    def attached(self, node: NodeName) -> Iterable[Handle]:
        return ()

    def users_of(self, namespace: str, claim: str) -> Iterable[VolumeUser]:
        return ()

    def users_on(self, node: NodeName) -> Iterable[VolumeUser]:
        return ()

    def on_their_way(self) -> Iterable[VolumeUser]:
        return ()

    def gone_from(self, node: NodeName) -> Iterable[VolumeUser]:
        return ()
