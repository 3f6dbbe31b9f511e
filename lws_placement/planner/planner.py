"""The planner: observe a group, decide, act. It runs only where the leader Lease is held.

One coroutine decides, group after group, in order of priority and age, without waiting in between;
what it promises is put into the cache before it looks at the next group, so two groups decided in
one pass never take the same room. The writes of a group run as a task of its own; until they are
done the group is not looked at again.

A group is looked at when something of it changed, and, while it is not wholly bound, whenever room
became free or was taken under it: placement follows events, not back-off (P5). Of the groups that
wait for a domain only those are looked at again for which there is one
(`engine/planning/waiting.py`); what the others are told of their domains is brought up to date a
few at a time.

What time alone will change (a pace, a back-off, a grace that ends) is looked at again at that time:
one alarm per group, the next that is due.

A group whose writes failed rests a moment before it is looked at again, one in which we have a
fault longer each time; all others are planned meanwhile.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from itertools import groupby
from uuid import uuid4

from lws_placement import metrics
from lws_placement.cluster.adapters.backfill import Backfill
from lws_placement.cluster.adapters.group_state import observe
from lws_placement.cluster.adapters.tenants import ClusterTenants
from lws_placement.cluster.cache.cluster_cache import ClusterCache
from lws_placement.engine.model.groups import GroupId
from lws_placement.engine.model.pods import Pod
from lws_placement.engine.model.queue_order import Turn, turn_of_pods
from lws_placement.engine.model.reservation import Hold
from lws_placement.engine.planning.waiting import WaitingClasses
from lws_placement.engine.reconcile.actions import (
    Action,
    Blocked,
    EndHold,
    Evict,
    KeepHold,
    LookAgain,
    Pin,
    TryEvictions,
    Wait,
    WriteHold,
)
from lws_placement.engine.reconcile.decide import decide
from lws_placement.engine.reconcile.foreign_preemption import decide_for_pod, is_for_pod
from lws_placement.engine.reconcile.group_state import GroupState
from lws_placement.engine.reconcile.memo import Memo
from lws_placement.errors import ApiError, ConflictError, NotLeaderError
from lws_placement.planner.alarms import Alarms
from lws_placement.planner.asking import Asking
from lws_placement.planner.assumed_holds import AssumedHolds
from lws_placement.planner.executor import Executor
from lws_placement.planner.failure_tracker import FailureTracker
from lws_placement.planner.foreign_pods import ForeignPods
from lws_placement.planner.pace import Pace, is_move
from lws_placement.planner.preplan import Preplanner, holds_in
from lws_placement.planner.refresh import Refresh
from lws_placement.planner.searches import VictimSearches
from lws_placement.planner.vacant_holds import VacantHolds
from lws_placement.planner.wait_metrics import WaitingGroups

log = logging.getLogger(__name__)

_BATCH_S = 0.005  # lets a burst of events become one pass
_SLICE_S = 0.02  # then the event loop gets a turn
_RETRY_S = 0.5
_RETRY_MOST_S = 60.0
_REFUSED_S = 2.0


class Planner:
    """`run()` until cancelled or deposed (NotLeaderError)."""

    def __init__(
        self,
        cache: ClusterCache,
        actor: Executor,
        *,
        pace: Pace,
        troubles: FailureTracker,
        plans_ahead: bool = False,
        new_plan_id: Callable[[], str] = lambda: uuid4().hex[:12],
    ) -> None:
        self._cache = cache
        self._actor = actor
        self._pace = pace
        self._troubles = troubles
        self._plans_ahead = plans_ahead
        self._ahead = Preplanner(cache)
        self._absent = VacantHolds(cache)
        self._new_plan_id = new_plan_id
        self._memo = Memo()
        self._tenants = ClusterTenants(cache)
        self._foreign = ForeignPods(cache, self._tenants, new_plan_id=new_plan_id)
        self._searches = VictimSearches()
        self._waiting = WaitingGroups()
        self._promises = AssumedHolds(cache)
        self._backfill = Backfill(cache.domains)
        self._dirty: set[GroupId] = set()
        self._unsettled: set[GroupId] = set()
        self._questions = WaitingClasses()
        self._asking = Asking(self._questions, cache.domains, self._memo, again=self._ask_again)
        self._ask = False
        self._refresh = Refresh(self._questions, due=self._refresh_due)
        self._in_flight: set[GroupId] = set()
        self._wake = asyncio.Event()
        self._room = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._failure: NotLeaderError | None = None
        self._resting: set[GroupId] = set()
        self._faults: dict[GroupId, int] = {}
        self._alarms = Alarms(self.group_changed)

    # -- told by the cache -----------------------------------------------------------------------

    def group_changed(self, group: GroupId) -> None:
        self._dirty.add(group)
        self._asking.changed(group)
        self._wake.set()

    def pod_waits(self, uid: str) -> None:
        self._foreign.begins_to_wait(uid)
        self._refresh.add(self._absent)
        self._refresh_later()
        self._wake.set()

    def lws_changed(self, namespace: str, name: str) -> None:
        if self._plans_ahead:
            for group in self._ahead.follow(namespace, name):
                self.group_changed(group)

    def capacity_changed(self) -> None:
        if self._unsettled or self._cache.roomless:
            self._room = True
            self._wake.set()

    def room_taken(self, node: str) -> None:
        for hold in self._cache.domains.holds_on(node):
            if hold.group in self._unsettled:
                self.group_changed(hold.group)

    # -- the loop --------------------------------------------------------------------------------

    async def run(self) -> None:
        self._cache.listeners.append(self)
        try:
            for group in (*self._cache.groups(), *self._troubles.groups()):
                self.group_changed(group)
            for lws in self._cache.all_lws():
                self.lws_changed(lws.namespace, lws.name)
            self._foreign.look_again()
            while True:
                await self._wake.wait()
                await asyncio.sleep(_BATCH_S)
                self._wake.clear()
                if self._failure is not None:
                    raise self._failure
                await self._pass()
        finally:
            self._cache.listeners.remove(self)
            self._waiting.clear()
            self._backfill.clear()
            for task in self._tasks:
                task.cancel()
            self._alarms.clear()
            self._asking.stop()
            self._promises.take_all_back()

    async def _pass(self) -> None:
        if self._room:
            self._room = False
            self._ask = True
            self._dirty |= {g for g in self._unsettled if g not in self._questions}
            self._refresh.add((*self._questions, *self._absent))
            self._refresh_later()
        if self._ask:
            self._ask = False
            self._dirty |= self._asking.worth_asking(besides=self._dirty)
        batch = sorted(self._dirty - self._in_flight - self._resting, key=self._turn)
        until = time.monotonic() + _SLICE_S
        for group in batch:
            if group in self._in_flight:
                continue
            self._dirty.discard(group)
            if self._asking.is_in_vain(group):
                continue
            try:
                self._decide(group)
            except Exception:
                self._faulted(group)
            if time.monotonic() > until:
                await asyncio.sleep(0)
                until = time.monotonic() + _SLICE_S
                if self._room:
                    break  # those for whom there is room now come before the rest
        for group, actions in self._foreign.to_help():
            if group not in self._resting | self._in_flight:
                self._begin(group, actions)

    def _turn(self, group: GroupId) -> Turn:
        pods = self._cache.group_pods(group)
        leader = None if pods else self._ahead.leader_of(group)
        return turn_of_pods(group, pods if leader is None else [leader])

    def _decide(self, group: GroupId) -> None:
        """Decide and promise, without waiting; the writes follow in a task."""
        holds = self._cache.holds_of(group)
        if holds and all(is_for_pod(h) for h in holds):
            self._decide_for_pod(group, holds)
            return
        observed = observe(
            self._cache,
            group,
            plan_id=self._new_plan_id(),
            memo=self._memo,
            tenants=self._tenants,
        )
        observed = self._absent.with_who_waits(observed)
        observed = self._searches.look(replace(observed, troubles=self._troubles.look(observed)))
        forgets_after_s = self._troubles.forgets_after_s(group)
        if forgets_after_s is not None:
            self._alarms.set(group, forgets_after_s)
        leader = self._ahead.leader_of(group)
        if leader is not None:
            self._plan_ahead(group, self._ahead.with_leader(observed, leader))
            return
        with metrics.PLAN_SECONDS.time():
            decided = self._searches.decided(observed, decide(observed, self._cache.domains))
        wait_s = self._pace.wait_s(group, decided)
        actions = [a for a in decided if not isinstance(a, LookAgain | KeepHold)]
        for later in decided:
            if isinstance(later, LookAgain):
                self._alarms.set(group, later.after_s)
        if self._absent.decided(group, decided):
            for absent in self._absent:
                self.group_changed(absent)
        self._waiting.decided(observed, actions)
        if self._backfill.decided(group, actions):
            self.capacity_changed()
        self._note(group, observed, actions)
        if wait_s > 0:
            self._alarms.set(group, wait_s)
            actions = [a for a in actions if isinstance(a, Blocked)]
        if actions or self._troubles.unwritten(group) is not None:
            self._begin(group, actions)

    def _plan_ahead(self, group: GroupId, observed: GroupState) -> None:
        with metrics.PLAN_SECONDS.time():
            actions = holds_in(decide(observed, self._cache.domains))
        if actions:
            self._begin(group, actions)

    def _decide_for_pod(self, group: GroupId, holds: Sequence[Hold]) -> None:
        pod = self._cache.pod(group.lws_uid)
        actions = [a for h in holds for a in decide_for_pod(h, pod, self._tenants)]
        wait_s = self._pace.wait_s(group, actions)
        if wait_s > 0:
            self._alarms.set(group, wait_s)
        elif actions:
            self._begin(group, actions)

    def _begin(self, group: GroupId, actions: Sequence[Action]) -> None:
        self._promises.make(group, actions)
        self._in_flight.add(group)
        task = asyncio.create_task(self._act(group, actions))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _note(self, group: GroupId, observed: GroupState, actions: Sequence[Action]) -> None:
        self._refresh.discard(group)
        match actions:
            case [Wait(asked=asked)] if asked is not None and self._owns_nothing(observed):
                self._questions.put(asked)
            case _ if self._questions.drop(group):
                # The domain that it was asked for, and perhaps did not take, may serve the next.
                self._ask_again()
        if any((p.node is None or p.terminating) and not p.finished for p in observed.pods):
            self._unsettled.add(group)
        else:
            self._unsettled.discard(group)

    @staticmethod
    def _owns_nothing(observed: GroupState) -> bool:
        return not observed.holds and not any(p.terminating for p in observed.pods)

    def _ask_again(self) -> None:
        self._ask = True
        self._wake.set()

    def _refresh_later(self) -> None:
        if self._refresh or self._cache.roomless:
            self._refresh.later()

    def _refresh_due(self, groups: Sequence[GroupId]) -> None:
        self._foreign.look_again()
        self._wake.set()
        for group in groups:
            self.group_changed(group)

    async def _act(self, group: GroupId, actions: Sequence[Action]) -> None:
        try:
            await self._remember(group, actions)
            for together, some in groupby(actions, key=lambda action: isinstance(action, Pin)):
                if together:
                    await self._at_once(group, some)
                elif not await self._one_by_one(group, some):
                    return
            self._faults.pop(group, None)
            if any(isinstance(a, WriteHold) and is_for_pod(a.hold) for a in actions):
                self._foreign.was_helped(group.lws_uid)
            self._waiting.placed(group, actions)
        except ConflictError as e:
            log.debug("conflict, observing again", extra={"group": str(group), "error": str(e)})
            self._rest(group, 0.05)
        except ApiError as e:
            log.warning("write failed, will retry", extra={"group": str(group), "error": str(e)})
            self._rest(group, _RETRY_S)
        except NotLeaderError as e:
            self._failure = e
        except Exception:
            self._faulted(group)
        finally:
            self._promises.take_back(group)
            self._in_flight.discard(group)
            if group in self._dirty or self._failure is not None:
                self._wake.set()

    async def _remember(self, group: GroupId, actions: Sequence[Action]) -> None:
        """Before these actions are taken, so that a planner that dies over them forgets nothing.

        It only makes later choices better: what cannot be written now holds up no repair.
        """
        self._troubles.leaves(group, actions)
        unwritten = self._troubles.unwritten(group)
        if unwritten is None:
            return
        try:
            self._troubles.was_written(await self._actor.remember(unwritten))
        except ConflictError:
            self._troubles.found(await self._actor.recall(unwritten.group))
            raise
        except ApiError as e:
            log.warning("troubles not written", extra={"group": str(group), "error": str(e)})
            self._alarms.set(group, _RETRY_S)

    async def _at_once(self, group: GroupId, pins: Iterable[Action]) -> None:
        """A pin is good without the others; the first failure is told when all are done."""
        done = await asyncio.gather(
            *(self._actor.apply(group, pin) for pin in pins), return_exceptions=True
        )
        for outcome in done:
            if isinstance(outcome, BaseException):
                raise outcome

    async def _one_by_one(self, group: GroupId, actions: Iterable[Action]) -> bool:
        """False if the rest of what was decided cannot be done now."""
        begun: list[Action] = []
        for action in actions:
            if isinstance(action, TryEvictions | Evict):
                refused = await self._actor.evict(group, action)
                if refused is not None:
                    self._spare(group, *refused)
                    return False
            elif isinstance(action, EndHold):
                if not await self._actor.end_hold(action):
                    self._alarms.set(group, _RETRY_S)
            else:
                await self._actor.apply(group, action)
            begun.append(action)
            if is_move(begun):
                self._pace.moved(group)
        return True

    def _spare(self, group: GroupId, pod: Pod, why: str) -> None:
        """What was decided cannot be done now; others may be evicted, or the same ones later."""
        log.info("eviction refused", extra={"group": str(group), "pod": pod.key, "why": why})
        spared_s = self._tenants.spare(pod)
        self._rest(group, _REFUSED_S)
        self._alarms.set(group, spared_s)

    def _faulted(self, group: GroupId) -> None:
        """A fault of ours; to be called where it is caught."""
        faults = self._faults.get(group, 0)
        self._faults[group] = faults + 1
        log.exception("planning failed, will retry", extra={"group": str(group)})
        self._rest(group, min(_RETRY_S * 2**faults, _RETRY_MOST_S))

    def _rest(self, group: GroupId, delay_s: float) -> None:
        """Not to be looked at before `delay_s`, whatever happens to it."""
        self._resting.add(group)
        asyncio.get_running_loop().call_later(delay_s, self._rested, group)

    def _rested(self, group: GroupId) -> None:
        self._resting.discard(group)
        self.group_changed(group)
