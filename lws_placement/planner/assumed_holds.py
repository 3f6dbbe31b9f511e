"""Assumes holds: puts decided holds into the cache before they are written, so that two groups
decided in one pass never take the same room.

A hold that is not written in the end (refusal, fault, lost leadership) is taken back. The cache
never keeps a hold without a Lease.
"""

from collections.abc import Sequence
from dataclasses import replace

from lws_placement.cluster.cache.cluster_cache import ClusterCache
from lws_placement.engine.model.groups import GroupId
from lws_placement.engine.model.hold_states import HoldState
from lws_placement.engine.model.reservation import Hold
from lws_placement.engine.reconcile.actions import Action, EndHold, LeaveHold, WriteHold


class AssumedHolds:
    def __init__(self, cache: ClusterCache) -> None:
        self._cache = cache
        self._made: dict[GroupId, list[tuple[Hold, Hold | None]]] = {}

    def make(self, group: GroupId, actions: Sequence[Action]) -> None:
        """Puts the holds of `actions` into the cache and remembers what they replace."""
        made = self._made[group] = []
        for action in actions:
            match action:
                case WriteHold(hold):
                    reservation = replace(hold)
                case LeaveHold(hold):
                    reservation = hold.to(HoldState.LEAVING)
                case EndHold(hold) if hold.state is HoldState.COMING:
                    reservation = replace(hold, state=HoldState.LEAVING)
                case _:
                    continue
            made.append((reservation, self._cache.hold(reservation.domain, group)))
            self._cache.put_hold(reservation)

    def written(self, hold: Hold) -> Hold | None:
        """What the Lease has in place of this hold of the cache, as far as is known: the hold
        itself, or what it was assumed over; None if it has none.
        """
        over = (before for mine, before in self._made.get(hold.group, ()) if mine is hold)
        return next(over, hold)

    def take_back(self, group: GroupId) -> None:
        """Takes back holds that neither our write nor the watch has replaced with the Lease's."""
        for reservation, before in reversed(self._made.pop(group, [])):
            if self._cache.hold(reservation.domain, group) is not reservation:
                continue
            if before is None:
                self._cache.drop_hold(reservation.domain, group)
            else:
                self._cache.put_hold(before)

    def take_all_back(self) -> None:
        for group in list(self._made):
            self.take_back(group)
