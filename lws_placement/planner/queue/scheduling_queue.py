"""Selects which groups are planned, and when: kube-scheduler's scheduling queue, for groups.

- *Active*: an object of the group changed, or there may be room for it. Planned in the next pass.
- *In flight*: its writes are under way. Planned after them if something changed meanwhile.
- *Backing off*: planning the group or writing for it failed. No event wakes it before its time.
- *Unschedulable*: waits for a domain (`engine/planning/waiting.py`). It becomes active when there
  may be room (`asking.py`), and, a few groups at a time, to refresh its verdict (`refresh.py`).

An *unsettled* group has members that are unbound or terminating. Unless it waits for a domain, each
change of room makes it active. Where only time changes a decision, an alarm makes the group active:
one per group, the earliest that is due (`alarms.py`).
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence, Set

from lws_placement import metrics
from lws_placement.backoff import Backoff
from lws_placement.cluster.cache.cluster_cache import ClusterCache
from lws_placement.engine.base.lru import LruCache
from lws_placement.engine.model.groups import Group, GroupId
from lws_placement.engine.model.queue_order import Turn
from lws_placement.engine.planning.single_domain import PlanMemo
from lws_placement.engine.planning.waiting import WaitingClasses
from lws_placement.engine.reconcile.actions import Action, Wait
from lws_placement.engine.reconcile.group_state import GroupState
from lws_placement.errors import ApiError, ConflictError, retry_after_s
from lws_placement.planner.observer import Observer
from lws_placement.planner.queue.alarms import Alarms
from lws_placement.planner.queue.asking import Asking
from lws_placement.planner.queue.refresh import Refresh

_BATCH_S = 0.005  # lets a burst of events become one pass
_CONFLICT = Backoff(first_s=0.05, most_s=5.0)
_UNANSWERED = Backoff(first_s=0.5, most_s=5.0)
_REFUSED = Backoff(first_s=0.5, most_s=60.0)
"""Also for faults of ours."""
_REMEMBERED = 20_000


class SchedulingQueue(Observer):
    """`vacant`: groups that have holds and no pods. `refreshed` is called when groups become active
    to refresh their verdicts. For one event loop.
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
        self._failures: LruCache[GroupId, int] = LruCache(_REMEMBERED)
        """In a row."""
        self._unsettled: set[GroupId] = set()
        self._unschedulable = WaitingClasses()
        self._asking = Asking(self._unschedulable, cache.domains, memo, again=self._ask_again)
        self._ask = False
        self._refresh = Refresh(self._unschedulable, due=self._refresh_due)
        self._alarms = Alarms(self.add)
        self._wake = asyncio.Event()
        self.room_changed = False
        """True if there may be room that no pass has considered."""

    # -- what makes a group active ---------------------------------------------------------------

    def add(self, group: GroupId) -> None:
        """Makes the group active: an object of it changed."""
        self._active.add(group)
        self._asking.changed(group)
        self._wake.set()

    def add_after(self, group: GroupId, delay_s: float) -> None:
        """Makes the group active after `delay_s`, or earlier if an earlier alarm is set."""
        self._alarms.set(group, delay_s)

    def capacity_changed(self) -> None:
        if self._unsettled or self._cache.unbound.roomless:
            self.room_changed = True
            self._wake.set()

    def room_taken(self, node: str) -> None:
        for hold in self._cache.domains.holds_on(node):
            if hold.group in self._unsettled:
                self.add(hold.group)

    def refresh_vacant(self) -> None:
        """Plans vacant groups again, a few at a time: a pod or group may need their room."""
        self._refresh.add(self._vacant)
        self._refresh_later()
        self._wake.set()

    def wake(self) -> None:
        """Begins a pass even if no group is active."""
        self._wake.set()

    # -- a pass ----------------------------------------------------------------------------------

    async def wait(self) -> None:
        """Waits until a pass has something to do."""
        await self._wake.wait()
        await asyncio.sleep(_BATCH_S)
        self._wake.clear()

    def begin_pass(self, turn: Callable[[GroupId], Turn]) -> Sequence[GroupId]:
        """The groups to plan, in order of `turn`. Call `take` before planning each."""
        if self.room_changed:
            self.room_changed = False
            self._asking.room_changed()
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
        """Groups that are not planned now, whatever event comes."""
        return self._in_flight | self._backing_off

    def take(self, group: GroupId) -> bool:
        """False if the group is not to be planned: in flight, or its room is taken."""
        if group in self._in_flight:
            return False
        self._active.discard(group)
        return not self._asking.is_in_vain(group)

    # -- outcomes --------------------------------------------------------------------------------

    def decided(self, observed: GroupState, actions: Sequence[Action]) -> None:
        group, waits_as = observed.id, _waits_as(observed, actions)
        if not actions:
            self._failures.drop(group)
        self._refresh.discard(group)
        if waits_as is not None:
            self._unschedulable.put(waits_as)
        elif self._unschedulable.drop(group):
            # The group may not have taken the domain it was woken for: the next may use it.
            self._asking.room_changed()
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
        self._failures.drop(group)

    def failed(self, group: GroupId, error: Exception) -> None:
        """Backs off, twice as long after each failure in a row: longest after what would be refused
        again, and after faults of ours.
        """
        failures = self._failures.get(group) or 0
        self._failures.put(group, failures + 1)
        metrics.RETRIES.labels(metrics.Retry.PLANNER).inc()
        at_least_s = retry_after_s(error)
        self.back_off(group, _backoff_after(error).delay_s(failures, at_least_s=at_least_s))

    def back_off(self, group: GroupId, delay_s: float) -> None:
        """Plans the group once after `delay_s`, and not before, whatever event comes."""
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
        if self._refresh or self._cache.unbound.roomless:
            self._refresh.later()

    def _refresh_due(self, groups: Sequence[GroupId]) -> None:
        self._refreshed()
        self._wake.set()
        for group in groups:
            self.add(group)


def _backoff_after(error: Exception) -> Backoff:
    if isinstance(error, ConflictError):
        return _CONFLICT
    return _UNANSWERED if isinstance(error, ApiError) and not error.is_refusal else _REFUSED


def _waits_as(observed: GroupState, actions: Sequence[Action]) -> Group | None:
    """The group as it waits for a domain; None if it has holds or terminating pods."""
    owns = observed.holds or any(p.terminating for p in observed.pods)
    match actions:
        case [Wait(asked=asked)] if not owns:
            return asked
    return None


def _is_settled(observed: GroupState) -> bool:
    """True if all its pods are bound or finished, and none is terminating."""
    return all((p.node is not None and not p.terminating) or p.finished for p in observed.pods)
