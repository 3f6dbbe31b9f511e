"""The cheapest victims in one domain that let a whole group fit: no eviction is in vain.

Victims go whole (`victims.py`), and their budgets allow evicting all of them together
(`disruption_budgets.py`). A set is cheaper if its highest priority is lower, then if it has fewer
groups, then fewer pods; then the names of the domain and of the victims decide.

In a domain, the search admits priorities level by level, from the lowest on, until the group fits
within budgets; within a level `reprieve.py` finds the fewest victims. Beyond its bound the answer
is valid but may not be the cheapest; property tests hold the rest against brute force. Only domains
that can still be cheapest are searched, in the order of their minimum cost (`cost_index.py`).

Costs: trials (a `match` each) in few domains, and bounds of changed domains. `PreemptionMemo`
shares an answer among equal groups. Without an index of bounds every domain is searched, with the
same answer.
"""

import heapq
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cached_property
from operator import itemgetter

from lws_placement.engine.base.lru import LruCache
from lws_placement.engine.base.quantities import total
from lws_placement.engine.fit.assignment import NoMatch
from lws_placement.engine.fit.joint_search import match_jointly
from lws_placement.engine.model.exclusivity import question_of
from lws_placement.engine.model.groups import Group, GroupId
from lws_placement.engine.model.pods import Pod, Rank
from lws_placement.engine.model.snapshot import DomainSet, DomainView, NodeView
from lws_placement.engine.objects.nodes import DomainName, NodeName
from lws_placement.engine.objects.placement_request import Scope
from lws_placement.engine.planning.single_domain import is_beyond_limits
from lws_placement.engine.preemption.cost_index import Bound, CostIndex
from lws_placement.engine.preemption.reprieve import Reprieve, Victims, fits, why_not_together
from lws_placement.engine.preemption.victims import (
    Barred,
    Bystanders,
    InTheWay,
    Tenants,
    Victim,
    bystanders,
    in_the_way,
)

Ruled = Callable[[Sequence[Pod], frozenset[GroupId]], Group]
"""The group with its rules once these pods and what these groups hold are gone."""

TRIALS = 400
"""Matches tried in one domain and level before the search settles for the best so far."""


@dataclass(frozen=True, slots=True, order=True)
class Cost:
    """Less is cheaper."""

    priority: int
    groups: int
    pods: int
    domain: str
    victims: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Preemption:
    """The group fits in the domain on these nodes once the victims are gone. `others`: further
    domains, as in `verdicts.Placed`.
    """

    domain: DomainName
    nodes: Mapping[Rank, NodeName]
    victims: Victims
    others: tuple[tuple[DomainName, tuple[Rank, ...]], ...] = ()

    @property
    def cost(self) -> Cost:
        names = tuple(sorted(v.name for v in self.victims))
        return replace(_least(self.victims, self.domain.value), victims=names)


class WhyNoPreemption(StrEnum):
    """Why a group evicts nothing; the text follows "preempts nobody: "."""

    NEVER = "its preemptionPolicy is Never"
    UNKNOWN = "workers to come have another priority class than their leader"
    FREEING = "a domain that it fits in is free or about to be"
    BUDGET = "a budget forbids it"
    TOO_LARGE = "a Lease cannot list its members beside those of the group that would go"
    IN_VAIN = "it had room lately and could not use it"
    SEARCHING = "victims are being searched for"
    NO_HELP = "it would not fit either if all of lower priority were gone"


@dataclass(frozen=True, slots=True)
class NoPreemption:
    """Nothing is evicted. `domain`: the domain that FREEING or BUDGET is about; `detail`: the
    budget.
    """

    why: WhyNoPreemption
    domain: DomainName | None = None
    detail: str = ""


