"""Plans groups that ask for more than one domain for all: subgroups, regions, gangs.

The members of such a group go to several places at once (`placement_request.TopologyRequest`).
`domain_index.fit_in` decides each place like any group's domain. This module adds a different
domain for each subgroup, by bipartite matching, and a node for each member that may be anywhere,
mostly the leader. It fits that member to what the subgroups leave; if that fails, it tries each
node that takes the member and fits the subgroups around it.

Exact, within `_MOST_TRIES` nodes for such a member; beyond that the answer is "not proven", never a
wrong yes. Costs O(subgroup shapes x domains) fits and the matching, and keeps nothing between
plans. So in a large cluster a plan uses only the nodes that can matter (`candidates.py`), and
groups with the same request in the same state share one plan (`placement.py`).
"""

from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, replace
from typing import Protocol

from lws_placement.engine.base.effort import Effort
from lws_placement.engine.base.matching import maximum_matching
from lws_placement.engine.fit.assignment import NoMatch, match, take
from lws_placement.engine.fit.domain_index import Fit, fit_in, why_no_room
from lws_placement.engine.model.groups import Group, Member
from lws_placement.engine.model.pods import Rank
from lws_placement.engine.model.reservation import place_of
from lws_placement.engine.model.snapshot import DomainView, NodeView
from lws_placement.engine.model.verdicts import NoFit, Placed, Plan, Reason, Shortfall, Why
from lws_placement.engine.model.what_if import Views
from lws_placement.engine.objects.nodes import ANYWHERE, DomainName, NodeName
from lws_placement.engine.objects.placement_request import TopologyRequest
from lws_placement.engine.planning.single_domain import may_have, shut_for, taken

_MOST_TRIES = 256

Places = tuple[tuple[DomainName, tuple[Rank, ...]], ...]


class Where(Protocol):
    """What a plan is made on: every domain and node, or those that matter."""

    def domains(self, key: str) -> Iterable[DomainView]: ...
    def node_views(self) -> Sequence[NodeView]: ...


@dataclass(frozen=True, slots=True)
class Solution:
    """Nodes for all members, the subgroups' domains, and how many usable nodes are left over."""

    nodes: Mapping[Rank, NodeName]
    places: Places
    left_over: int


def plan_multi_domain(
    group: Group, views: Where, *, only: frozenset[DomainName] | None = None
) -> Plan:
    """Equal inputs give equal plans. `only`: restricts the plan to these domains."""
    return _plan(_Planner(group, views, only=only), group.request)


def place_multi_domain(group: Group, views: Where) -> Placed | NoMatch:
    """The same plan, without the reasons of a refusal, which cost more than the plan."""
    plan = _plan(_Planner(group, views, only=None, tells=False), group.request)
    if isinstance(plan, Placed):
        return plan
    unproven = any(reason.why is Why.NOT_PROVEN for reason in plan.reasons.values())
    return NoMatch.NOT_PROVEN if unproven else NoMatch.IMPOSSIBLE


def nodes_of(plan: Placed, views: Views) -> frozenset[NodeName]:
    """The nodes of the plan's members, and all nodes of the domains that it takes."""
    domains = (plan.domain, *(domain for domain, _ in plan.others))
    found = (views.domain(domain) for domain in domains if not domain.anywhere)
    return frozenset(plan.nodes.values()).union(*(d.node_names for d in found if d is not None))


def _plan(planner: "_Planner", request: TopologyRequest) -> Plan:
    regions = planner.regions()
    if not regions:
        return NoFit(request.required_topology)
    if request.preferred_topology:
        preferred = planner.parts_of(regions, request.preferred_topology)
        plan = planner.without_words().best_of(preferred) if preferred else None
        if isinstance(plan, Placed):
            return plan
    return planner.best_of(regions)


