"""Storage as if some pods were gone."""

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass

from lws_placement.engine.model.groups import GroupId
from lws_placement.engine.model.storage import Storage, VolumeUser
from lws_placement.engine.objects.nodes import NodeName
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
class StorageWithout:
    """As if the pods `uids` were gone, and these groups held nothing. Claims and volumes stay."""

    storage: Storage
    uids: frozenset[str]
    groups: frozenset[GroupId]

    @property
    def mark(self) -> Hashable:
        return self.storage.mark, self.uids, self.groups

    def claim(self, namespace: str, name: str) -> Claim | None:
        return self.storage.claim(namespace, name)

    def volume(self, name: str) -> Volume | None:
        return self.storage.volume(name)

    def pool(self, storage_class: str) -> VolumePool:
        return self.storage.pool(storage_class)

    def meant_for(self, namespace: str, claim: str) -> Sequence[Volume]:
        return self.storage.meant_for(namespace, claim)

    def storage_class(self, name: str) -> StorageClass | None:
        return self.storage.storage_class(name)

    def default_class(self) -> str:
        return self.storage.default_class()

    def capacities(self, storage_class: str) -> CapacityPool:
        return self.storage.capacities(storage_class)

    def driver(self, name: str) -> Driver | None:
        return self.storage.driver(name)

    def drivers_on(self, node: NodeName) -> DriversOnNode | None:
        return self.storage.drivers_on(node)

    def has_limits(self, driver: str) -> bool:
        return self.storage.has_limits(driver)

    def attached(self, node: NodeName) -> Iterable[Handle]:
        return self.storage.attached(node)

    def users_of(self, namespace: str, claim: str) -> Iterable[VolumeUser]:
        return filter(self._stays, self.storage.users_of(namespace, claim))

    def users_on(self, node: NodeName) -> Iterable[VolumeUser]:
        return filter(self._stays, self.storage.users_on(node))

    def gone_from(self, node: NodeName) -> Iterable[VolumeUser]:
        yield from self.storage.gone_from(node)
        yield from (u for u in self.storage.users_on(node) if not self._stays(u))

    def on_their_way(self) -> Iterable[VolumeUser]:
        return filter(self._stays, self.storage.on_their_way())

    def _stays(self, user: VolumeUser) -> bool:
        if user.promised_to is not None:
            return user.promised_to not in self.groups
        return user.pod.uid not in self.uids
