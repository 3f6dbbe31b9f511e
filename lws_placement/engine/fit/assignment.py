"""Assigns a node to every member at once, or proves that no assignment exists.

Exact, cheap cases first:

- all members alike: count how many each node takes;
- one unlike the rest (a leader): put it where the rest lose least, count the rest;
- no node takes two members: bipartite matching by augmenting paths;
- otherwise a bounded backtracking search, hardest member first. Nodes that look the same are tried
  once, and alike members are placed in node order, so symmetric branches are not searched twice. At
  the bound the answer is NOT_PROVEN, never a wrong yes.
"""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from enum import Enum

from lws_placement.engine.base.effort import Effort
from lws_placement.engine.base.matching import maximum_matching
from lws_placement.engine.base.quantities import minus
from lws_placement.engine.fit.node_filters import fits_node, has_room
from lws_placement.engine.model.groups import Member
from lws_placement.engine.model.pods import Demand, Rank
from lws_placement.engine.model.snapshot import NodeView
from lws_placement.engine.objects.nodes import NodeName

SEARCH_BOUND = 50_000
"""Looks at a node, in one search, before it gives up."""
_PLACING = 3
"""What it costs to place a member on a node and to take it back, in looks."""


class NoMatch(Enum):
    IMPOSSIBLE = "impossible"
    NOT_PROVEN = "not proven"


Match = Mapping[Rank, NodeName] | NoMatch


def match(members: Sequence[Member], nodes: Sequence[NodeView], effort: Effort) -> Match:
    """Assign every member; ties go to the first node, so pass `nodes` in name order. O(members x
    nodes) in the cheap cases. NOT_PROVEN once `effort` is spent.
    """
    kinds = Counter(m.demand for m in members)
    if not members:
        return {}
    if not effort.spend(sum(d.weight for d in kinds) * len(nodes)):
        return NoMatch.NOT_PROVEN
    if len(kinds) == 1:
        return _alike(members, nodes)
    odd = [m for m in members if kinds[m.demand] == 1]
    if len(kinds) == 2 and odd:
        return _one_unlike(odd[0], [m for m in members if m is not odd[0]], nodes)
    takers = {d: [i for i, n in enumerate(nodes) if fits_node(d, n)] for d in kinds}
    if not all(takers.values()):
        return NoMatch.IMPOSSIBLE
    if any_takes_two(takers, nodes, effort):
        return _Search(members, nodes, takers, effort).run()
    return _one_each(members, nodes, takers, effort)


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
    if room < 1 or not fits_node(demand, node):
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
        if fits_node(odd.demand, node):
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


def any_takes_two(
    takers: Mapping[Demand, Sequence[int]], nodes: Sequence[NodeView], effort: Effort
) -> bool:
    """Whether some node takes two members of these kinds at once; True, too, once `effort` is
    spent. `takers`: the positions of the nodes that take one.
    """
    kinds: dict[int, list[Demand]] = {}
    for demand, places in takers.items():
        for place in places:
            kinds.setdefault(place, []).append(demand)
    return any(_takes_two(kinds[place], nodes[place], effort) for place in sorted(kinds))


def _takes_two(kinds: Sequence[Demand], node: NodeView, effort: Effort) -> bool:
    """`kinds`: those of which the node takes one."""
    for name in {name for name, _ in kinds[0].resources}:
        least = min(dict(demand.resources).get(name, 0) for demand in kinds)
        if 2 * least > node.free.get(name, 0):
            return False
    for i, first in enumerate(kinds):
        if not effort.spend(len(kinds) - i):
            return True
        after = take(node, first)
        if any(has_room(second, after) for second in kinds[i:]):
            return True
    return False


