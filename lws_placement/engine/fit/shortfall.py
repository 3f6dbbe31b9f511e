"""What a domain lacks for a group that does not fit in it: facts, which `messages.py` puts into
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
from collections.abc import Callable, Mapping, Sequence

from lws_placement.engine.fit.assignment import take, takes_two
from lws_placement.engine.fit.node_filters import why_not_static, why_port_taken
from lws_placement.engine.model.groups import Group, Member
from lws_placement.engine.model.pods import Demand
from lws_placement.engine.model.snapshot import DomainView, NodeView
from lws_placement.engine.model.verdicts import Reason, Shortfall, Why

_Refusal = tuple[str, str] | None
"""(resource that is short, "") or ("", rule that is broken); None: the node takes the pod."""


def why_not_all(group: Group, domain: DomainView, *, proven: bool) -> Reason:
    """Why the members do not all fit at once; `proven`: that they do not is certain.

    O(kinds of members x nodes), and members x nodes where every node takes one alone.
    """
    free = [m for m in group.members if m.fixed is None]
    nodes = domain.nodes
    counts = Counter(m.demand for m in free)
    refusals = {d: list(map(_refuser(d), nodes)) for d in counts}
    takers = {d: refusals[d].count(None) for d in counts}
    worst = min(counts, key=lambda d: takers[d])
    fit = takers[worst]
    if not proven:
        return Reason(Why.NOT_PROVEN, fit=fit, nodes=len(nodes))
    loser, left = _loser(free, nodes, refusals)
    one_kind = fit < len(nodes) or len(counts) == 1
    if fit == 0 or (one_kind and fit < _needed(free, nodes, worst)):
        lacks = _lack(loser, nodes, refusals[loser.demand])
        return Reason(Why.TOO_FEW_NODES, fit=fit, nodes=len(nodes), shortfall=lacks)
    may = [n for n in left if why_not_static(loser.demand, n.node) is None]
    lacks = _lack(loser, may, list(map(_refuser(loser.demand), may)))
    return Reason(Why.NO_MATCHING, fit=fit, nodes=len(nodes), shortfall=lacks)


def _needed(members: Sequence[Member], nodes: Sequence[NodeView], kind: Demand) -> int:
    """How many nodes would have to take that kind: one each if no node takes two; 0: unknown."""
    counts = Counter(m.demand for m in members)
    if not any(takes_two(list(counts), n) for n in nodes):
        return len(members)
    return 0 if any(takes_two([kind], n) for n in nodes) else counts[kind]


def _loser(
    members: Sequence[Member],
    nodes: Sequence[NodeView],
    refusals: Mapping[Demand, Sequence[_Refusal]],
) -> tuple[Member, Sequence[NodeView]]:
    """The first member for which nothing is left, and what is left then."""
    left = list(nodes)
    now = {demand: list(refused) for demand, refused in refusals.items()}
    choices = {demand: refused.count(None) for demand, refused in refusals.items()}
    counts = Counter(m.demand for m in members)
    hardest_first = sorted(
        members, key=lambda m: (choices[m.demand], -counts[m.demand], m.demand.resources, m.rank)
    )
    for member in hardest_first:
        if None not in now[member.demand]:
            return member, left
        place = now[member.demand].index(None)
        left[place] = take(left[place], member.demand)
        for demand, refused in now.items():
            refused[place] = _refuser(demand)(left[place])
    return hardest_first[-1], left


def _lack(
    member: Member, nodes: Sequence[NodeView], refusals: Sequence[_Refusal]
) -> Shortfall | None:
    """What most of those nodes that refuse the member refuse it for."""
    counts = Counter(refusal for refusal in refusals if refusal is not None)
    if not counts:
        return None
    resource, rule = min(counts, key=lambda r: (-counts[r], r))
    if not resource:
        return Shortfall(member.rank, rule=rule)
    short = (n for n, r in zip(nodes, refusals, strict=True) if r == (resource, rule))
    return Shortfall(
        member.rank,
        resource=resource,
        asked=dict(member.demand.resources)[resource],
        largest_free=max(max(n.free.get(resource, 0), 0) for n in short),
    )


def _refuser(demand: Demand) -> Callable[[NodeView], _Refusal]:
    """Of a node: why it refuses such a pod."""
    needs = [(name, amount) for name, amount in sorted(demand.resources) if amount > 0]

    def refusal(view: NodeView) -> _Refusal:
        static = why_not_static(demand, view.node)
        if static is not None:
            return "", static
        free = view.free
        for name, amount in needs:
            if free.get(name, 0) < amount:
                return name, ""
        port = why_port_taken(demand, view)
        return ("", port) if port is not None else None

    return refusal
