"""What a claim can tell apart of the devices that one node alone reaches.

A large cluster has many nodes with equal devices. What a pod without claims of others gets on such
a node is then found out once for all of them. Devices differ in attributes that hardly anyone reads
(serial numbers, bus addresses), so only those count that the pod's own claims read.
"""

from collections.abc import Hashable, Iterable, Sequence
from itertools import count

from lws_placement.engine.base.lru import LruCache
from lws_placement.engine.model.devices.pools import Pool
from lws_placement.engine.model.devices.usage import Usage
from lws_placement.engine.objects.devices.devices import Device
from lws_placement.engine.objects.nodes import NodeName

Attributes = tuple[str, ...]
"""Full names of attributes."""
_KINDS = 4096


class DeviceLooks:
    def __init__(self) -> None:
        self._numbers: LruCache[Hashable, int] = LruCache(_KINDS)
        """Never given twice, so that what is forgotten equals nothing."""
        self._next = count()
        self._known: dict[NodeName, tuple[Sequence[Pool], tuple[int, ...]]] = {}
        """What no question leaves out, of the pools of each node."""

    def at(
        self, node: NodeName, pools: Sequence[Pool], usage: Usage, reads: Attributes
    ) -> Hashable | None:
        """Equal for nodes with equal devices, in equal use; None: others reach the devices, too.
        O(devices).
        """
        known = self._known.get(node)
        if known is None or known[0] is not pools:
            if not all(pool.local for pool in pools):
                return None
            known = self._known[node] = (pools, tuple(map(self._number, pools)))
        devices = [device for pool in pools for device in pool.devices]
        return (
            known[1],
            tuple([device.attribute(name) for device in devices for name in reads]),
            tuple([usage.has(device.id) for device in devices]),
            tuple([_shared(device, usage) for device in devices if device.shareable]),
        )

    def forget(self, nodes: Iterable[NodeName] | None) -> None:
        """Their pools changed, or are gone; None: those of any node."""
        for name in list(self._known) if nodes is None else nodes:
            self._known.pop(name, None)

    def _number(self, pool: Pool) -> int:
        counters = [
            (name, counter, amount)
            for name, amounts in (pool.counters or {}).items()
            for counter, amount in amounts.items()
        ]
        devices = tuple(map(_plain, pool.devices))
        look = (pool.id[0], pool.usable, frozenset(counters), devices)
        return self._numbers.get_or_make(look, lambda: next(self._next))


def _shared(device: Device, usage: Usage) -> Hashable:
    shares = usage.shares(device.id)
    return frozenset(shares.items()) if shares is not None else None


def _plain(device: Device) -> Hashable:
    """Without name and attributes."""
    uses = [
        (name, counter, amount)
        for name, amounts in (device.uses or {}).items()
        for counter, amount in amounts.items()
    ]
    return (
        tuple(device.capacity.items()),
        device.taints,
        frozenset(uses),
        device.nodes,
        device.shareable,
        device.stays_local,
        device.binds_late,
        device.unmodelled,
    )
