"""What a domain lacks for a group that does not fit in it: facts, which `explain.py` puts into
words.

One member is named that finds no node, and what the nodes refuse it for. Which nodes are meant
depends on the miss:

- Too few nodes take a kind of member of which no node takes two: the nodes that refuse it. If all
  members are alike and no node refuses them, there is nothing more to say.
- Each member finds a node alone, but not all of them at once: all nodes, as the others leave them.

The member is the first that gets no node when those that are harder to place (fewer nodes take
them, or there are more of their kind) have theirs, one after another on the first node that takes
them.

Of several refusals the commonest counts; of a resource, the node that has most of it.
"""

from collections import Counter
from collections.abc import Sequence

from lws_placement.engine.fit import why_not_static, why_port_taken
from lws_placement.engine.match import take, takes_two
from lws_placement.engine.model import Demand, Group, Member, Reason, Shortfall, Why
from lws_placement.engine.resources import first_lack
from lws_placement.engine.snapshot import DomainView, NodeView


def why_not_all(group: Group, domain: DomainView, *, proven: bool) -> Reason:
    """Why the members do not all fit at once; `proven`: that they do not is certain.

    O(kinds of members x nodes), and members x nodes where every node takes one alone.
    """
    free = [m for m in group.members if m.fixed is None]
    nodes = domain.nodes
    counts = Counter(m.demand for m in free)
    takers = {d: [n for n in nodes if takes(d, n)] for d in counts}
    worst = min(counts, key=lambda d: len(takers[d]))
    fit = len(takers[worst])
    refusing = [n for n in nodes if not takes(worst, n)]
    if not proven:
        return Reason(Why.NOT_PROVEN, fit=fit, nodes=len(nodes))
    loser, left = _loser(free, nodes)
    if fit == 0 or ((refusing or len(counts) == 1) and fit < _needed(free, nodes, worst)):
        lacks = _lack(loser, [n for n in nodes if not takes(loser.demand, n)])
        return Reason(Why.TOO_FEW_NODES, fit=fit, nodes=len(nodes), shortfall=lacks)
    may = [n for n in left if why_not_static(loser.demand, n.node) is None]
    return Reason(Why.NO_MATCHING, fit=fit, nodes=len(nodes), shortfall=_lack(loser, may))


def _needed(members: Sequence[Member], nodes: Sequence[NodeView], kind: Demand) -> int:
    """How many nodes would have to take that kind: one each if no node takes two; 0: unknown."""
    counts = Counter(m.demand for m in members)
    if not any(takes_two(list(counts), n) for n in nodes):
        return len(members)
    return 0 if any(takes_two([kind], n) for n in nodes) else counts[kind]


def takes(demand: Demand, view: NodeView) -> bool:
    return _refusal(demand, view) is None


def _loser(
    members: Sequence[Member], nodes: Sequence[NodeView]
) -> tuple[Member, Sequence[NodeView]]:
    """The first member for which nothing is left, and what is left then."""
    left = list(nodes)
    choices = {m.demand: sum(takes(m.demand, n) for n in nodes) for m in members}
    counts = Counter(m.demand for m in members)
    hardest_first = sorted(
        members, key=lambda m: (choices[m.demand], -counts[m.demand], m.demand.resources, m.rank)
    )
    for member in hardest_first:
        place = next((i for i, n in enumerate(left) if takes(member.demand, n)), None)
        if place is None:
            return member, left
        left[place] = take(left[place], member.demand)
    return hardest_first[-1], left


def _lack(member: Member, nodes: Sequence[NodeView]) -> Shortfall | None:
    """What most of these nodes, all of which refuse the member, refuse it for."""
    refusals = [(_refusal(member.demand, n), n) for n in nodes]
    counts = Counter(refusal for refusal, _ in refusals if refusal is not None)
    if not counts:
        return None
    resource, rule = min(counts, key=lambda r: (-counts[r], r))
    if not resource:
        return Shortfall(member.rank, rule=rule)
    return Shortfall(
        member.rank,
        resource=resource,
        asked=dict(member.demand.resources)[resource],
        largest_free=max(
            max(n.free.get(resource, 0), 0) for r, n in refusals if r == (resource, rule)
        ),
    )


def _refusal(demand: Demand, view: NodeView) -> tuple[str, str] | None:
    """(resource that is short, "") or ("", rule that is broken); None: the node takes the pod."""
    static = why_not_static(demand, view.node)
    if static is not None:
        return "", static
    short = first_lack(dict(demand.resources), view.free)
    if short is not None:
        return short, ""
    port = why_port_taken(demand, view)
    return ("", port) if port is not None else None
