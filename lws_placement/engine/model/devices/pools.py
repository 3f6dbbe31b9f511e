"""The pools of devices that a node reaches, as kube-scheduler gathers them (GatherPools, 1.37).

Of a pool only the newest generation counts, and only once all of its slices are there.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from lws_placement.engine.objects.devices.devices import Amounts, Device, PoolId, Slice
from lws_placement.engine.objects.nodes import Node


@dataclass(frozen=True, slots=True)
class Pool:
    """`devices`: in the order in which they are tried; whether the node reaches one of them may
    depend on the device. `others`: devices that the node does not reach, which use counters.
    """

    id: PoolId
    devices: tuple[Device, ...] = ()
    others: tuple[Device, ...] = ()
    counters: Mapping[str, Amounts] | None = None
    incomplete: bool = False
    invalid: bool = False
    local: bool = True
    """Only this node reaches it."""
    slice_of: Mapping[str, Slice] | None = None
    """Device name -> its slice."""

    @property
    def usable(self) -> bool:
        return not self.incomplete and not self.invalid


def gather_pools(
    node: Node, slices: Iterable[Slice], all_of: Callable[[PoolId], Sequence[Slice]]
) -> tuple[Pool, ...]:
    """`slices`: at least all that may reach the node. `all_of`: every slice of a pool. In the order
    in which kube-scheduler tries them.
    """
    newest: dict[PoolId, list[Slice]] = {}
    for one in slices:
        if not one.reaches(node):
            continue
        known = newest.setdefault(one.pool, [])
        if known and one.generation > known[0].generation:
            known.clear()
        if not known or one.generation == known[0].generation:
            known.append(one)
    pools = (_pool(found, all_of(pool)) for pool, found in newest.items())
    gathered = [pool for pool in pools if pool is not None]
    return tuple(sorted(gathered, key=lambda p: (any(d.binds_late for d in p.devices), p.id)))


def _pool(there: list[Slice], every: Sequence[Slice]) -> Pool | None:
    """None: a newer generation replaces it. `there`: its slices that reach the node."""
    first = there[0]
    if any(one.generation > first.generation for one in every):
        return None
    same = [one for one in every if one.generation == first.generation]
    local = all(one.nodes is not None and one.nodes.name for one in same)
    local = local and len({one.nodes.name for one in same if one.nodes is not None}) == 1
    if len(there) != first.count and len(same) != first.count:
        return Pool(first.pool, incomplete=True, local=local)
    reaching = {one.name for one in there}
    counting = [one for one in same if one.counters]
    elsewhere = [one for one in same if one.name not in reaching and not one.counters]
    serving = sorted((one for one in there if not one.counters), key=lambda one: one.name)
    devices = tuple(d for one in serving for d in one.devices)
    others = tuple(d for one in elsewhere for d in one.devices)
    counters = {name: of for one in counting for name, of in one.counters.items()}
    sound = len({d.id for d in devices}) == len(devices)
    sound = sound and len(counters) == sum(len(one.counters) for one in counting)
    if not sound or not all(_counts(d, counters) for d in (*devices, *others)):
        return Pool(first.pool, invalid=True, local=local)
    return Pool(
        first.pool,
        devices,
        others,
        counters,
        local=local,
        slice_of={d.id[2]: one for one in serving for d in one.devices},
    )


def _counts(device: Device, counters: Mapping[str, Amounts]) -> bool:
    """Whether all counters that it uses exist."""
    return all(
        name in counters and amounts.keys() <= counters[name].keys()
        for name, amounts in (device.uses or {}).items()
    )
