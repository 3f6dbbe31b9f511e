"""plan_group(): one domain for the whole group and a node for each member, or NoFit with a reason
per domain.

A domain is asked in two steps: may the group have it (nobody else holds it, overlaps it or runs in
it), and do all members fit at the same time (`match.py`). The second answer depends only on the
demands and on the domain as it is, so it is kept in a memo under (shape of the group, domain,
version of the view): after one group has been planned, an equal one costs a few dictionary look-ups
per domain, and a domain that changed is computed afresh.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from lws_placement.engine.fit import why_not_node
from lws_placement.engine.match import NoMatch, match, takes_two
from lws_placement.engine.model import (
    Demand,
    DomainName,
    Group,
    GroupId,
    Member,
    NodeName,
    NoFit,
    Placed,
    Plan,
    Rank,
    Reason,
    Why,
)
from lws_placement.engine.score import Candidate, best
from lws_placement.engine.snapshot import DomainView

_WORST = {
    NoMatch.IMPOSSIBLE: Why.NO_MATCHING,
    NoMatch.NOT_PROVEN: Why.NOT_PROVEN,
}


@dataclass(frozen=True, slots=True)
class Fit:
    """A whole group fits in a domain: where each member goes, and how many usable nodes stay
    unused.
    """

    nodes: Mapping[Rank, NodeName]
    left_over: int


class PlanMemo:
    """Answers that stay right until the domain's view changes. Bounded by shapes times domains."""

    _MOST_SHAPES = 64

    def __init__(self) -> None:
        self._by_shape: dict[tuple[Demand, ...], dict[DomainName, tuple[int, Fit | Reason]]] = {}

    def of(self, group: Group) -> dict[DomainName, tuple[int, Fit | Reason]] | None:
        """Answers for groups of this shape; None if members are fixed, as such a question is not
        asked twice.
        """
        if any(m.fixed is not None for m in group.members):
            return None
        shape = tuple(m.demand for m in group.members)
        found = self._by_shape.pop(shape, None)
        if found is None:
            found = {}
            if len(self._by_shape) >= self._MOST_SHAPES:
                self._by_shape.pop(next(iter(self._by_shape)))
        self._by_shape[shape] = found
        return found


def plan_group(
    group: Group, domains: Iterable[DomainView], *, memo: PlanMemo | None = None
) -> Plan:
    """The best domain that takes the whole group. Equal inputs give equal plans."""
    known = memo.of(group) if memo is not None else None
    reasons: dict[str, Reason] = {}
    candidates: list[Candidate[Fit]] = []
    for domain in domains:
        verdict = _taken(group.id, domain) or _fit_known(group, domain, known)
        if isinstance(verdict, Reason):
            reasons[domain.name.value] = verdict
        else:
            candidates.append(Candidate(domain.name.value, verdict.left_over, verdict))
    if not candidates:
        return NoFit(group.topology_key, reasons)
    chosen = best(candidates, prefer=group.prefer, avoid=group.avoid)
    return Placed(DomainName(group.topology_key, chosen.domain), chosen.fit.nodes)


def plan_in_domain(group: Group, domain: DomainView) -> Mapping[Rank, NodeName] | Reason:
    """The group in this very domain: where it runs already, or where it is to be completed."""
    verdict = _taken(group.id, domain) or _fit(group, domain)
    return verdict if isinstance(verdict, Reason) else verdict.nodes


def _taken(group: GroupId, domain: DomainView) -> Reason | None:
    """Whose it is, if somebody else's."""
    for why, owners in (
        (Why.HELD, domain.holders),
        (Why.OVERLAPS, domain.overlapping),
        (Why.OCCUPIED, domain.occupants),
    ):
        if owners and owners != {group}:
            return Reason(why, nodes=len(domain.nodes), holder=str(min(owners - {group})))
    return None


def _fit_known(
    group: Group, domain: DomainView, known: dict[DomainName, tuple[int, Fit | Reason]] | None
) -> Fit | Reason:
    if known is None:
        return _fit(group, domain)
    found = known.get(domain.name)
    if found is not None and found[0] == domain.version:
        return found[1]
    verdict = _fit(group, domain)
    known[domain.name] = (domain.version, verdict)
    return verdict


def _fit(group: Group, domain: DomainView) -> Fit | Reason:
    names = {n.node.name for n in domain.nodes}
    fixed = {m.rank: m.fixed for m in group.members if m.fixed is not None}
    for rank, node in fixed.items():
        if node not in names:
            return Reason(Why.FIXED_ELSEWHERE, nodes=len(names), rank=rank)
    free = [m for m in group.members if m.fixed is None]
    answer = match(free, domain.nodes)
    if isinstance(answer, NoMatch):
        return _why_no_match(free, domain, answer)
    nodes = {**fixed, **answer}
    unused = [n for n in domain.nodes if n.node.name not in set(nodes.values())]
    kinds = list(dict.fromkeys(m.demand for m in group.members))
    left_over = sum(any(why_not_node(d, n) is None for d in kinds) for n in unused)
    return Fit({m.rank: nodes[m.rank] for m in group.members}, left_over)


def _why_no_match(free: Sequence[Member], domain: DomainView, answer: NoMatch) -> Reason:
    """The member that the fewest nodes take, how many those are, and the commonest refusal of the
    others.
    """
    counts = Counter(m.demand for m in free)
    worst: tuple[int, Demand, Counter[str]] | None = None
    for demand in counts:
        refusals = [why_not_node(demand, n) for n in domain.nodes]
        fit = refusals.count(None)
        if worst is None or fit < worst[0]:
            worst = (fit, demand, Counter(r for r in refusals if r is not None))
    if worst is None:
        return Reason(_WORST[answer], nodes=len(domain.nodes))
    fit, demand, refused = worst
    detail = min(refused, key=lambda text: (-refused[text], text)) if refused else ""
    why = _WORST[answer]
    one_each = not any(takes_two(list(counts), n) for n in domain.nodes)
    needed = len(free) if one_each else counts[demand]
    if why is Why.NO_MATCHING and (fit == 0 or (fit < needed and refused)):
        why = Why.TOO_FEW_NODES
    rank = next(m.rank for m in free if m.demand == demand)
    return Reason(why, fit=fit, nodes=len(domain.nodes), detail=detail, rank=rank)
