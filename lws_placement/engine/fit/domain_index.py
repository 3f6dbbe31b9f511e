"""Domains with room for a group of one shape, best first: an index that follows a `DomainSet`.

Room depends on the members' demands and on the nodes alone. The index ignores ownership:
`single_domain.py` checks it for each candidate in turn, so new kinds of ownership leave the index
as it is.

Costs, for c changed domains of n: `follow` takes c fits and c insertions into a sorted list; the
rest is reading. The reason of a refusal is computed when it is first read, once per state of a
domain. An index follows one DomainSet for that set's lifetime; the first plan of a new shape pays n
fits (about 10 microseconds each for domains of 4 nodes).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from lws_placement.engine.base.effort import WORDS_EFFORT, Effort
from lws_placement.engine.base.ranking import Ranking
from lws_placement.engine.fit.assignment import Match, NoMatch, match
from lws_placement.engine.fit.joint_search import match_jointly
from lws_placement.engine.fit.node_filters import fits_node
from lws_placement.engine.fit.refusals import Classes, Tally
from lws_placement.engine.fit.shortfall import why_not_all
from lws_placement.engine.model.groups import Group
from lws_placement.engine.model.joint.rules import JointRules
from lws_placement.engine.model.pods import Demand, Rank
from lws_placement.engine.model.snapshot import DomainSet, DomainView, NodeView
from lws_placement.engine.model.verdicts import NoFit, Reason, Shortfall, Why
from lws_placement.engine.objects.nodes import NodeName

Shape = tuple[Demand, ...]
"""The demands of a group's members, by rank."""


@dataclass(frozen=True, slots=True)
class Fit:
    """A whole group fits in a domain: the node of each member, and the number of usable nodes that
    stay unused.
    """

    nodes: Mapping[Rank, NodeName]
    left_over: int


class DomainFitIndex:
    """For groups of one shape without bound members. `as_if` replaces each node view before the
    fit.
    """

    def __init__(
        self,
        group: Group,
        domains: DomainSet,
        *,
        as_if: Callable[[NodeView], NodeView] | None = None,
    ) -> None:
        self.domains = domains
        self.ranks = tuple(m.rank for m in group.members)
        """Ranks of the group that the index was made for; refusals name them."""
        self.refusal: tuple[tuple[int, int], NoFit] | None = None
        """The answer to groups that own nothing, and when it is true: at this mark of the domains,
        for groups with this `most_nodes`.
        """
        self.within: DomainFitIndex | None = None
        """Of the same group with fewer rules, up to date: where that does not fit, this does not.
        """
        self._group = group
        self._as_if = as_if
        self._mark = 0
        self._left: set[str] = set()
        """Values of the domains that were not looked at, as the effort was spent."""
        self._fits: dict[str, Fit] = {}
        self._order = Ranking[tuple[int, str]]()
        self._misses: dict[str, tuple[DomainView, NoMatch | Reason]] = {}
        self.unproven: set[str] = set()
        """Values of the domains for which the search gave up: room is not proven either way."""
        self._tally = Tally()
        self._tally_mark = 0
        self._tally_of = 0

    def follow(self, effort: Effort) -> int:
        """Apply changes; return the mark of the domains that the index now reflects. Once `effort`
        is spent, domains are left for the next call, and count as unproven until then.
        """
        ranks: dict[str, tuple[int, str] | None] = {}
        self._group = replace(self._group, effort=Effort(WORDS_EFFORT))
        group = replace(self._group, effort=effort)
        if self._left:
            self.refusal, self._tally_mark = None, 0
        looked = 0
        changed = {*self._left, *self.domains.changes.since(self._mark)}
        self._left = set()
        for value in sorted(changed):
            self._misses.pop(value, None)
            self._fits.pop(value, None)
            self.unproven.discard(value)
            ranks[value] = None
            view = self.domains.get(value)
            if view is None:
                continue
            if self.within is not None and not self.within.may_fit(value):
                self._misses[value] = (view, NoMatch.IMPOSSIBLE)
                continue
            fit = NoMatch.NOT_PROVEN if effort.is_spent else fit_in(group, self._looked_at(view))
            if effort.is_spent and looked:
                self._left.add(value)
            looked += 1
            if isinstance(fit, Fit):
                self._fits[value] = fit
                ranks[value] = (fit.left_over, value)
            else:
                self._misses[value] = (view, fit)
                if fit is NoMatch.NOT_PROVEN:
                    self.unproven.add(value)
        self._order.put(ranks)
        self._mark = self.domains.changes.mark
        return self._mark

    @property
    def best_first(self) -> Sequence[tuple[int, str]]:
        """(nodes left over, domain value) of each domain with room, sorted."""
        return self._order.in_order

    def _looked_at(self, view: DomainView) -> DomainView:
        if self._as_if is None:
            return view
        return replace(view, nodes=tuple(map(self._as_if, view.nodes)))

    def fit(self, value: str) -> Fit:
        return self._fits[value]

    def may_fit(self, value: str) -> bool:
        """Whether it is not certain that there is no room."""
        return value in self._fits or value in self.unproven

    def fits(self, view: DomainView) -> bool:
        """True if the domain has room as it is now."""
        return view.name.value in self._fits and self.domains.get(view.name.value) is view

    def why_no_room(self, view: DomainView) -> Reason:
        """Reason for a view, current or earlier, in which the group does not fit."""
        known = self._misses.get(view.name.value)
        if known is None or known[0] is not view:
            return why_no_room(self._group, view)
        if isinstance(known[1], Reason):
            return known[1]
        reason = why_no_room(self._group, view, answer=known[1])
        self._misses[view.name.value] = (view, reason)
        return reason

    def count_refusals(
        self, mark: int, why: Callable[[DomainView], Reason], *, most_nodes: int
    ) -> Classes | None:
        """The classes of the refusal that groups that own nothing got at `mark`; None if the
        domains have changed since. O(domains changed since the last call for such groups).
        """
        changes = self.domains.changes
        if changes.mark != mark:
            return None
        if self._tally_of != most_nodes:
            self._tally_of, self._tally_mark = most_nodes, 0
        for value in changes.since(self._tally_mark):
            view = self.domains.get(value)
            if view is None:
                self._tally.drop(value)
            else:
                self._tally.put(value, why(view))
        self._tally_mark = mark
        return self._tally.classes()