def preempt(
    group: Group,
    domains: Iterable[DomainView],
    tenants: Tenants,
    *,
    trials: int = TRIALS,
    costs: CostIndex | None = None,
    ruled: Ruled | None = None,
) -> Preemption | NoPreemption:
    """For a group without bound members that fits in none of the domains now. `costs`: the index of
    the same domains; without it every domain is searched. `ruled`: its rules depend on victims;
    else, for its rules about other pods (`rules/pod_rules.py`), victims stay.

    Equal inputs give equal answers.
    """
    if group.outranks is None:
        return NoPreemption(WhyNoPreemption.NEVER)
    looked_into: Iterable[DomainView] = domains
    bounded: Iterator[tuple[Bound, DomainView]] = iter(())
    if costs is not None:
        looked_into, bounded = costs.cheapest_first(group, group.outranks, tenants)

    def trial_in(view: DomainView) -> _DomainTrial | None:
        return _domain_of(group, view, tenants, trials=trials, ruled=ruled)

    worth: list[tuple[Cost, _DomainTrial]] = []
    free: list[DomainName] = []
    for view in looked_into:
        domain = trial_in(view)
        if domain is None:
            continue
        if domain.will_be_free():
            free.append(view.name)
        elif domain.least is not None:
            worth.append((domain.least, domain))
    if free:
        return NoPreemption(WhyNoPreemption.FREEING, min(free))
    more = ((Cost(*bound, ()), trial_in(view)) for bound, view in bounded)
    return _cheapest(heapq.merge(sorted(worth, key=itemgetter(0)), more, key=itemgetter(0)))


def _domain_of(
    group: Group, view: DomainView, tenants: Tenants, *, trials: int, ruled: Ruled | None
) -> "_DomainTrial | None":
    """None: the group cannot have the domain."""
    way = in_the_way(group, view, tenants)
    if isinstance(way, Barred) or view.name in group.excluded or is_beyond_limits(group, view):
        return None
    return _DomainTrial(group, view, way, tenants=tenants, trials=trials, ruled=ruled)


class PreemptionMemo:
    """Recent answers, valid while the state of the cluster is the same. Groups that own nothing
    share an answer with all of equal shape and `outranks`, unless a group waits for a place: that
    place is closed to later groups and not to earlier ones.
    """

    def __init__(self) -> None:
        self._known: LruCache[Hashable, tuple[Hashable, Preemption | NoPreemption]] = LruCache()
        self._costs: LruCache[str, CostIndex] = LruCache()

    def ask(
        self, group: Group, domains: DomainSet, tenants: Tenants, *, ruled: Ruled | None = None
    ) -> Preemption | NoPreemption:
        """`ruled`: rules touch the group, so no other group shares its answer."""
        if domains.has_owner(group.id):
            return preempt(group, domains, tenants, ruled=ruled)
        common = group.scope is Scope.CLUSTER
        if ruled is not None:
            costs = self._costs_in(group.topology_key, domains) if common else None
            return preempt(group, domains, tenants, costs=costs, ruled=ruled)
        whose = None if common and not domains.awaited else group.id
        question = (question_of(group), group.outranks, whose)
        state = (id(domains), domains.changes.mark, tenants.version)
        known = self._known.get(question)
        if known is None or known[0] != state:
            costs = self._costs_in(group.topology_key, domains) if common else None
            known = state, preempt(group, domains, tenants, costs=costs)
            self._known.put(question, known)
        return known[1]

    def _costs_in(self, key: str, domains: DomainSet) -> CostIndex:
        found = self._costs.get(key)
        if found is None or found.domains is not domains:
            found = CostIndex(domains)
            self._costs.put(key, found)
        return found


def _cheapest(worth: Iterable[tuple[Cost, "_DomainTrial | None"]]) -> Preemption | NoPreemption:
    """`worth`: domains with their minimum costs, the lowest first."""
    best: Preemption | None = None
    refused: list[tuple[Cost, NoPreemption]] = []
    for least, domain in worth:
        if best is not None and least > best.cost:
            break
        if domain is None or domain.least is None:
            continue
        answer = domain.search()
        if isinstance(answer, Preemption):
            best = answer if best is None or answer.cost < best.cost else best
        elif answer.why is not WhyNoPreemption.NO_HELP:
            refused.append((domain.least, answer))
    if best is not None:
        return best
    return min(refused, key=itemgetter(0))[1] if refused else NoPreemption(WhyNoPreemption.NO_HELP)


