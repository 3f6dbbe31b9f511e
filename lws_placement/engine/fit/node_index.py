"""Nodes that could take a member of groups of one shape, in planning order: an index that follows
node changes, as `domain_index.py` follows domain changes.

It serves members that may be on any node. It omits nodes that a group has alone in the whole
cluster; the caller checks ownership of the other candidates.

Costs: O(log nodes) per changed node; the first time some 4 microseconds for every node.
"""

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Sequence

from lws_placement.engine.base.effort import Effort
from lws_placement.engine.base.ranking import Ranking
from lws_placement.engine.fit.assignment import count, take
from lws_placement.engine.fit.node_filters import fits_node
from lws_placement.engine.model.pods import Demand
from lws_placement.engine.model.snapshot import ClusterSnapshot, NodeView
from lws_placement.engine.objects.nodes import NodeName
from lws_placement.engine.objects.placement_request import Scope

Score = Callable[[NodeView], int | None]
"""Rank of a node, lowest first; None: it takes no such member."""


class NodeFitIndex:
    """For unbound members with these demands. `as_if` replaces each node view before the fit."""

    def __init__(
        self,
        demands: Sequence[Demand],
        views: ClusterSnapshot,
        *,
        as_if: Callable[[NodeView], NodeView] | None = None,
    ) -> None:
        self.views = views
        self._as_if = as_if
        scores = _scores(demands)
        self._is_ordered = bool(scores)
        self._orders = [
            (score, Ranking[tuple[int, NodeName]]()) for score in scores or [_of_any(demands)]
        ]
        self._mark = 0
        self._weight = sum(demand.weight for demand in set(demands))
        self._left: set[NodeName] = set()

    def follow(self, effort: Effort) -> None:
        """Apply changes. Once `effort` is spent, nodes are left for the next call, and are not
        there until then.
        """
        changes = self.views.node_changes
        names = sorted({*self._left, *changes.since(self._mark)})
        known = [name for name in names if effort.spend(self._weight)]
        self._left = set(names[len(known) :])
        changed = {name: self._open(name) for name in known} | dict.fromkeys(self._left)
        for score, order in self._orders:
            order.put({name: _rank(score, name, node) for name, node in changed.items()})
        self._mark = changes.mark

    def best(
        self,
        is_open: Callable[[NodeView], bool],
        *,
        most: int | None,
        place_of: Callable[[NodeView], Hashable],
    ) -> set[NodeName]:
        """Return the first `most` open nodes of each place, for each planning order; all open nodes
        if there is no order or `most` is None.
        """
        found: set[NodeName] = set()
        for _, order in self._orders:
            counts: Counter[Hashable] = Counter()
            for _, name in order.in_order:
                node = self.views.node_view(name)
                if node is None or not is_open(node):
                    continue
                if self._is_ordered and most is not None:
                    place = place_of(node)
                    counts[place] += 1
                    if counts[place] > most:
                        if place == ():
                            break
                        continue
                found.add(name)
        return found

    def _open(self, name: NodeName) -> NodeView | None:
        node = self.views.node_view(name)
        if node is None:
            return None
        if self._as_if is not None:
            return self._as_if(node)
        alone = any(c.scope is Scope.CLUSTER for c in (*node.groups, *node.holders))
        return None if alone else node


def _rank(score: Score, name: NodeName, node: NodeView | None) -> tuple[int, NodeName] | None:
    found = score(node) if node is not None else None
    return None if found is None else (found, name)


def _scores(demands: Sequence[Demand]) -> list[Score]:
    """The orders in which `assignment.py` takes nodes: it has some if all members, or all but one,
    are alike.
    """
    kinds = Counter(demands)
    if len(kinds) == 1:
        return [_roomiest(demands[0])]
    odd = next((d for d in demands if kinds[d] == 1), None)
    if len(kinds) != 2 or odd is None:
        return []
    (rest,) = kinds.keys() - {odd}
    return [_roomiest(rest), _least_lost(odd, rest)]


def _roomiest(demand: Demand) -> Score:
    return lambda node: -count(demand, node) or None


def _least_lost(odd: Demand, rest: Demand) -> Score:
    def score(node: NodeView) -> int | None:
        if not fits_node(odd, node):
            return None
        return count(rest, node) - count(rest, take(node, odd))

    return score


def _of_any(demands: Iterable[Demand]) -> Score:
    kinds = list(dict.fromkeys(demands))
    return lambda node: 0 if any(fits_node(d, node) for d in kinds) else None
