"""Which groups are to be planned, and when: kube-scheduler's scheduling queue, of groups.

- *Active*: something of the group changed, or there may be room for it. Planned in the next pass.
- *In flight*: its writes are under way. Planned after them if something changed meanwhile.
- *Backing off*: planning it or writing for it failed. Nothing wakes it before its time.
- *Unschedulable*: it waits for a domain (`engine/planning/waiting.py`). It becomes active when
  there may be room (`asking.py`), and a few at a time so that it is told of its domains anew
  (`refresh.py`).

A group that is *unsettled* has members that are not bound, or that are going: until it waits for a
domain, each change of room makes it active. What time alone will change makes a group active at
that time: one alarm per group, the next that is due (`alarms.py`).
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence, Set

from lws_placement.cluster.cache.cluster_cache import ClusterCache
from lws_placement.engine.model.groups import Group, GroupId
from lws_placement.engine.model.queue_order import Turn
from lws_placement.engine.planning.single_domain import PlanMemo
from lws_placement.engine.planning.waiting import WaitingClasses
from lws_placement.engine.reconcile.actions import Action, Wait
from lws_placement.engine.reconcile.group_state import GroupState
from lws_placement.planner.observer import Observer
from lws_placement.planner.queue.alarms import Alarms
from lws_placement.planner.queue.asking import Asking
from lws_placement.planner.queue.refresh import Refresh

_BATCH_S = 0.005  # lets a burst of events become one pass
_RETRY_S = 0.5
_RETRY_MOST_S = 60.0


class SchedulingQueue(Observer):
    """`vacant`: groups that hold something and have no pod. `refreshed`: called when groups become
    active to be told of their domains anew. For one event loop.
    """

    def __init__(
        self,
        cache: ClusterCache,
        memo: PlanMemo,
        *,
        vacant: Iterable[GroupId],
        refreshed: Callable[[], None],
    ) -> None:
        self._cache = cache
        self._vacant = vacant
        self._refreshed = refreshed
        self._active: set[GroupId] = set()
        self._in_flight: set[GroupId] = set()
        self._backing_off: set[GroupId] = set()
        self._failures: dict[GroupId, int] = {}
        self._unsettled: set[GroupId] = set()
        self._unschedulable = WaitingClasses()
        self._asking = Asking(self._unschedulable, cache.domains, memo, again=self._ask_again)
        self._ask = False
        self._refresh = Refresh(self._unschedulable, due=self._refresh_due)
        self._alarms = Alarms(self.add)
        self._wake = asyncio.Event()
        self.room_changed = False
        """There may be room that no pass has seen."""

    # -- what makes a group active ---------------------------------------------------------------

    def add(self, group: GroupId) -> None:
        """Something of it changed."""
        self._active.add(group)
        self._asking.changed(group)
        self._wake.set()

    def add_after(self, group: GroupId, delay_s: float) -> None:
        """Once more at that time, or at an earlier one that was asked for."""
        self._alarms.set(group, delay_s)

    def capacity_changed(self) -> None:
        if self._unsettled or self._cache.roomless:
            self.room_changed = True
            self._wake.set()

    def room_taken(self, node: str) -> None:
        for hold in self._cache.domains.holds_on(node):
            if hold.group in self._unsettled:
                self.add(hold.group)

    def refresh_vacant(self) -> None:
        """Those who have no pod, a few at a time: somebody else may want their room."""
        self._refresh.add(self._vacant)
        self._refresh_later()
        self._wake.set()

    def wake(self) -> None:
        """Begin a pass, even if no group is active."""
        self._wake.set()

    # -- a pass ----------------------------------------------------------------------------------

    async def wait(self) -> None:
        """Until there is something to do."""
        await self._wake.wait()
        await asyncio.sleep(_BATCH_S)
        self._wake.clear()

    def begin_pass(self, turn: Callable[[GroupId], Turn]) -> Sequence[GroupId]:
        """The groups to be planned, in order of `turn`; `take` each before it is planned."""
        if self.room_changed:
            self.room_changed = False
            self._ask = True
            self._active |= {g for g in self._unsettled if g not in self._unschedulable}
            self._refresh.add((*self._unschedulable, *self._vacant))
            self._refresh_later()
        if self._ask:
            self._ask = False
            self._active |= self._asking.worth_asking(besides=self._active)
        return sorted(self._active - self.blocked, key=turn)

    @property
    def blocked(self) -> Set[GroupId]:
        """Not to be planned now, whatever happens to them."""
        return self._in_flight | self._backing_off

    def take(self, group: GroupId) -> bool:
        """False: it is not to be planned any more, as it is in flight, or others took the room."""
        if group in self._in_flight:
            return False
        self._active.discard(group)
        return not self._asking.is_in_vain(group)

    # -- what came of it -------------------------------------------------------------------------

    def decided(self, observed: GroupState, actions: Sequence[Action]) -> None:
        group, waits_as = observed.id, _waits_as(observed, actions)
        self._refresh.discard(group)
        if waits_as is not None:
            self._unschedulable.put(waits_as)
        elif self._unschedulable.drop(group):
            # The domain that it was asked for, and perhaps did not take, may serve the next.
            self._ask_again()
        if _is_settled(observed):
            self._unsettled.discard(group)
        else:
            self._unsettled.add(group)

    def begin_flight(self, group: GroupId) -> None:
        self._in_flight.add(group)

    def end_flight(self, group: GroupId) -> None:
        self._in_flight.discard(group)
        if group in self._active:
            self._wake.set()

    def done(self, group: GroupId, actions: Sequence[Action]) -> None:
        self._failures.pop(group, None)

    def faulted(self, group: GroupId) -> None:
        """We have a fault: back off, longer each time in a row."""
        failures = self._failures.get(group, 0)
        self._failures[group] = failures + 1
        self.back_off(group, min(_RETRY_S * 2**failures, _RETRY_MOST_S))

    def back_off(self, group: GroupId, delay_s: float = _RETRY_S) -> None:
        """Not to be planned before `delay_s`, whatever happens to it; then once."""
        self._backing_off.add(group)
        asyncio.get_running_loop().call_later(delay_s, self._backed_off, group)

    def stop(self) -> None:
        self._alarms.clear()
        self._asking.stop()

    def _backed_off(self, group: GroupId) -> None:
        self._backing_off.discard(group)
        self.add(group)

    def _ask_again(self) -> None:
        self._ask = True
        self._wake.set()

    def _refresh_later(self) -> None:
        if self._refresh or self._cache.roomless:
            self._refresh.later()

    def _refresh_due(self, groups: Sequence[GroupId]) -> None:
        self._refreshed()
        self._wake.set()
        for group in groups:
            self.add(group)


def _waits_as(observed: GroupState, actions: Sequence[Action]) -> Group | None:
    """What a group asks for that waits for a domain, and owns nothing that others lack."""
    owns = observed.holds or any(p.terminating for p in observed.pods)
    match actions:
        case [Wait(asked=asked)] if not owns:
            return asked
    return None


def _is_settled(observed: GroupState) -> bool:
    """All of its pods are bound, and none is going."""
    return all((p.node is not None and not p.terminating) or p.finished for p in observed.pods)