def fit_in(group: Group, domain: DomainView) -> Fit | NoMatch:
    """Fit all members at once; bound members stay where they are."""
    fixed = _fixed(group)
    if fixed and not set(fixed.values()) <= domain.node_names:
        return NoMatch.IMPOSSIBLE
    answer = _matched(group, domain)
    if isinstance(answer, NoMatch):
        return answer
    nodes = {**fixed, **answer}
    used = set(nodes.values())
    kinds = {m.demand for m in group.members}
    unused = [n for n in domain.nodes if n.node.name not in used]
    group.effort.spend(sum(d.weight for d in kinds) * len(unused))
    left_over = sum(any(fits_node(d, n) for d in kinds) for n in unused)
    return Fit({m.rank: nodes[m.rank] for m in group.members}, left_over)


def why_no_room(group: Group, domain: DomainView, *, answer: NoMatch | None = None) -> Reason:
    """Why not all members fit. `answer`: the result of `fit_in`, if the caller kept it. Without a
    shortfall if the effort is spent.
    """
    if not set(_fixed(group).values()) <= domain.node_names:
        return Reason(Why.FIXED_ELSEWHERE, nodes=len(domain.nodes))
    if answer is None:
        matched = _matched(group, domain)
        answer = matched if isinstance(matched, NoMatch) else NoMatch.IMPOSSIBLE
    if group.joint is not None:
        joint = _why_not_jointly(group, group.joint, domain, answer)
        if joint is not None:
            return joint
    return why_not_all(group, domain, proven=answer is not NoMatch.NOT_PROVEN)


def _matched(group: Group, domain: DomainView) -> Match:
    members = [m for m in group.members if m.fixed is None]
    return match_jointly(members, domain.nodes, group.joint, group.effort)


def _why_not_jointly(
    group: Group, joint: JointRules, domain: DomainView, answer: NoMatch
) -> Reason | None:
    """None: the members would not all fit without the rules among them either."""
    placed = match([m for m in group.members if m.fixed is None], domain.nodes, group.effort)
    if isinstance(placed, NoMatch):
        return None
    nodes = {n.node.name: n.node for n in domain.nodes}
    broken = joint.broken({rank: nodes[name] for rank, name in placed.items()}, group.effort)
    why = Why.NO_MATCHING if answer is NoMatch.IMPOSSIBLE else Why.NOT_PROVEN
    lacks = Shortfall(broken[0], rule=broken[1]) if broken is not None else None
    return Reason(why, fit=len(domain.nodes), nodes=len(domain.nodes), shortfall=lacks)


def _fixed(group: Group) -> dict[Rank, NodeName]:
    return {m.rank: m.fixed for m in group.members if m.fixed is not None}
