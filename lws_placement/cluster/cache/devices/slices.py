"""ResourceSlices by pool and by node, and the pools that each node reaches, kept until something of
them changes.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from lws_placement.engine.base.nested import DictOfDicts
from lws_placement.engine.model.devices.pools import Pool, gather_pools
from lws_placement.engine.objects.devices.devices import (
    Device,
    PoolId,
    Slice,
    TaintRule,
)
from lws_placement.engine.objects.nodes import Node, NodeName


class SliceIndex:
    def __init__(self) -> None:
        self._slices: dict[str, Slice] = {}
        self._pools = DictOfDicts[PoolId, str, Slice]()
        self._on_node = DictOfDicts[NodeName, str, Slice]()
        self._shared: dict[str, Slice] = {}
        """Slices that more than one node may reach."""
        self._rules: dict[str, TaintRule] = {}
        self._gathered: dict[NodeName, tuple[Node, tuple[Pool, ...]]] = {}

    def put(self, found: Slice) -> None:
        self.drop(found.name)
        self._slices[found.name] = found
        self._pools.put(found.pool, found.name, found)
        home = _home(found)
        if home:
            self._on_node.put(home, found.name, found)
        else:
            self._shared[found.name] = found

    def drop(self, name: str) -> None:
        old = self._slices.pop(name, None)
        if old is not None:
            self._pools.drop(old.pool, name)
            self._on_node.drop(_home(old), name)
            self._shared.pop(name, None)

    def get(self, name: str) -> Slice | None:
        return self._slices.get(name)

    @property
    def any_shared(self) -> bool:
        return bool(self._shared)

    def nodes_of(self, pools: Iterable[PoolId]) -> set[NodeName] | None:
        """The nodes that reach these pools; None: more than their slices name."""
        slices = [one for pool in pools for one in self._pools[pool].values()]
        homes = {_home(one) for one in slices}
        return None if "" in homes else homes

    def forget(self, nodes: set[NodeName] | None) -> None:
        """Pools that these nodes reach may have changed; None: of all nodes."""
        if nodes is None:
            self._gathered.clear()
        for name in nodes or ():
            self._gathered.pop(name, None)

    def pools_at(self, node: Node) -> tuple[Pool, ...]:
        known = self._gathered.get(node.name)
        if known is not None and (known[0] is node or known[0].labels == node.labels):
            return known[1]
        slices = (*self._on_node[node.name].values(), *self._shared.values())
        pools = gather_pools(node, map(self._tainted, slices), self._all_of) if slices else ()
        self._gathered[node.name] = (node, pools)
        return pools

    def _all_of(self, pool: PoolId) -> Sequence[Slice]:
        return list(map(self._tainted, self._pools[pool].values()))

    # -- taint rules -----------------------------------------------------------------------------

    def put_rule(self, uid: str, rule: TaintRule | None) -> bool:
        """True if it is new. None: it is gone, or taints nothing."""
        known = self._rules.get(uid)
        if rule is None:
            self._rules.pop(uid, None)
        else:
            self._rules[uid] = rule
        return known != rule

    def _tainted(self, one: Slice) -> Slice:
        rules = [r for r in self._rules.values() if _concerns(r, one)]
        if not rules:
            return one
        return replace(one, devices=tuple(_with_taints(d, rules) for d in one.devices))


def _home(one: Slice) -> NodeName:
    """The only node that reaches it, by name; empty if its slice names none."""
    return one.nodes.name if one.nodes is not None else ""


def _concerns(rule: TaintRule, one: Slice) -> bool:
    return rule.driver in ("", one.pool[0]) and rule.pool in ("", one.pool[1])


def _with_taints(device: Device, rules: Sequence[TaintRule]) -> Device:
    taints = tuple(rule.taint for rule in rules if rule.matches(device))
    return replace(device, taints=(*device.taints, *taints)) if taints else device
