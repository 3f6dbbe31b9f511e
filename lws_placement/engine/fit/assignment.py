"""Assigns a node to every member at once, or proves that no assignment exists.

Exact, cheap cases first:

- all members alike: count how many each node takes;
- one unlike the rest (a leader): put it where the rest lose least, count the rest;
- no node takes two members: bipartite matching by augmenting paths;
- otherwise a bounded backtracking search, hardest member first. Nodes that look the same are tried
  once, and alike members are placed in node order, so symmetric branches are not searched twice. At
  the bound the answer is NOT_PROVEN, never a wrong yes.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from enum import Enum

from lws_placement.engine.base.matching import maximum_matching
from lws_placement.engine.base.quantities import minus
from lws_placement.engine.fit.node_filters import why_not_node
from lws_placement.engine.model.groups import Member
from lws_placement.engine.model.pods import Demand, Rank
from lws_placement.engine.model.snapshot import NodeView
from lws_placement.engine.objects.nodes import NodeName

SEARCH_BOUND = 20_000
"""Placements tried before the search gives up."""


class NoMatch(Enum):
    IMPOSSIBLE = "impossible"
    NOT_PROVEN = "not proven"


Match = Mapping[Rank, NodeName] | NoMatch


def match(members: Sequence[Member], nodes: Sequence[NodeView]) -> Match:
    """Assign every member; ties go to the first node, so pass `nodes` in name order. O(members x
    nodes) in the cheap cases.
    """
    kinds = Counter(m.demand for m in members)
    if not members:
        return {}
    if len(kinds) == 1:
        return _alike(members, nodes)
    odd = [m for m in members if kinds[m.demand] == 1]
    if len(kinds) == 2 and odd:
        return _one_unlike(odd[0], [m for m in members if m is not odd[0]], nodes)
    if not any(takes_two(list(kinds), node) for node in nodes):
        return _one_each(members, nodes)
    return _Search(members, nodes).run()


def take(node: NodeView, demand: Demand) -> NodeView:
    """The node after it takes one more such pod."""
    return NodeView(
        node=node.node,
        free=minus(node.free, dict(demand.resources)),
        ports=node.ports | set(demand.host_ports),
        groups=node.groups,
    )


def count(demand: Demand, node: NodeView) -> int:
    """How many such pods the node takes."""
    free = node.free
    room = min(free.get(name, 0) // amount for name, amount in demand.resources)
    if room < 1 or why_not_node(demand, node) is not None:
        return 0
    return 1 if demand.host_ports else room


def _alike(members: Sequence[Member], nodes: Sequence[NodeView]) -> Match:
    """Fill the roomiest nodes first: whole nodes are left over, not fragments."""
    counts = sorted(
        ((count(members[0].demand, n), n.node.name) for n in nodes), key=lambda c: (-c[0], c[1])
    )
    if sum(room for room, _ in counts) < len(members):
        return NoMatch.IMPOSSIBLE
    places = [name for room, name in counts for _ in range(min(room, len(members)))]
    return {m.rank: name for m, name in zip(members, places, strict=False)}


def _one_unlike(odd: Member, rest: Sequence[Member], nodes: Sequence[NodeView]) -> Match:
    """Place the odd member on the node where it costs the rest least."""
    demand = rest[0].demand
    total = sum(count(demand, n) for n in nodes)
    choices = []
    for index, node in enumerate(nodes):
        if why_not_node(odd.demand, node) is None:
            after = take(node, odd.demand)
            lost = count(demand, node) - count(demand, after)
            choices.append((lost, node.node.name, index, after))
    # Each node counts the rest independently, so the choice that loses least is optimal.
    if not choices:
        return NoMatch.IMPOSSIBLE
    lost, name, index, after = min(choices, key=lambda c: c[:3])
    if total - lost < len(rest):
        return NoMatch.IMPOSSIBLE
    left = [after if i == index else n for i, n in enumerate(nodes)]
    placed = _alike(rest, left)
    return placed if isinstance(placed, NoMatch) else {odd.rank: name, **placed}


def takes_two(kinds: Sequence[Demand], node: NodeView) -> bool:
    """True if the node takes two members of these kinds at once."""
    for i, first in enumerate(kinds):
        if why_not_node(first, node) is None:
            after = take(node, first)
            if any(why_not_node(second, after) is None for second in kinds[i:]):
                return True
    return False


def _one_each(members: Sequence[Member], nodes: Sequence[NodeView]) -> Match:
    """One node per member; groups and domains are small, so O(members x edges) is enough."""
    owner = maximum_matching(
        [[n.node.name for n in nodes if why_not_node(m.demand, n) is None] for m in members]
    )
    if len(owner) < len(members):
        return NoMatch.IMPOSSIBLE
    return {members[i].rank: name for name, i in sorted(owner.items(), key=lambda h: h[1])}


class _Search:
    """Backtracking over members, hardest (fewest nodes, then largest) first."""

    def __init__(self, members: Sequence[Member], nodes: Sequence[NodeView]) -> None:
        self._nodes = list(nodes)
        choices = {m.demand: sum(why_not_node(m.demand, n) is None for n in nodes) for m in members}
        self._members = sorted(
            members,
            key=lambda m: (choices[m.demand], [-a for _, a in m.demand.resources], m.rank),
        )
        self._kinds = [tuple(why_not_node(d, n) is None for d in choices) for n in nodes]
        self._tried = 0

    def run(self) -> Match:
        chosen: list[int] = []
        found = self._place(0, tuple(self._nodes), chosen)
        if found is None:
            return NoMatch.NOT_PROVEN
        if not found:
            return NoMatch.IMPOSSIBLE
        return {
            m.rank: self._nodes[i].node.name
            for m, i in sorted(zip(self._members, chosen, strict=True), key=lambda p: p[0].rank)
        }

    def _place(self, depth: int, left: tuple[NodeView, ...], chosen: list[int]) -> bool | None:
        """True: placed, False: impossible, None: gave up."""
        if depth == len(self._members):
            return True
        demand = self._members[depth].demand
        alike = depth > 0 and self._members[depth - 1].demand == demand
        first = chosen[depth - 1] if alike else 0
        looked: set[object] = set()
        for index in range(first, len(left)):
            view = left[index]
            looks = self._looks(index, view)
            if looks in looked or why_not_node(demand, view) is not None:
                continue
            looked.add(looks)
            self._tried += 1
            if self._tried > SEARCH_BOUND:
                return None
            chosen.append(index)
            after = (*left[:index], take(view, demand), *left[index + 1 :])
            found = self._place(depth + 1, after, chosen)
            if found is not False:
                return found
            chosen.pop()
        return False

    def _looks(self, index: int, view: NodeView) -> object:
        """Equal for nodes that no member can tell apart: same room, open to the same members."""
        return self._kinds[index], tuple(sorted(view.free.items())), view.ports
