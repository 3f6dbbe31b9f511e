"""Claims, volumes, and what makes and attaches volumes: what volume rules are checked against.

A query costs O(its result); the pools of a storage class are made again, O(its volumes) or O(all
capacities), when one is asked for after a change.
"""

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from lws_placement.cluster.codec.storage import (
    decode_attachment,
    decode_capacity,
    decode_claim,
    decode_driver,
    decode_drivers_on_node,
    decode_storage_class,
    decode_volume,
)
from lws_placement.engine.base.raw import Raw
from lws_placement.engine.model.pods import Pod
from lws_placement.engine.model.storage import VolumeUser
from lws_placement.engine.objects.nodes import NodeName
from lws_placement.engine.objects.pod_volumes import PodIdentity
from lws_placement.engine.objects.volumes import (
    NO_POOL,
    Capacity,
    CapacityPool,
    Claim,
    Driver,
    DriversOnNode,
    Handle,
    StorageClass,
    Volume,
    VolumePool,
)

_NOTHING: Iterable[VolumeUser] = ()

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class StorageKind:
    """How objects of one kind change the index; `put` and `drop` tell whether anything changed."""

    name: str
    path: str
    put: Callable[[Raw], bool]
    drop: Callable[[Raw], bool]


class StorageIndex:
    """Implements `Storage` and `VolumeUsers`. `on_their_way`: members with volumes that have a node
    and are not bound yet.
    """

    def __init__(self, on_their_way: Callable[[], Iterable[VolumeUser]] = tuple) -> None:
        self._on_their_way = on_their_way
        self._claims: dict[tuple[str, str], Claim] = {}
        self._volumes: dict[str, Volume] = {}
        self._by_class: dict[str, dict[str, Volume]] = {}
        self._meant_for: dict[tuple[str, str], dict[str, Volume]] = {}
        self._pools: dict[str, VolumePool] = {}
        self._classes: dict[str, StorageClass] = {}
        self._drivers: dict[str, Driver] = {}
        self._on_nodes: dict[str, DriversOnNode] = {}
        self._limited: Counter[str] = Counter()
        self._capacities: dict[str, Capacity] = {}
        self._rooms: dict[str, CapacityPool] = {}
        self._attachments: dict[str, tuple[str, str, str]] = {}
        self._attached: dict[str, set[str]] = {}
        """Node -> UIDs of its VolumeAttachments."""
        self._users = _Users()
        self._mark = 0
        self.asked = False
        """Whether a volume rule has ever been checked: then a change here may matter to a group."""

    @property
    def kinds(self) -> tuple[StorageKind, ...]:
        storage = "/apis/storage.k8s.io/v1"
        return (
            StorageKind(
                "StorageClass", f"{storage}/storageclasses", self._put_class, self._drop_class
            ),
            StorageKind("CSIDriver", f"{storage}/csidrivers", self._put_driver, self._drop_driver),
            StorageKind(
                "CSINode", f"{storage}/csinodes", self._put_drivers_on, self._drop_drivers_on
            ),
            StorageKind(
                "CSIStorageCapacity",
                f"{storage}/csistoragecapacities",
                self._put_capacity,
                self._drop_capacity,
            ),
            StorageKind(
                "PersistentVolume",
                "/api/v1/persistentvolumes",
                self._put_volume,
                lambda raw: self._forget_volume(raw["metadata"]["name"]),
            ),
            StorageKind(
                "PersistentVolumeClaim",
                "/api/v1/persistentvolumeclaims",
                self._put_claim,
                self._drop_claim,
            ),
            StorageKind(
                "VolumeAttachment",
                f"{storage}/volumeattachments",
                self._put_attachment,
                lambda raw: self._forget_attachment(raw["metadata"]["uid"]),
            ),
        )

    # -- pods ------------------------------------------------------------------------------------

    def put_pod(self, pod: Pod) -> None:
        """Takes a pod in any state."""
        if pod.node is None or pod.finished:
            self.drop_pod(pod.uid)
        elif pod.demand.volumes and self._users.put(pod, pod.node):
            self._mark += 1

    def drop_pod(self, uid: str) -> None:
        if self._users.drop(uid):
            self._mark += 1

    def promised_changed(self) -> None:
        """A member may be on its way, or not any more."""
        self._mark += 1

    # -- objects ---------------------------------------------------------------------------------

    def _is_news(self, known: T | None, new: T | None) -> bool:
        self._mark += known != new
        return known != new

    def _put_claim(self, raw: Raw) -> bool:
        claim = decode_claim(raw)
        key = (claim.namespace, claim.name)
        known, self._claims[key] = self._claims.get(key), claim
        return self._is_news(known, claim)

    def _drop_claim(self, raw: Raw) -> bool:
        meta = raw["metadata"]
        key = (meta["namespace"], meta["name"])
        return self._is_news(self._claims.pop(key, None), None)

    def _put_volume(self, raw: Raw) -> bool:
        volume = decode_volume(raw)
        if self._volumes.get(volume.name) == volume:
            return False
        self._forget_volume(volume.name)
        self._volumes[volume.name] = volume
        if volume.claim is not None:
            self._meant_for.setdefault(volume.claim[:2], {})[volume.name] = volume
        elif volume.available:
            self._by_class.setdefault(volume.storage_class, {})[volume.name] = volume
            self._pools.pop(volume.storage_class, None)
        return self._is_news(None, volume)

    def _forget_volume(self, name: str) -> bool:
        known = self._volumes.pop(name, None)
        if known is None:
            return False
        if known.claim is not None:
            _take_out(self._meant_for, known.claim[:2], name)
        elif known.available:
            _take_out(self._by_class, known.storage_class, name)
            self._pools.pop(known.storage_class, None)
        return self._is_news(known, None)

    def _put_class(self, raw: Raw) -> bool:
        found = decode_storage_class(raw)
        known, self._classes[found.name] = self._classes.get(found.name), found
        return self._is_news(known, found)

    def _drop_class(self, raw: Raw) -> bool:
        return self._is_news(self._classes.pop(raw["metadata"]["name"], None), None)

    def _put_driver(self, raw: Raw) -> bool:
        driver = decode_driver(raw)
        known, self._drivers[driver.name] = self._drivers.get(driver.name), driver
        return self._is_news(known, driver)

    def _drop_driver(self, raw: Raw) -> bool:
        return self._is_news(self._drivers.pop(raw["metadata"]["name"], None), None)

    def _put_drivers_on(self, raw: Raw) -> bool:
        node, drivers = decode_drivers_on_node(raw)
        known, self._on_nodes[node] = self._on_nodes.get(node), drivers
        self._count_limits(known, drivers)
        return self._is_news(known, drivers)

    def _drop_drivers_on(self, raw: Raw) -> bool:
        known = self._on_nodes.pop(raw["metadata"]["name"], None)
        self._count_limits(known, None)
        return self._is_news(known, None)

    def _count_limits(self, old: DriversOnNode | None, new: DriversOnNode | None) -> None:
        self._limited.subtract(old.limits.keys() if old is not None else ())
        self._limited.update(new.limits.keys() if new is not None else ())
        self._limited = +self._limited

    def _put_capacity(self, raw: Raw) -> bool:
        uid, capacity = raw["metadata"]["uid"], decode_capacity(raw)
        known, self._capacities[uid] = self._capacities.get(uid), capacity
        return self._is_capacity_news(known, capacity)

    def _drop_capacity(self, raw: Raw) -> bool:
        return self._is_capacity_news(self._capacities.pop(raw["metadata"]["uid"], None), None)

    def _is_capacity_news(self, known: Capacity | None, new: Capacity | None) -> bool:
        if known == new:
            return False
        for one in (known, new):
            if one is not None:
                self._rooms.pop(one.storage_class, None)
        return True

    def _put_attachment(self, raw: Raw) -> bool:
        uid, attachment = raw["metadata"]["uid"], decode_attachment(raw)
        if self._attachments.get(uid) == attachment:
            return False
        self._forget_attachment(uid)
        self._attachments[uid] = attachment
        self._attached.setdefault(attachment[0], set()).add(uid)
        return self._is_news(None, attachment)

    def _forget_attachment(self, uid: str) -> bool:
        known = self._attachments.pop(uid, None)
        if known is None:
            return False
        there = self._attached[known[0]]
        there.discard(uid)
        if not there:
            del self._attached[known[0]]
        return self._is_news(known, None)

    # -- questions -------------------------------------------------------------------------------

    @property
    def mark(self) -> Hashable:
        return self._mark

    def claim(self, namespace: str, name: str) -> Claim | None:
        self.asked = True
        return self._claims.get((namespace, name))

    def volume(self, name: str) -> Volume | None:
        return self._volumes.get(name)

    def pool(self, storage_class: str) -> VolumePool:
        there = self._by_class.get(storage_class)
        if not there:
            return NO_POOL
        known = self._pools.get(storage_class)
        if known is None:
            known = self._pools[storage_class] = VolumePool(there.values())
        return known

    def meant_for(self, namespace: str, claim: str) -> tuple[Volume, ...]:
        return tuple(self._meant_for.get((namespace, claim), {}).values())

    def storage_class(self, name: str) -> StorageClass | None:
        return self._classes.get(name)

    def default_class(self) -> str:
        """The newest of several, then the first by name (the admission plugin
        DefaultStorageClass).
        """
        found = [c for c in self._classes.values() if c.is_default]
        return min(found, key=lambda c: (-c.created_s, c.name)).name if found else ""

    def capacities(self, storage_class: str) -> CapacityPool:
        known = self._rooms.get(storage_class)
        if known is None:
            found = (c for c in self._capacities.values() if c.storage_class == storage_class)
            known = self._rooms[storage_class] = CapacityPool(found)
        return known

    def driver(self, name: str) -> Driver | None:
        return self._drivers.get(name)

    def drivers_on(self, node: NodeName) -> DriversOnNode | None:
        return self._on_nodes.get(node)

    def has_limits(self, driver: str) -> bool:
        return driver in self._limited

    def attached(self, node: NodeName) -> Iterator[Handle]:
        for uid in self._attached.get(node, ()):
            _, driver, name = self._attachments[uid]
            volume = self._volumes.get(name)
            if driver and volume is not None and volume.handle is not None:
                yield driver, volume.handle[1]

    def users_of(self, namespace: str, claim: str) -> Iterable[VolumeUser]:
        return self._users.of_claim.get((namespace, claim), {}).values()

    def users_on(self, node: NodeName) -> Iterable[VolumeUser]:
        return self._users.on_node.get(node, {}).values()

    def gone_from(self, node: NodeName) -> Iterable[VolumeUser]:
        return _NOTHING

    def on_their_way(self) -> Iterable[VolumeUser]:
        return self._on_their_way()


