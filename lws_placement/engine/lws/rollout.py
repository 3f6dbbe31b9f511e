"""Computes the next step of a rolling update: what to request of the leader StatefulSet.

Groups are updated from the highest index to the lowest by lowering the StatefulSet's partition: its
controller replaces the leaders at and above it, and each leader takes its workers with it. The
steps are upstream's (the partition falls by `maxUnavailable` groups beyond the run of finished
ones and never rises in one update; surge groups come first and go once `maxUnavailable` covers the
rest), under one rule that upstream's arithmetic keeps in most states and ours in all:

  A step never takes a ready group away unless `replicas - maxUnavailable` ready ones are left.

A group counts as *left* when it is ready, and is either finished (at the current revision) or below
the partition. So an unhealthy group holds the update back at any index, an unready group may be
replaced at any time, and a second update keeps the surge groups of the first while they stand in
for others. Some upstream behaviour is plainly unintended and not copied: here a first start or a
plain change of `replicas` creates no surge groups, and `maxUnavailable` and `maxSurge` that both
scale to 0 (a write to `scale` can cause this) do not stop updates forever.

Surge groups without room are left out of the calculation: groups are then replaced in place, as far
as `maxUnavailable` allows.

Where the StatefulSet controller ignores `maxUnavailable` (feature gate MaxUnavailableStatefulSet,
off by default before Kubernetes 1.37), it replaces one pod after another, from the top, and waits
for each to be ready. A surge group without room would stop it forever: there such groups are
removed, and that update requests none again.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import overload

from lws_placement.engine.base.raw import Raw
from lws_placement.engine.lws.validation import scaled


@dataclass(frozen=True, slots=True)
class Strategy:
    """A LeaderWorkerSet's update strategy, in numbers of groups."""

    replicas: int
    partition: int = 0
    unavailable: int = 1
    surge: int = 0

    @property
    def most(self) -> int:
        """Upper limit of existing groups during an update."""
        return self.replicas + self.surge

    @property
    def least(self) -> int:
        """Lower limit of ready groups during an update."""
        return max(0, self.replicas - self.unavailable)


@dataclass(frozen=True, slots=True)
class Asked:
    """The current request to the leader StatefulSet; `for_replicas`: the LeaderWorkerSet's
    `replicas` at that time.
    """

    partition: int
    replicas: int
    for_replicas: int
    in_order: bool = False
    """The StatefulSet controller proceeds below a pod only when that pod is ready."""


@dataclass(frozen=True, slots=True)
class Progress:
    """Progress of one group. All false: it has no leader, or its workers do not exist yet."""

    ready: bool = False
    updated: bool = False
    old: bool = False
    """Some pods of it are at another revision."""
    unplaceable: bool = False
    """Its leader was tried and found no room."""

    @property
    def finished(self) -> bool:
        return self.ready and self.updated


class Groups(Sequence[Progress]):
    """The groups 0 to `number` - 1. Those that are not in `found` have no leader, so a set with a
    million replicas and a few pods costs what the few pods do.
    """

    def __init__(self, found: Mapping[int, Progress], number: int) -> None:
        self._found = {index: found[index] for index in sorted(found) if 0 <= index < number}
        self._number = number

    @classmethod
    def of(cls, groups: Sequence[Progress]) -> "Groups":
        return groups if isinstance(groups, Groups) else cls(dict(enumerate(groups)), len(groups))

    def __len__(self) -> int:
        return self._number

    @overload
    def __getitem__(self, index: int) -> Progress: ...
    @overload
    def __getitem__(self, index: slice) -> "Groups": ...
    def __getitem__(self, index: int | slice) -> "Progress | Groups":
        if isinstance(index, int):
            if not 0 <= index < self._number:
                raise IndexError(index)
            return self._found.get(index, NOTHING)
        start, stop, _ = index.indices(self._number)
        some = self.known(start, stop)
        return Groups({at - start: group for at, group in some}, max(stop - start, 0))

    def known(self, start: int = 0, stop: int | None = None) -> Iterator[tuple[int, Progress]]:
        """Those that have a leader, from `start` to below `stop`, by index."""
        end = self._number if stop is None else stop
        return ((at, group) for at, group in self._found.items() if start <= at < end)


NOTHING = Progress()


@dataclass(frozen=True, slots=True)
class Step:
    """The next request to the leader StatefulSet."""

    partition: int
    replicas: int


def strategy_of(lws: Raw) -> Strategy:
    spec = lws["spec"]
    rolling = (spec.get("rolloutStrategy") or {}).get("rollingUpdateConfiguration") or {}
    replicas: int = spec.get("replicas", 1)
    unavailable: int = scaled(rolling.get("maxUnavailable", 1), replicas, round_up=False)
    surge = min(replicas, scaled(rolling.get("maxSurge", 0), replicas, round_up=True))
    return Strategy(
        replicas=replicas,
        partition=rolling.get("partition", 0),
        unavailable=unavailable if unavailable or surge else 1,
        surge=surge,
    )


def next_step(
    strategy: Strategy, asked: Asked | None, groups: Sequence[Progress], *, changed: bool
) -> Step:
    """`groups`: indexes 0 to `asked.replicas` - 1. `changed`: the StatefulSet does not have the
    current template yet.
    """
    if asked is None:
        return Step(strategy.partition, strategy.replicas)
    groups = Groups.of(groups)
    partition = max(_partition(strategy, asked, groups, changed=changed), strategy.partition)
    return Step(partition, _replicas(strategy, asked, groups, partition=partition, changed=changed))


