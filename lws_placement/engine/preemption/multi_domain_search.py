"""Victims for a group that goes to several domains, stays within a region, or may be anywhere.

The domains that it will take are open, so the search covers the whole cluster at once; a trial is
the very plan that would be made without the victims (`simulation.py`). The candidates, the budgets
and the order of costs are those of one domain (`search.py`), with one difference: a group that the
preemptor could run beside is a candidate, too, if its room is needed.

What is exact, as far as the plan itself is (`multi_domain.py`):

- no eviction is in vain: without the victims the group has a plan;
- no victim is superfluous: if any one of them stays, the group has no plan;
- no set with a lower highest priority would do.

It is certainly the fewest groups, and then the fewest pods, at that priority only with at most
`_EXACT` candidates and within the bound of the search. With more candidates, the search clears
domains (or nodes), the cheapest first, until the group fits, and goes on with the victims in the
places of that plan. That may miss a set that budgets allow; then the group waits.

Costs: one pass over all nodes and pods, then trials on the nodes that matter: the logarithm of the
number of places to clear, a few for each victim, and the whole cluster where that is not enough.
0.4 s for 15 000 nodes full of groups of one priority, 2.5 s with 60 000 foreign pods of four
priorities on them.
"""

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lws_placement.engine.model.groups import Group, GroupId
from lws_placement.engine.model.pods import Pod
from lws_placement.engine.model.snapshot import ClusterSnapshot
from lws_placement.engine.model.verdicts import Placed
from lws_placement.engine.objects.nodes import NodeName
from lws_placement.engine.planning.multi_domain import nodes_of
from lws_placement.engine.planning.subset import no_pause
from lws_placement.engine.preemption.reprieve import Reprieve, Victims, fits, why_not_together
from lws_placement.engine.preemption.search import (
    NoPreemption,
    Preemption,
    WhyNoPreemption,
    in_order,
)
from lws_placement.engine.preemption.simulation import ClusterTrial
from lws_placement.engine.preemption.victims import (
    Barred,
    Budgets,
    Tenants,
    Victim,
    VictimKey,
    as_victim,
    may_go,
)

TRIALS = 200
_EXACT = 24
_MANY = 256


def preempt_multi_domain(
    group: Group,
    views: ClusterSnapshot,
    tenants: Tenants,
    *,
    only: frozenset[NodeName] | None = None,
    trials: int = TRIALS,
    pause: Callable[[], None] = no_pause,
) -> Preemption | NoPreemption:
    """For a group without bound members that fits nowhere now. `only`: restricts the search to
    these nodes. `pause`: called between steps of some milliseconds. Equal inputs give equal
    answers; what changes during a pause may or may not count.
    """
    if group.outranks is None:
        return NoPreemption(WhyNoPreemption.NEVER)
    who = _Outranked(group.outranks, tenants)
    trial = ClusterTrial(group, views, tenants, who=who, only=only, pause=pause)
    return Search(group, trial, tenants, views=views, trials=trials).run()


@dataclass(frozen=True, slots=True)
class _Outranked:
    """A `simulation.Who`: a preemptor of priority `outranks`."""

    outranks: int
    tenants: Tenants
    heeds_turns: bool = True

    def group(self, other: GroupId) -> Victim | Barred | None:
        return as_victim(other, self.outranks, self.tenants)

    def pod(self, pod: Pod) -> Victim | Barred | None:
        if pod.terminating:
            return None
        if may_go(pod, self.outranks, self.tenants):
            return Victim(pod.priority, (pod,))
        return Barred("has a pod that stays")