class _Users:
    """Pods with a node and volumes, by UID, under their claims and their node."""

    def __init__(self) -> None:
        self._all: dict[str, VolumeUser] = {}
        self.of_claim: dict[tuple[str, str], dict[str, VolumeUser]] = {}
        self.on_node: dict[NodeName, dict[str, VolumeUser]] = {}

    def put(self, pod: Pod, node: NodeName) -> bool:
        """True if it is new. A pod's volumes never change."""
        known = self._all.get(pod.uid)
        if known is not None and known.node == node:
            return False
        self.drop(pod.uid)
        user = VolumeUser(pod.namespace, PodIdentity(pod.name, pod.uid), pod.demand.volumes, node)
        self._all[pod.uid] = user
        self.on_node.setdefault(node, {})[pod.uid] = user
        for claim in self._claims(user):
            self.of_claim.setdefault(claim, {})[pod.uid] = user
        return True

    def drop(self, uid: str) -> bool:
        user = self._all.pop(uid, None)
        if user is None:
            return False
        _take_out(self.on_node, user.node, uid)
        for claim in self._claims(user):
            _take_out(self.of_claim, claim, uid)
        return True

    def _claims(self, user: VolumeUser) -> Iterator[tuple[str, str]]:
        names = {v.claim_name(user.pod.name) for v in user.volumes}
        return ((user.namespace, name) for name in sorted(names))


K = TypeVar("K")


def _take_out(found: dict[K, dict[str, T]], key: K, name: str) -> None:
    there = found.get(key, {})
    there.pop(name, None)
    if not there:
        found.pop(key, None)
