"""What a domain lacks for a group that does not fit in it: facts, which `messages.py` puts into
words.

A shortfall names one member that finds no node, and why nodes refuse it. Which nodes count depends
on the miss:

- Too few nodes take some kind of member, and no node takes two of that kind: the nodes that refuse
  it. If all members are alike and no node refuses them, there is no shortfall to name.
- Each member alone finds a node, but not all at once: all nodes, with the other members placed.

The named member is the first without a node when members are placed one after another, hardest
first (fewest nodes take them, then most of their kind), each on the first node that takes it.

The most common refusal counts; for a resource, the node that has most of it.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from lws_placement.engine.fit.assignment import any_takes_two, take
from lws_placement.engine.fit.node_filters import why_not_static, why_port_taken
from lws_placement.engine.model.groups import Group, Member
from lws_placement.engine.model.pods import Demand
from lws_placement.engine.model.snapshot import DomainView, NodeView
from lws_placement.engine.model.verdicts import Reason, Shortfall, Why

_NODES_PER_LOOK = 64
_Refusal = tuple[str, str] | None
"""(short resource, "") or ("", broken rule); None: the node takes the pod."""


def why_not_all(group: Group, domain: DomainView, *, proven: bool) -> Reason:
    """Why the members do not all fit at once; `proven`: it is certain that they do not.

    O(kinds of members x nodes), and members x nodes where every node takes each member alone. Says
    no more than that once the group's effort is spent.
    """
    free = [m for m in group.members if m.fixed is None]
    nodes = domain.nodes
    counts = Counter(m.demand for m in free)
    if not group.effort.spend(sum(d.weight for d in counts) * len(nodes)):
        return Reason(Why.NO_MATCHING if proven else Why.NOT_PROVEN, nodes=len(nodes))
    refusals = {d: list(map(_refuser(d), nodes)) for d in counts}
    takers = {d: refusals[d].count(None) for d in counts}
    worst = min(counts, key=lambda d: takers[d])
    fit = takers[worst]
    if not proven:
        return Reason(Why.NOT_PROVEN, fit=fit, nodes=len(nodes))
    if not group.effort.spend(len(free) * (len(counts) + len(nodes) // _NODES_PER_LOOK)):
        return Reason(Why.NO_MATCHING, fit=fit, nodes=len(nodes))
    loser, left = _loser(free, nodes, refusals)
    one_kind = fit < len(nodes) or len(counts) == 1
    if fit == 0 or (one_kind and fit < _needed(group, nodes, refusals, worst)):
        lacks = _lack(loser, nodes, refusals[loser.demand])
        return Reason(Why.TOO_FEW_NODES, fit=fit, nodes=len(nodes), shortfall=lacks)
    may = [n for n in left if why_not_static(loser.demand, n.node) is None]
    lacks = _lack(loser, may, list(map(_refuser(loser.demand), may)))
    return Reason(Why.NO_MATCHING, fit=fit, nodes=len(nodes), shortfall=lacks)


def _needed(
    group: Group,
    nodes: Sequence[NodeView],
    refusals: Mapping[Demand, Sequence[_Refusal]],
    kind: Demand,
) -> int:
    """How many nodes must take that kind: one per member if no node takes two; 0: unknown."""
    counts = Counter(m.demand for m in group.members if m.fixed is None)
    takers = {d: [i for i, r in enumerate(refused) if r is None] for d, refused in refusals.items()}
    if not any_takes_two(takers, nodes, group.effort):
        return counts.total()
    takes_two = any_takes_two({kind: takers[kind]}, nodes, group.effort)
    return 0 if takes_two else counts[kind]


def _loser(
    members: Sequence[Member],
    nodes: Sequence[NodeView],
    refusals: Mapping[Demand, Sequence[_Refusal]],
) -> tuple[Member, Sequence[NodeView]]:
    """The first member that finds no node, and the nodes as they are then."""
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
    """The most common reason of the nodes that refuse the member."""
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
    """Return a function that says why a node refuses such a pod."""
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
