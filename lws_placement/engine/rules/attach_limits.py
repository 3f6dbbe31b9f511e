"""How many volumes are attached to each node, and how many more may be (kube-scheduler 1.37,
plugins/nodevolumelimits/csi.go): volumes of the pods there, and others with a VolumeAttachment.

Members on their way count with the volumes that they bring.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from lws_placement.engine.model.groups import GroupId
from lws_placement.engine.model.storage import Storage, VolumeUser, VolumeUsers
from lws_placement.engine.objects.nodes import NodeName
from lws_placement.engine.objects.volumes import Handle
from lws_placement.engine.rules.claims import claims_of


@dataclass(frozen=True, slots=True)
class _OnNode:
    by_pods: frozenset[Handle]
    used: Mapping[str, int]
    """Driver -> attached volumes."""


class StorageAttachments:
    """Implements `Attachments`, for one plan of `group`. A node is looked at when it is asked for.
    O(volumes on the node).
    """

    def __init__(self, storage: Storage, users: VolumeUsers, group: GroupId) -> None:
        self._storage = storage
        self._users = users
        self._mark = (users.mark, group)
        self._promised: dict[NodeName, list[VolumeUser]] | None = None
        self._group = group
        self._nodes: dict[NodeName, _OnNode] = {}

    def __hash__(self) -> int:
        return hash(self._mark)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, StorageAttachments) and self._mark == other._mark

    def limit(self, driver: str, node: NodeName) -> int | None:
        drivers = self._storage.drivers_on(node)
        most = drivers.limits.get(driver) if drivers is not None else None
        return None if most is None else most - self._on(node).used.get(driver, 0)

    def is_there(self, handle: Handle, node: NodeName) -> bool:
        return handle in self._on(node).by_pods

    def is_missing(self, driver: str, node: NodeName) -> bool:
        known = self._storage.driver(driver)
        if known is None or not known.needs_node:
            return False
        drivers = self._storage.drivers_on(node)
        return drivers is None or driver not in drivers.names

    def _on(self, node: NodeName) -> _OnNode:
        known = self._nodes.get(node)
        if known is None:
            users = [*self._users.users_on(node), *self._promised_on(node)]
            by_pods = frozenset(self._handles(users))
            going = frozenset(self._handles(self._users.gone_from(node)))
            others = {h for h in self._storage.attached(node) if h not in by_pods | going}
            used = Counter(driver for driver, _ in (*by_pods, *others))
            known = self._nodes[node] = _OnNode(by_pods, used)
        return known

    def _handles(self, users: Iterable[VolumeUser]) -> Iterator[Handle]:
        for user in users:
            for claim in claims_of(user.namespace, user.pod, user.volumes, self._storage):
                if claim.handle is not None and (claim.exists or user.promised_to is not None):
                    yield claim.handle

    def _promised_on(self, node: NodeName) -> Iterable[VolumeUser]:
        if self._promised is None:
            self._promised = {}
            for user in self._users.on_their_way():
                if user.promised_to != self._group:
                    self._promised.setdefault(user.node, []).append(user)
        return self._promised.get(node, ())