def is_finished(strategy: Strategy, asked: Asked, groups: Sequence[Progress]) -> bool:
    """True if every group is at the current revision and ready, and no surge group is left."""
    return (
        asked.replicas == strategy.replicas
        and strategy.partition == 0
        and asked.partition == 0
        and sum(g.finished for _, g in Groups.of(groups).known()) == len(groups)
    )


def stuck_surge(strategy: Strategy, groups: Sequence[Progress]) -> list[int]:
    """Indexes of surge groups without room."""
    return [i for i, g in Groups.of(groups).known(strategy.replicas) if g.unplaceable]


def left_ready(groups: Sequence[Progress], *, partition: int, replicas: int) -> int:
    """Groups that stay ready whatever the StatefulSet controller does at this partition."""
    known = Groups.of(groups).known(stop=replicas)
    return sum(_is_left(g, index, partition) for index, g in known)


# -- inside --------------------------------------------------------------------------------------


def _is_left(group: Progress, index: int, partition: int) -> bool:
    return group.ready and (group.updated or index < partition)


def _partition(strategy: Strategy, asked: Asked, groups: Groups, *, changed: bool) -> int:
    if changed:
        now, lowest = asked.replicas, min(strategy.replicas, asked.replicas)
    elif asked.replicas < strategy.replicas:
        return asked.partition  # add groups first
    elif asked.for_replicas != strategy.replicas:
        now, lowest = asked.partition, min(asked.partition, strategy.most)
    else:
        lowest = strategy.replicas - strategy.unavailable - _run_of_finished(strategy, groups)
        now, lowest = asked.partition, max(0, lowest)
    there = min(asked.replicas, len(groups))
    enough = min(strategy.least, left_ready(groups, partition=now, replicas=there))
    left = left_ready(groups, partition=lowest, replicas=there)
    gained = (i for i, g in groups.known(lowest, min(now, there)) if g.ready and not g.updated)
    return _first(lowest, now, enough - left, gained)


def _first(start: int, stop: int, missing: int, gained: Iterator[int]) -> int:
    """The first of `start` to `stop` above as many of the indexes `gained` as are missing; else
    `stop`.
    """
    at = start
    while missing > 0:
        index = next(gained, stop)
        if index + 1 >= stop:
            return stop
        at, missing = index + 1, missing - 1
    return min(at, stop)


def _run_of_finished(strategy: Strategy, groups: Groups) -> int:
    """Number of finished groups from the top, ignoring surge groups without room."""
    run = 0
    for index in reversed(range(len(groups))):
        if index >= strategy.replicas and groups[index].unplaceable:
            continue
        if not groups[index].finished:
            break
        run += 1
    return run


def _replicas(
    strategy: Strategy, asked: Asked, groups: Groups, *, partition: int, changed: bool
) -> int:
    wanted, there = strategy.replicas, asked.replicas
    if there < wanted or (not changed and _only_scales(strategy, asked, groups)):
        return wanted
    unfinished = wanted - sum(g.finished for _, g in groups.known(stop=wanted))
    if changed:
        unfinished = wanted
    if unfinished > strategy.surge:
        replicas = strategy.most
    else:
        replicas = wanted + max(0, unfinished - strategy.unavailable)
    if asked.in_order:
        return _replicas_in_order(strategy, asked, groups, Step(partition, replicas), changed)
    if replicas >= there:
        return replicas
    enough = min(strategy.least, left_ready(groups, partition=partition, replicas=there))
    left = left_ready(groups, partition=partition, replicas=replicas)
    most = min(there, strategy.most)
    gained = (i for i, g in groups.known(replicas, most) if _is_left(g, i, partition))
    return _first(replicas, most, enough - left, gained)


def _replicas_in_order(
    strategy: Strategy, asked: Asked, groups: Groups, aim: Step, changed: bool
) -> int:
    """`aim`: the step if all surge groups had room."""
    there, most = asked.replicas, aim.replicas
    stuck = len(stuck_surge(strategy, groups))
    stand_in = any(g.ready for _, g in groups.known(strategy.replicas))
    if not changed and stuck and (strategy.unavailable or stand_in):
        most = min(most, there - stuck)
    elif not changed and (strategy.unavailable or there > strategy.replicas):
        most = min(most, there)
    if most >= there:
        return most
    enough = min(strategy.least, _left_in_order(groups, aim.partition, there))
    for fewer in (most, there - stuck) if stuck else (most,):
        if _left_in_order(groups, aim.partition, fewer) >= enough:
            return fewer
    return min(there, strategy.most)


def _left_in_order(groups: Groups, partition: int, replicas: int) -> int:
    """Minimum of ready groups while the StatefulSet controller goes one by one from the top to the
    partition, and every group becomes ready.
    """
    there = min(replicas, len(groups))
    left = ready = sum(g.ready for _, g in groups.known(stop=there))
    above = there
    for index, group in reversed(list(groups.known(partition, there))):
        ready += above - index - 1  # those in between become ready
        above = index
        if not group.ready:
            ready += 1
        elif not group.updated:
            left = min(left, ready - 1)
    return left


def _only_scales(strategy: Strategy, asked: Asked, groups: Groups) -> bool:
    """True if no update needs surge groups: all groups were released already, or none is at another
    revision and none was added.
    """
    if asked.partition == 0 and asked.replicas == strategy.replicas:
        return True
    return asked.replicas == asked.for_replicas and not any(g.old for _, g in groups.known())
