"""A lower bound of what a group must evict in each domain: an index that follows a `DomainSet`, so
that `search.py` searches only the few domains that can be cheapest.

For each domain the index keeps facts that hold for any preemptor: the groups that run there, what
would be free without groups and Terminating pods, and what its foreign pods take, by priority. From
them follows a bound for a group that is never above the cost of any victims there: all groups go,
and pods of rising priority until their sum covers what is missing in all nodes together. If that is
never enough, the domain is ruled out. Only a domain without groups where nothing is missing may
need no victim.

A change of these facts shows in the domain (`DomainView`), with one exception: a group may leave or
give way elsewhere. The domains of such groups (`Tenants.all_that_go`) have no bound.

Costs per changed domain: O(pods in it) for the facts, and O(priorities) for each shape of group
that asks again. A new shape costs that for every domain, 10 to 20 ms for 3 750.
"""

from bisect import bisect_left
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass, field

from lws_placement.engine.base.lru import LruCache
from lws_placement.engine.base.quantities import total
from lws_placement.engine.base.ranking import Ranking
from lws_placement.engine.model.groups import Group, GroupId
from lws_placement.engine.model.pods import Pod
from lws_placement.engine.model.snapshot import DomainSet, DomainView
from lws_placement.engine.preemption.victims import Tenants, is_back_at_once

Bound = tuple[int, int, int, str]
"""Highest priority, groups, pods, domain value; less is cheaper."""
_MOST_SHAPES = 64


@dataclass(frozen=True, slots=True)
class _Level:
    """Foreign pods up to a priority: per resource, their sum and the largest amount."""

    priority: int
    amounts: Mapping[str, int]
    largest: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class _Facts:
    groups: Mapping[GroupId, tuple[int, int]]
    """Groups that run there -> their highest priority and number of pods there."""
    open: Mapping[str, int]
    """Free in all nodes together, without groups and Terminating pods."""
    levels: tuple[_Level, ...]

    def bound(self, wanted: Mapping[str, int], outranks: int) -> tuple[int, int, int] | None:
        """None: evicting everything of lower priority is not enough."""
        running = self.groups.values()
        priority = max((p for p, _ in running), default=None)
        pods = sum(number for _, number in running)
        missing = {r: a - self.open.get(r, 0) for r, a in wanted.items()}
        missing = {r: a for r, a in missing.items() if a > 0}
        if missing:
            level = next((lv for lv in self.levels if _holds(lv.amounts, missing)), None)
            if level is None:
                return None
            priority = level.priority if priority is None else max(priority, level.priority)
            pods += max(-(-a // level.largest[r]) for r, a in missing.items())
        if priority is None:
            return _NOTHING
        return (priority, len(self.groups), pods) if priority < outranks else None


_NOTHING = (-(2**63), 0, 0)


@dataclass(slots=True)
class _Shape:
    mark: int = 0
    bounds: Ranking[Bound] = field(default_factory=Ranking)


class CostIndex:
    """For groups that own nothing and whose scope is the whole cluster."""

    def __init__(self, domains: DomainSet) -> None:
        self.domains = domains
        self._mark = 0
        self._facts: dict[str, _Facts] = {}
        self._shapes: LruCache[tuple[Hashable, int], _Shape] = LruCache(_MOST_SHAPES)

    def cheapest_first(
        self, group: Group, outranks: int, tenants: Tenants
    ) -> tuple[list[DomainView], Iterator[tuple[Bound, DomainView]]]:
        """Domains without a bound, which may need no victim; and the other feasible domains with
        their bounds, cheapest first.
        """
        self._follow(tenants)
        order = self._bounds(group, outranks)
        unsure = {v for g in tenants.all_that_go() for v in self.domains.owned_by(g)}
        known = bisect_left(order, (*_NOTHING, "\U0010ffff"))
        unsure |= {value for *_, value in order[:known]}
        bounds = (b for b in order[known:] if b[3] not in unsure)
        return self._views(unsure), ((b, view) for b in bounds for view in self._views({b[3]}))

    def _views(self, values: set[str]) -> list[DomainView]:
        found = (self.domains.get(value) for value in sorted(values))
        return [view for view in found if view is not None]

    def _follow(self, tenants: Tenants) -> None:
        for value in self.domains.changes.since(self._mark):
            view = self.domains.get(value)
            if view is None:
                self._facts.pop(value, None)
            else:
                self._facts[value] = _facts_of(view, tenants)
        self._mark = self.domains.changes.mark

    def _bounds(self, group: Group, outranks: int) -> list[Bound]:
        """Cheapest first."""
        wanted = total(dict(m.demand.resources) for m in group.members)
        asked = tuple(sorted(wanted.items())), outranks
        shape = self._shapes.get_or_make(asked, _Shape)
        changed: dict[str, Bound | None] = {}
        for value in self.domains.changes.since(shape.mark):
            facts = self._facts.get(value)
            found = facts.bound(wanted, outranks) if facts is not None else None
            changed[value] = (*found, value) if found is not None else None
        shape.bounds.put(changed)
        shape.mark = self.domains.changes.mark
        return shape.bounds.in_order


def _holds(amounts: Mapping[str, int], missing: Mapping[str, int]) -> bool:
    return all(amounts.get(r, 0) >= a for r, a in missing.items())


def _facts_of(view: DomainView, tenants: Tenants) -> _Facts:
    groups: dict[GroupId, tuple[int, int]] = {}
    foreign: list[Pod] = []
    open_: dict[str, int] = {}
    for node in view.nodes:
        going: dict[str, int] = {}
        for pod in tenants.pods_on(node.node.name):
            group = tenants.goes_with(pod)
            if group is not None and not pod.terminating:
                priority, number = groups.get(group, (pod.priority, 0))
                groups[group] = (max(priority, pod.priority), number + 1)
            elif group is None and pod.terminating:
                going = total((going, dict(pod.demand.resources)))
            elif group is None and not is_back_at_once(pod):
                foreign.append(pod)
        for name, amount in total((node.free, node.of_groups, going)).items():
            if amount > 0:
                open_[name] = open_.get(name, 0) + amount
    return _Facts(groups, open_, tuple(_levels(foreign)))


def _levels(foreign: list[Pod]) -> Iterator[_Level]:
    amounts: dict[str, int] = {}
    largest: dict[str, int] = {}
    for priority in sorted({p.priority for p in foreign}):
        for pod in foreign:
            for name, amount in pod.demand.resources if pod.priority == priority else ():
                amounts[name] = amounts.get(name, 0) + amount
                largest[name] = max(largest.get(name, 0), amount)
        yield _Level(priority, dict(amounts), dict(largest))