class Search:
    """Searches the cheapest victims in `trial.may`; `budgets` limit their eviction."""

    def __init__(
        self,
        group: Group,
        trial: ClusterTrial,
        budgets: Budgets,
        *,
        views: ClusterSnapshot,
        trials: int,
    ) -> None:
        self._group = group
        self._trial = trial
        self._budgets = budgets
        self._views = views
        self._trials = trials
        self._lets_go: dict[VictimKey, bool] = {}

    def run(self) -> Preemption | NoPreemption:
        free = self._trial.place(())
        if isinstance(free, Placed):
            domain = None if free.domain.anywhere else free.domain
            return NoPreemption(WhyNoPreemption.FREEING, domain)
        may = sorted(self._trial.may, key=lambda v: (v.priority, v.name))
        levels = sorted({v.priority for v in may})
        span = range(len(levels))
        first = _first(span, lambda i: self._enough(_upto(may, levels[i])) is not None)
        refusal = NoPreemption(WhyNoPreemption.NO_HELP)
        for level in levels[first:]:
            chosen = self._fewest(self._allowed(_upto(may, level)))
            placed = self._trial.place(chosen) if chosen else None
            if chosen and isinstance(placed, Placed):
                return Preemption(placed.domain, placed.nodes, in_order(chosen), placed.others)
            refusal = self._forbidden(_upto(may, level))
        return refusal

    def _forbidden(self, may: Sequence[Victim]) -> NoPreemption:
        there = self._where_the_plan_is(may)
        return NoPreemption(WhyNoPreemption.BUDGET, None, why_not_together(there, self._budgets))

    def _allowed(self, victims: Sequence[Victim]) -> Sequence[Victim]:
        for victim in victims:
            if victim.key not in self._lets_go:
                self._lets_go[victim.key] = not why_not_together((victim,), self._budgets)
        return [v for v in victims if self._lets_go[v.key]]

    def _fewest(self, pool: Sequence[Victim]) -> Victims | None:
        enough = self._enough(pool)
        if enough is None:
            return None
        return Reprieve(self._trial, self._budgets, most=self._trials).run(tuple(enough))

    def _enough(self, pool: Sequence[Victim]) -> Sequence[Victim] | None:
        """Of a large pool, the victims where the plan is once enough of the cheapest places are
        cleared; without them that plan holds. None: evicting all of the pool is not enough.
        """
        if len(pool) <= _EXACT:
            return pool if fits(self._trial, pool) else None
        places = self._cheapest_first(pool)
        least, most = 0, 1
        while not fits(self._trial, _in(places[:most])):
            if most >= len(places):
                return None
            least, most = most, 4 * most if most < _MANY else len(places)
        span = range(least, min(most, len(places)))
        enough = _in(places[: _first(span, lambda n: fits(self._trial, _in(places[:n])))])
        some = self._where_the_plan_is(enough)
        return some if fits(self._trial, some) else enough

    def _cheapest_first(self, pool: Sequence[Victim]) -> Sequence[Sequence[Victim]]:
        """The victims in each domain, or on each node for a group without domains."""
        key = self._group.request.inner or self._group.request.outer
        places: dict[str, list[Victim]] = {}
        for victim in pool:
            views = map(self._views.node_view, self._trial.nodes_of(victim))
            nodes = [v.node for v in views if v is not None]
            for place in {n.labels.get(key, "") if key else n.name for n in nodes}:
                places.setdefault(place, []).append(victim)
        ordered = sorted(places, key=lambda place: (_cost(places[place]), place))
        return [places[place] for place in ordered]

    def _where_the_plan_is(self, victims: Sequence[Victim]) -> Sequence[Victim]:
        """The victims in the places that the group would take if all of them went."""
        placed = self._trial.place(victims)
        if not isinstance(placed, Placed):
            return victims
        used = nodes_of(placed, self._views)
        return [v for v in victims if self._trial.nodes_of(v) & used]


def _first(span: range, holds: Callable[[int], bool]) -> int:
    """The first value from which on `holds` is true; the end of the span if there is none."""
    return span.start + bisect_left(span, True, key=holds)


def _in(places: Sequence[Sequence[Victim]]) -> Sequence[Victim]:
    return list({v.key: v for place in places for v in place}.values())


def _cost(victims: Sequence[Victim]) -> tuple[int, int, int]:
    groups = sum(v.group is not None for v in victims)
    return max(v.priority for v in victims), groups, sum(len(v.pods) for v in victims)


def _upto(may: Sequence[Victim], level: int) -> Sequence[Victim]:
    return [v for v in may if v.priority <= level]