def _least(victims: Sequence[Victim], domain: str) -> Cost:
    """The minimum cost of a set that contains these victims."""
    return Cost(
        priority=max(v.priority for v in victims),
        groups=sum(v.group is not None for v in victims),
        pods=sum(len(v.pods) for v in victims),
        domain=domain,
        victims=(),
    )


class _DomainTrial:
    """A `Trial` of one group in one domain."""

    def __init__(
        self,
        group: Group,
        view: DomainView,
        way: InTheWay,
        *,
        tenants: Tenants,
        trials: int,
        ruled: Ruled | None,
    ) -> None:
        self._group = group
        self._name = view.name
        self._view = view
        self._way = way
        self._trials = trials
        self._tenants = tenants
        self._ruled = ruled

    @cached_property
    def least(self) -> Cost | None:
        """The minimum cost of victims here; None: there are no victims."""
        some = self._way.must or self.others.may[:1]
        return _least(some, self._name.value) if some else None

    @cached_property
    def others(self) -> Bystanders:
        return bystanders(self._group, self._view, self._way, self._tenants)

    @cached_property
    def _nodes(self) -> Sequence[NodeView]:
        """The nodes without what is reserved for groups that go."""
        gone = (*self._way.leaving, *(v.group for v in self._way.must if v.group is not None))
        return [node.without(frozenset(gone)) for node in self._view.nodes]

    @cached_property
    def _at(self) -> Mapping[str, tuple[int, Pod]]:
        """UID -> index of its node, and the pod."""
        on = self._tenants.pods_on
        return {p.uid: (i, p) for i, view in enumerate(self._nodes) for p in on(view.node.name)}

    def will_be_free(self) -> bool:
        """Whether the pods and groups that go anyway leave enough room."""
        return not self._way.must and fits(self, ())

    def search(self) -> Preemption | NoPreemption:
        must, refusal = self._way.must, NoPreemption(WhyNoPreemption.NO_HELP)
        for may in self._levels():
            if not fits(self, (*must, *may)):
                continue
            chosen = Reprieve(self, self._tenants, must=must, most=self._trials).run(may)
            if chosen is not None:
                victims = (*must, *chosen)
                nodes = self.place(victims)
                if isinstance(nodes, NoMatch):  # it was tried before, but the effort is spent
                    return refusal
                return Preemption(self._name, nodes, in_order(victims))
            detail = why_not_together((*must, *may), self._tenants)
            refusal = NoPreemption(WhyNoPreemption.BUDGET, self._name, detail)
        return refusal

    def _levels(self) -> Iterator[Victims]:
        """The candidates up to each priority in turn, from the highest priority in `must` on."""
        must, may = self._way.must, self.others.may
        floor = [max(v.priority for v in must)] if must else []
        for level in sorted({*floor, *(v.priority for v in may)}):
            if not floor or level >= floor[0]:
                yield tuple(v for v in may if v.priority <= level)

    def place(self, victims: Sequence[Victim]) -> Mapping[Rank, NodeName] | NoMatch:
        gone: dict[int, list[Pod]] = defaultdict(list)
        for uid in self.others.going.union(*(v.uids for v in victims)):
            if uid in self._at:
                index, pod = self._at[uid]
                gone[index].append(pod)
        nodes = [_emptied(n, gone[i]) if i in gone else n for i, n in enumerate(self._nodes)]
        group = self._group
        if self._ruled is not None:
            going = {*self._way.leaving, *(v.group for v in victims if v.group is not None)}
            group = self._ruled([p for pods in gone.values() for p in pods], frozenset(going))
        return match_jointly(group.members, nodes, group.joint, self._group.effort)


def _emptied(view: NodeView, gone: Sequence[Pod]) -> NodeView:
    """The node without these pods."""
    free = total((view.free, *(dict(pod.demand.resources) for pod in gone)))
    ports = {port for pod in gone for port in pod.demand.host_ports}
    return replace(view, free=free, ports=view.ports - ports)


def in_order(victims: Victims) -> Victims:
    """Groups first, by name."""
    return tuple(sorted(victims, key=lambda v: (v.group is None, v.name)))
