"""Selects the waiting groups that keep a place from later ones (`engine/planning/backfill.py`).

Only needed where domains cross: groups that all want whole domains of one key cannot take each
other's place, since the first in order gets each domain that becomes free. A few groups at a time,
the first in order; when one gets its place, the next is considered.
"""

from collections.abc import Callable, Sequence

from lws_placement.cluster.cache.topology_index import TopologyIndex
from lws_placement.engine.model.groups import GroupId
from lws_placement.engine.model.queue_order import Turn, turn_of
from lws_placement.engine.planning.backfill import RoomToCome
from lws_placement.engine.reconcile.actions import Action, Wait
from lws_placement.engine.reconcile.group_state import GroupState

_MOST = 8


class Backfill:
    """`opened` is called when places may have become free for other groups."""

    def __init__(
        self, domains: TopologyIndex, *, opened: Callable[[], None] = lambda: None
    ) -> None:
        self._domains = domains
        self._opened = opened
        self._room_to_come = RoomToCome()

    def decided(self, observed: GroupState, actions: Sequence[Action]) -> None:
        """Updates the place that the group keeps, if any, after a decision."""
        waiting = self._domains.awaiting()
        known = next((turn for turn in waiting if turn[2] == observed.id), None)
        match actions:
            case [*_, Wait(group=asked)]:
                turn = turn_of(asked)
                if not self._domains.are_crossed(asked.topology_key):
                    nodes = frozenset[str]()
                elif known is None and self._is_full(turn, waiting):
                    return
                else:
                    nodes = self._room_to_come.of(asked, self._domains)
                self._domains.await_room(turn, nodes)
                if known is None and len(waiting) >= _MOST and nodes:
                    self._domains.await_room(waiting[-1], frozenset())
            case _ if known is not None:
                self._domains.await_room(known, frozenset())
                self._opened()

    def _is_full(self, turn: Turn, waiting: Sequence[Turn]) -> bool:
        """Whether no more places are kept: in all for later turns, or for one namespace."""
        namespace = turn[2].namespace
        most = self._domains.policy.most_waiting_places(namespace)
        if most is not None and sum(t[2].namespace == namespace for t in waiting) >= most:
            return True
        return len(waiting) >= _MOST and turn > waiting[-1]

    def done(self, group: GroupId, actions: Sequence[Action]) -> None:
        """Ignored: the group's writes change no kept place."""

    def clear(self) -> None:
        for turn in self._domains.awaiting():
            self._domains.await_room(turn, frozenset())