class _Planner:
    def __init__(
        self,
        group: Group,
        views: Where,
        *,
        only: frozenset[DomainName] | None,
        tells: bool = True,
    ) -> None:
        self._group = group
        self._request = group.request
        self._subgroups = group.request.subgroups
        self._views = views
        self._only = only
        self._tells = tells
        self._is_shut = shut_for(group)
        self._members = {m.rank: m for m in group.members}
        inside = group.request.in_subgroups
        self._loose = [m for m in group.members if m.rank not in inside]

    def without_words(self) -> "_Planner":
        """A copy without reasons, for plans whose refusal is not reported."""
        other = copy(self)
        other._tells = False
        return other

    # -- where -----------------------------------------------------------------------------------

    def regions(self) -> list[list[NodeView]]:
        """The nodes to plan in, by region."""
        if not self._request.required_topology:
            return [list(self._views.node_views())]
        return [list(d.nodes) for d in self._domains(self._request.required_topology)]

    def parts_of(self, regions: Iterable[list[NodeView]], key: str) -> list[list[NodeView]]:
        """Splits each region by the values of `key`, a smaller or crossing level."""
        found = []
        for nodes in regions:
            by_value: dict[str, list[NodeView]] = {}
            for node in nodes:
                if key in node.node.labels:
                    by_value.setdefault(node.node.labels[key], []).append(node)
            found += [by_value[value] for value in sorted(by_value)]
        return found

    def best_of(self, regions: Sequence[list[NodeView]]) -> Plan:
        best: tuple[int, Placed] | None = None
        refusals: list[NoFit] = []
        for nodes in regions:
            answer = self._in_region(nodes)
            if isinstance(answer, NoFit):
                refusals.append(answer)
            elif best is None or answer[0] < best[0]:
                best = answer
        if best is not None:
            return best[1]
        reasons: dict[str, Reason] = {}
        for refusal in refusals:
            for value, reason in refusal.reasons.items():
                known = reasons.get(value)
                if known is None or reason.fit > known.fit:
                    reasons[value] = reason
        return replace(refusals[0], reasons=reasons)

    def _domains(self, key: str) -> list[DomainView]:
        return sorted(self._views.domains(key), key=lambda d: d.name.value)

    # -- one region ------------------------------------------------------------------------------

    def _in_region(self, nodes: list[NodeView]) -> tuple[int, Placed] | NoFit:
        if not self._request.outer:
            return self._anywhere(nodes)
        names = frozenset(n.node.name for n in nodes)
        best: tuple[int, Placed] | None = None
        reasons: dict[str, Reason] = {}
        for outer in self._candidates(self._request.outer, names):
            found = taken(self._group, outer) or self._solve(list(_part(outer, names).nodes))
            if isinstance(found, Reason):
                reasons[outer.name.value] = found
            elif best is None or found.left_over < best[0]:
                inner = tuple((domain, ()) for domain, _ in found.places)
                best = (found.left_over, Placed(outer.name, found.nodes, inner))
        return best or NoFit(self._request.outer, reasons)

    def _anywhere(self, nodes: list[NodeView]) -> tuple[int, Placed] | NoFit:
        found = self._solve(nodes)
        loose = tuple(m.rank for m in self._loose)
        own = ((ANYWHERE, loose),) if loose else ()
        if isinstance(found, Solution):
            places = (*found.places, *own)
            (first, _), *others = places
            return found.left_over, Placed(first, found.nodes, tuple(others))
        if not self._request.inner:
            return NoFit(ANYWHERE.key, {ANYWHERE.value: found})
        reasons = self._why_not_inner(nodes, found) if self._tells else {"": found}
        return NoFit(self._request.inner, reasons, len(self._subgroups))

    def _candidates(self, key: str, names: frozenset[NodeName]) -> list[DomainView]:
        return [
            domain
            for domain in self._domains(key)
            if (self._only is None or domain.name in self._only)
            and any(n.node.name in names for n in domain.nodes)
        ]

    # -- subgroups and the rest on given nodes ---------------------------------------------------

    def _solve(self, nodes: list[NodeView]) -> Solution | Reason:
        """Places all members on these nodes; ignores the owners of the domain around them.

        Rules among members of different subgroups are checked on the result alone: if they are
        broken, it is not proven that there is no other way.
        """
        found = self._solve_in_parts(nodes)
        joint = self._group.joint
        if joint is None or isinstance(found, Reason):
            return found
        by_name = {n.node.name: n.node for n in nodes}
        free = [r for r in found.nodes if self._members[r].fixed is None]
        broken = joint.broken(
            {rank: by_name[found.nodes[rank]] for rank in free}, self._group.effort
        )
        if broken is None:
            return found
        rank, rule = broken
        return Reason(Why.NOT_PROVEN, nodes=len(nodes), shortfall=Shortfall(rank, rule=rule))

    def _solve_in_parts(self, nodes: list[NodeView]) -> Solution | Reason:
        if self._loose and place_of(self._group.id) in self._group.excluded:
            return Reason(Why.REFUSED)
        if not self._subgroups:
            return self._all_loose(nodes)
        found = self._inner(nodes)
        if isinstance(found, Reason) or not self._loose:
            return found
        with_loose = self._loose_beside(found, nodes)
        if isinstance(with_loose, Solution) or len(self._loose) > 1:
            return with_loose
        return self._loose_first(nodes, with_loose)

    def _all_loose(self, nodes: list[NodeView]) -> Solution | Reason:
        shut = not self._request.outer
        usable = [n for n in nodes if not (shut and self._is_shut(n))]
        there = DomainView(ANYWHERE, tuple(usable))
        fit = fit_in(self._group, there)
        if isinstance(fit, Fit):
            return Solution(fit.nodes, (), fit.left_over)
        return self._why_no_room(self._group, there, fit)

    def _why_no_room(self, group: Group, there: DomainView, answer: NoMatch) -> Reason:
        if self._tells:
            return why_no_room(group, there, answer=answer)
        proven = answer is NoMatch.IMPOSSIBLE
        return Reason(Why.NO_MATCHING if proven else Why.NOT_PROVEN)

    def _inner(self, nodes: Sequence[NodeView]) -> Solution | Reason:
        """A domain for each subgroup: the best ones if all subgroups are alike, else a matching."""
        edges = self._edges(nodes)
        chosen = _distinct([edges[ranks] for ranks in self._subgroups], self._group.effort)
        if len(chosen) < len(self._subgroups):
            fewest = min(self._subgroups, key=lambda ranks: (len(edges[ranks]), ranks))
            if self._group.effort.is_spent:
                return Reason(Why.NOT_PROVEN, nodes=len(nodes))
            return Reason(
                Why.TOO_FEW_DOMAINS,
                fit=len(chosen),
                nodes=len(self._subgroups),
                shortfall=Shortfall(fewest[0]),
            )
        placed: dict[Rank, NodeName] = {}
        left_over = 0
        for ranks, domain in zip(self._subgroups, chosen, strict=True):
            fit = edges[ranks][domain]
            placed |= fit.nodes
            left_over += fit.left_over
        return Solution(placed, tuple(zip(chosen, self._subgroups, strict=True)), left_over)

    def _edges(self, nodes: Sequence[NodeView]) -> dict[tuple[Rank, ...], dict[DomainName, Fit]]:
        """The domains where each subgroup fits, best first; fits each shape of subgroup once."""
        names = {n.node.name: n for n in nodes}
        fits: dict[tuple[Rank, ...], dict[DomainName, Fit]] = {}
        domains = self._candidates(self._request.inner, frozenset(names))
        free = [d for d in domains if may_have(self._group, d)]
        known: dict[object, dict[DomainName, Fit]] = {}
        for ranks in self._subgroups:
            members = [self._members[rank] for rank in ranks]
            shape = tuple((m.demand, m.fixed) for m in members)
            if shape not in known:
                known[shape] = self._fits(members, free, names)
            fits[ranks] = {
                domain: Fit(dict(zip(ranks, fit.nodes.values(), strict=True)), fit.left_over)
                for domain, fit in known[shape].items()
            }
        return fits

    def _fits(
        self,
        members: Sequence[Member],
        domains: Iterable[DomainView],
        nodes: Mapping[NodeName, NodeView],
    ) -> dict[DomainName, Fit]:
        part = replace(self._group, members=tuple(members))
        found = []
        for domain in domains:
            there = [nodes[n.node.name] for n in domain.nodes if n.node.name in nodes]
            fit = fit_in(part, replace(domain, nodes=tuple(there)))
            if isinstance(fit, Fit):
                found.append((fit.left_over, domain.name, fit))
        return {name: fit for _, name, fit in sorted(found, key=lambda f: f[:2])}

    def _loose_beside(self, found: Solution, nodes: list[NodeView]) -> Solution | Reason:
        """Places the members of no subgroup on what the subgroups leave."""
        left = {n.node.name: n for n in nodes}
        for rank, name in found.nodes.items():
            member = self._members[rank]
            if member.fixed is None:
                left[name] = take(left[name], member.demand)
        usable = [n for n in left.values() if not self._is_shut(n)]
        group = replace(self._group, members=tuple(self._loose))
        there = DomainView(ANYWHERE, tuple(usable))
        fit = fit_in(group, there)
        if isinstance(fit, Fit):
            return replace(found, nodes={**found.nodes, **fit.nodes})
        return self._why_no_room(group, there, fit)

    def _loose_first(self, nodes: list[NodeView], why: Reason) -> Solution | Reason:
        """Tries the one member of no subgroup on each node that takes it, subgroups around it."""
        (loose,) = self._loose
        tries = 0
        for index, node in enumerate(nodes):
            if loose.fixed is not None or self._is_shut(node):
                continue
            if isinstance(match([loose], [node], self._group.effort), NoMatch):
                continue
            tries += 1
            if tries > _MOST_TRIES:
                return replace(why, why=Why.NOT_PROVEN)
            around = [*nodes[:index], take(node, loose.demand), *nodes[index + 1 :]]
            found = self._inner(around)
            if isinstance(found, Solution):
                return replace(found, nodes={loose.rank: node.node.name, **found.nodes})
        return why

    def _why_not_inner(self, nodes: list[NodeView], why: Reason) -> dict[str, Reason]:
        """Reasons per domain of the subgroups' key, for the subgroup that is hardest to place."""
        rank = why.shortfall.rank if why.shortfall is not None else 0
        ranks = next((r for r in self._subgroups if rank in r), self._subgroups[0])
        part = replace(self._group, members=tuple(self._members[rank] for rank in ranks))
        reasons: dict[str, Reason] = {}
        if why.why is not Why.TOO_FEW_DOMAINS:
            reasons[""] = why
        names = frozenset(n.node.name for n in nodes)
        for domain in self._candidates(self._request.inner, names):
            view = _part(domain, names)
            refused = taken(self._group, domain)
            if refused is None:
                answer = fit_in(part, view)
                if isinstance(answer, Fit):
                    refused = Reason(Why.ONE_SUBGROUP)
                else:
                    refused = why_no_room(part, view, answer=answer)
            reasons[domain.name.value] = refused
        return reasons


def _part(domain: DomainView, within: frozenset[NodeName]) -> DomainView:
    """The domain, restricted to the nodes in `within`."""
    nodes = tuple(n for n in domain.nodes if n.node.name in within)
    return domain if len(nodes) == len(domain.nodes) else replace(domain, nodes=nodes)


def _distinct(options: Sequence[Mapping[DomainName, Fit]], effort: Effort) -> list[DomainName]:
    """A different domain for each, earlier options first where possible; if too few, as many as can
    be.
    """
    owner = maximum_matching(options, effort)
    return sorted(owner, key=lambda domain: owner[domain])
