"""Nodes closed to a foreign pod: those in held domains where its guarded requests would take room
that members still need. All nodes of an exclusively held domain are closed to a guest.

A foreign pod with victims has a reservation of its own, which does not count against it.

kube-scheduler may ask about every node of the cluster for every pod, and most pods have one of a
few shapes. So the index keeps the free room of nodes with holders, and the closed nodes per shape;
both follow node changes. Costs, for c changed nodes: O(c) for the next query, and O(c) for the next
query of each shape. The first query looks at every node.
"""

from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass, field

from lws_placement.engine.base.keys import OUR_PREFIX
from lws_placement.engine.base.lru import LruCache
from lws_placement.engine.base.nested import DictOfSets
from lws_placement.engine.model.groups import GroupId
from lws_placement.engine.model.snapshot import Changes, NodeView
from lws_placement.engine.objects.nodes import NodeName
from lws_placement.engine.objects.placement_request import Scope

_MOST_SHAPES = 256

_TOKEN = f"[{OUR_PREFIX}held]"
ROOM_IS_HELD = f"its room is held for a LeaderWorkerSet group with exclusive topology {_TOKEN}"
"""Why a node is closed to a pod. kube-scheduler repeats it in the pod's condition, where other
replicas read it: only kube-scheduler knows that nothing else kept the pod off the node. The words
are for people, the token for `was_shut_out`.
"""


def was_shut_out(unschedulable: str) -> bool:
    """True if this message of kube-scheduler says that a node was closed to the pod."""
    return _TOKEN in unschedulable


@dataclass(frozen=True, slots=True)
class Shape:
    """The properties of a foreign pod that count here."""

    asked: tuple[tuple[str, int], ...]
    """Guarded resources, sorted by name."""
    guest: bool = False


@dataclass(frozen=True, slots=True)
class _Left:
    """Room that a node with holders has left for other pods."""

    room: Mapping[str, int]
    claimed: bool
    """True if a domain around the node is held exclusively."""
    promised: frozenset[GroupId]

    def closed_to(self, shape: Shape) -> bool:
        if shape.guest and self.claimed:
            return True
        return any(self.room.get(name, 0) < amount for name, amount in shape.asked)


@dataclass(slots=True)
class _Closed:
    nodes: set[NodeName] = field(default_factory=set)
    mark: int = 0


class GuardIndex:
    """`changes`: names of the nodes that changed; `view_of`: the current view of a node."""

    def __init__(self, changes: Changes, view_of: Callable[[NodeName], NodeView | None]) -> None:
        self._node_changes = changes
        self._view_of = view_of
        self._mark = 0
        self._left: dict[NodeName, _Left] = {}
        self._changes = Changes()
        self._closed: LruCache[Shape, _Closed] = LruCache(_MOST_SHAPES)
        self._promised = DictOfSets[GroupId, NodeName]()

    def closed_to(self, shape: Shape, group: GroupId) -> Set[NodeName]:
        """`group`: the pod itself. The result is read-only and valid until the next call."""
        self._follow()
        closed = self._closed.get_or_make(shape, _Closed)
        for name in self._changes.since(closed.mark):
            left = self._left.get(name)
            if left is not None and left.closed_to(shape):
                closed.nodes.add(name)
            else:
                closed.nodes.discard(name)
        closed.mark = self._changes.mark
        own = self._promised[group] & closed.nodes
        return closed.nodes - {n for n in own if not self._closed_to_own(n, shape, group)}

    def _closed_to_own(self, name: NodeName, shape: Shape, group: GroupId) -> bool:
        view = self._view_of(name)
        return view is not None and _left_on(view.without({group})).closed_to(shape)

    def _follow(self) -> None:
        for name in self._node_changes.since(self._mark):
            view = self._view_of(name)
            known = self._left.pop(name, None)
            for group in known.promised if known is not None else ():
                self._promised.discard(group, name)
            if view is not None and view.holders:
                left = self._left[name] = _left_on(view)
                for group in left.promised:
                    self._promised.add(group, name)
            elif known is None:
                continue
            self._changes.note(name)
        self._mark = self._node_changes.mark


def _left_on(view: NodeView) -> _Left:
    claimed = any(c.scope is not Scope.NOBODY for c in view.holders)
    return _Left(view.free, claimed, frozenset(view.promised))