def _one_each(
    members: Sequence[Member],
    nodes: Sequence[NodeView],
    takers: Mapping[Demand, Sequence[int]],
    effort: Effort,
) -> Match:
    """One node per member."""
    owner = maximum_matching([takers[m.demand] for m in members], effort)
    if len(owner) < len(members):
        return NoMatch.NOT_PROVEN if effort.is_spent else NoMatch.IMPOSSIBLE
    places = sorted(owner.items(), key=lambda held: held[1])
    return {members[i].rank: nodes[place].node.name for place, i in places}


class Backtracking(ABC):
    """Tries nodes for one member after another, in the order of `members`. Not recursive: a group
    may have more members than Python's stack has room for.
    """

    def __init__(
        self, members: Sequence[Member], nodes: Sequence[NodeView], effort: Effort, *, tries: int
    ) -> None:
        self._members = members
        self._nodes = list(nodes)
        """As they are with the members that have a place."""
        self._effort = effort
        self._left = tries
        self._taken: list[tuple[int, NodeView]] = []
        """For each member that has a place: the node, and how it was before."""

    def run(self) -> Match:
        open_at = [self._choices(0)]
        while open_at:
            depth = len(open_at) - 1
            if len(self._taken) > depth:
                self._take_back()
            if not next(open_at[-1], False):
                if self._is_over():
                    return NoMatch.NOT_PROVEN
                open_at.pop()
            elif depth + 1 < len(self._members):
                open_at.append(self._choices(depth + 1))
            elif self._is_accepted():
                places = zip(self._members, self._taken, strict=True)
                return dict(sorted((m.rank, self._nodes[i].node.name) for m, (i, _) in places))
        return NoMatch.IMPOSSIBLE

    @abstractmethod
    def _choices(self, depth: int) -> Iterator[bool]:
        """Places the member on one node after another; yields True with the member in its place.
        Ends early when the search is over.
        """

    @abstractmethod
    def _take_back(self) -> None:
        """Undoes the last place."""

    def _is_accepted(self) -> bool:
        """Whether the places of all members are accepted together."""
        return True

    def _is_over(self) -> bool:
        return self._left < 0 or self._effort.is_spent


class _Search(Backtracking):
    """Hardest members (fewest nodes, then largest) first."""

    def __init__(
        self,
        members: Sequence[Member],
        nodes: Sequence[NodeView],
        takers: Mapping[Demand, Sequence[int]],
        effort: Effort,
    ) -> None:
        hardest_first = sorted(
            members,
            key=lambda m: (len(takers[m.demand]), [-a for _, a in m.demand.resources], m.rank),
        )
        super().__init__(hardest_first, nodes, effort, tries=SEARCH_BOUND)
        self._takers = takers
        open_to: dict[int, list[int]] = {}
        for kind, places in enumerate(takers.values()):
            for place in places:
                open_to.setdefault(place, []).append(kind)
        self._open_to = {place: tuple(kinds) for place, kinds in open_to.items()}
        self._looks = {place: self._look_of(place) for place in open_to}

    def _choices(self, depth: int) -> Iterator[bool]:
        demand = self._members[depth].demand
        alike = depth > 0 and self._members[depth - 1].demand == demand
        first = self._taken[depth - 1][0] if alike else 0
        looked: set[object] = set()
        for place in self._takers[demand]:
            if place < first:
                continue
            self._left -= 1
            self._effort.spend(1)
            if self._is_over():
                return
            looks = self._looks[place]
            if looks in looked:
                continue
            looked.add(looks)
            view = self._nodes[place]
            if not has_room(demand, view):
                continue
            self._effort.spend(_PLACING)
            self._taken.append((place, view))
            self._put(place, take(view, demand))
            yield True

    def _take_back(self) -> None:
        self._put(*self._taken.pop())

    def _put(self, place: int, view: NodeView) -> None:
        self._nodes[place] = view
        self._looks[place] = self._look_of(place)

    def _look_of(self, place: int) -> object:
        """Equal for nodes that no member can tell apart: same room, open to the same members."""
        view = self._nodes[place]
        return self._open_to[place], tuple(sorted(view.free.items())), view.ports
