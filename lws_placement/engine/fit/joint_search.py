"""Assigns a node to every member under rules among the members (`model/joint/rules.py`).

A bounded backtracking search: the members that others want to be near first, then the hardest
first; alike members are placed in node order, so symmetric branches are not searched twice. At the
bound the answer is NOT_PROVEN, never a wrong yes.
"""

from collections import Counter
from collections.abc import Iterator, Sequence

from lws_placement.engine.base.effort import Effort
from lws_placement.engine.fit.assignment import Backtracking, Match, NoMatch, match, take
from lws_placement.engine.fit.node_filters import fits_node, has_room
from lws_placement.engine.model.groups import Member
from lws_placement.engine.model.joint.rules import JointRules, Near
from lws_placement.engine.model.pods import Rank
from lws_placement.engine.model.snapshot import NodeView
from lws_placement.engine.objects.nodes import Node


def match_jointly(
    members: Sequence[Member],
    nodes: Sequence[NodeView],
    joint: JointRules | None,
    effort: Effort,
) -> Match:
    """As `assignment.match`, and no rule of `joint` is broken. Each try costs O(members)."""
    if joint is None:
        return match(members, nodes, effort)
    if not effort.spend(len(joint.rules) * len(nodes) // _NODES_PER_LOOK):
        return NoMatch.NOT_PROVEN
    if joint.is_hopeless({m.rank for m in members}, [n.node for n in nodes]):
        return NoMatch.IMPOSSIBLE
    without = match(members, nodes, effort)
    if isinstance(without, NoMatch):
        return without
    by_name = {n.node.name: n.node for n in nodes}
    if joint.broken({rank: by_name[name] for rank, name in without.items()}, effort) is None:
        return without
    return _Search(members, nodes, joint, effort).run()


_NODES_PER_LOOK = 8
_MOST_TRIES = 5_000
"""Placements tried in one set of nodes."""


class _Search(Backtracking):
    def __init__(
        self,
        members: Sequence[Member],
        nodes: Sequence[NodeView],
        joint: JointRules,
        effort: Effort,
    ) -> None:
        alike = Counter(m.demand for m in members)
        open_to = {
            demand: [i for i, n in enumerate(nodes) if fits_node(demand, n)] for demand in alike
        }
        sources = {
            rank
            for rule in joint.rules
            if isinstance(rule, Near)
            for rank in rule.matching - rule.ranks
        }
        in_order = sorted(
            members,
            key=lambda m: (
                m.rank not in sources,
                len(open_to[m.demand]),
                alike[m.demand],
                [-a for _, a in m.demand.resources],
                m.rank,
            ),
        )
        super().__init__(in_order, nodes, effort, tries=_MOST_TRIES)
        self._joint = joint
        self._open_to = open_to
        self._classes = {m.rank: self._class_of(m.rank) for m in members}
        self._places: dict[Rank, Node] = {}

    def _class_of(self, rank: Rank) -> object:
        """Equal for members of one demand that no rule tells apart."""
        return tuple(tuple(rank in ranks for ranks in rule.all_ranks) for rule in self._joint.rules)

    def _is_accepted(self) -> bool:
        return self._joint.broken(self._places, self._effort) is None

    def _choices(self, depth: int) -> Iterator[bool]:
        member = self._members[depth]
        first = self._taken[depth - 1][0] if self._is_like_last(depth) else 0
        for index in self._open_to[member.demand]:
            if index < first:
                continue
            self._effort.spend(1)
            view = self._nodes[index]
            if not self._is_over() and not has_room(member.demand, view):
                continue
            self._left -= 1
            self._effort.spend(self._joint.weight)
            if self._is_over():
                return
            self._places[member.rank] = view.node
            if self._joint.broken_by(member.rank, self._places) is not None:
                del self._places[member.rank]
                continue
            self._taken.append((index, view))
            self._nodes[index] = take(view, member.demand)
            yield True

    def _is_like_last(self, depth: int) -> bool:
        if not depth:
            return False
        last, member = self._members[depth - 1], self._members[depth]
        same = self._classes[last.rank] == self._classes[member.rank]
        return same and last.demand == member.demand

    def _take_back(self) -> None:
        index, view = self._taken.pop()
        self._nodes[index] = view
        del self._places[self._members[len(self._taken)].rank]
