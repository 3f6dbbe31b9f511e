"""The planner: observe a group, decide, act. It runs only where the leader Lease is held.

One coroutine decides group after group, in order of priority and age, without waiting in between.
It assumes each decided hold in the cache before it observes the next group, so two groups decided
in one pass never take the same room. The writes of each group run as a separate task, and the group
is not planned again until they are done.

The queue (`scheduling_queue.py`) selects which groups are planned, and when: placement follows
events, not back-off (P5). A group that fails backs off; all others are planned meanwhile.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import replace
from itertools import groupby
from uuid import uuid4

from lws_placement import metrics
from lws_placement.backoff import Backoff
from lws_placement.cluster.adapters.backfill import Backfill
from lws_placement.cluster.adapters.group_state import context_of, observe
from lws_placement.cluster.adapters.tenants import ClusterTenants
from lws_placement.cluster.cache.cluster_cache import ClusterCache
from lws_placement.engine.base.lru import LruCache
from lws_placement.engine.model.groups import GroupId, GroupKind
from lws_placement.engine.model.pods import Pod
from lws_placement.engine.model.queue_order import Turn, turn_of_pods
from lws_placement.engine.model.reservation import Hold
from lws_placement.engine.reconcile.actions import Action, Blocked, KeepHold, LookAgain, Pin
from lws_placement.engine.reconcile.context import Context
from lws_placement.engine.reconcile.decide import decide
from lws_placement.engine.reconcile.foreign_preemption import decide_for_pod
from lws_placement.engine.reconcile.group_state import GroupState
from lws_placement.errors import ApiError, ConflictError, NotLeaderError
from lws_placement.planner.executor import EvictionRefused, Executor, StillInUse
from lws_placement.planner.failure_tracker import FailureTracker
from lws_placement.planner.foreign_pods import ForeignPods
from lws_placement.planner.limits.pace import Pace, is_move
from lws_placement.planner.limits.relearning import Relearning
from lws_placement.planner.limits.searches import VictimSearches
from lws_placement.planner.limits.unfinished_plans import UnfinishedPlans
from lws_placement.planner.observer import Observer
from lws_placement.planner.preplan import Preplanner, holds_in
from lws_placement.planner.queue.scheduling_queue import SchedulingQueue
from lws_placement.planner.vacant_holds import VacantHolds
from lws_placement.planner.wait_metrics import WaitingGroups

log = logging.getLogger(__name__)

_SLICE_S = 0.02  # then the event loop gets a turn
_RETRY_S = 0.5
_UNWRITTEN = Backoff(first_s=0.5, most_s=60.0)
_REMEMBERED = 20_000
_REFUSED_S = 2.0


async def _nothing(group: GroupId) -> None:
    return


class Planner:
    """`run()` runs until cancelled, and raises NotLeaderError when deposed. `before_pins`: awaited
    once a group's holds are written, before its pods are pinned.
    """

    def __init__(
        self,
        cache: ClusterCache,
        executor: Executor,
        *,
        pace: Pace,
        failures: FailureTracker,
        plans_ahead: bool = False,
        observers: Sequence[Observer] = (),
        before_pins: Callable[[GroupId], Awaitable[None]] = _nothing,
        new_plan_id: Callable[[], str] = lambda: uuid4().hex[:12],
    ) -> None:
        self._cache = cache
        self._executor = executor
        self._pace = pace
        self._failures = failures
        self._plans_ahead = plans_ahead
        self._before_pins = before_pins
        self._preplanner = Preplanner(cache)
        self._vacant = VacantHolds(cache, look_at=self.group_changed)
        self._new_plan_id = new_plan_id
        self._tenants = ClusterTenants(cache)
        self._searches = VictimSearches(look_at=self.group_changed)
        context = context_of(cache, self._tenants)
        self._context = replace(context, search=self._searches.search)
        self._foreign = ForeignPods(cache, self._tenants, new_plan_id=new_plan_id)
        self._unfinished = UnfinishedPlans()
        self._relearning = Relearning(cache)
        self._waiting = WaitingGroups()
        self._assumed_holds = executor.assumed
        self._backfill = Backfill(cache.domains, opened=self.capacity_changed)
        self._queue = SchedulingQueue(
            cache, self._context.memo, vacant=self._vacant, refreshed=self._foreign.look_again
        )
        self._observers: Sequence[Observer] = (
            self._vacant,
            self._waiting,
            self._backfill,
            self._queue,
            self._foreign,
            *observers,
        )
        self._unwritten: LruCache[GroupId, int] = LruCache(_REMEMBERED)
        """How often in a row a group's failures could not be written."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._failure: NotLeaderError | None = None

    # -- called by the cache ---------------------------------------------------------------------

    def group_changed(self, group: GroupId) -> None:
        self._queue.add(group)

    def pod_waits(self, uid: str) -> None:
        self._foreign.begins_to_wait(uid)
        self._queue.refresh_vacant()

    def lws_changed(self, namespace: str, name: str) -> None:
        if self._plans_ahead:
            for group in self._preplanner.follow(namespace, name):
                self._queue.add(group)

    def capacity_changed(self) -> None:
        self._queue.capacity_changed()

    def room_taken(self, node: str) -> None:
        self._queue.room_taken(node)

    # -- the loop --------------------------------------------------------------------------------

    async def run(self) -> None:
        self._cache.listeners.append(self)
        try:
            for group in (*self._cache.groups(), *self._failures.groups()):
                self._queue.add(group)
            for name in sorted(self._cache.workloads.lws):
                self.lws_changed(*name)
            self._foreign.look_again()
            await self._view_nodes()
            while True:
                await self._queue.wait()
                if self._failure is not None:
                    raise self._failure
                await self._pass()
        finally:
            self._cache.listeners.remove(self)
            self._waiting.clear()
            self._backfill.clear()
            for task in self._tasks:
                task.cancel()
            self._searches.stop()
            self._queue.stop()
            self._assumed_holds.take_all_back()

    async def _view_nodes(self) -> None:
        """Builds the views of all nodes in slices. The first plan would build them in one turn."""
        until = time.monotonic() + _SLICE_S
        for name in self._cache.domains.names():
            self._cache.domains.node_view(name)
            if time.monotonic() > until:
                await asyncio.sleep(0)
                until = time.monotonic() + _SLICE_S

    async def _pass(self) -> None:
        batch = self._queue.begin_pass(self._turn)
        until = time.monotonic() + _SLICE_S
        for group in batch:
            if not self._queue.take(group):
                continue
            wait_s = self._unfinished.wait_s(group)
            if wait_s > 0:
                self._queue.add_after(group, wait_s)
                continue
            try:
                self._decide(group)
            except Exception as e:
                self._faulted(group, e)
            if time.monotonic() > until:
                await asyncio.sleep(0)
                until = time.monotonic() + _SLICE_S
                if self._queue.room_changed:
                    break  # groups that have room now come before the rest
        for group, actions in self._foreign.to_help():
            if group not in self._queue.blocked:
                self._begin(group, actions)

    def _turn(self, group: GroupId) -> Turn:
        pods = self._cache.group_pods(group)
        leader = None if pods else self._preplanner.leader_of(group)
        return turn_of_pods(group, pods if leader is None else [leader])

    def _decide(self, group: GroupId) -> None:
        """Decides and assumes the holds, without waiting; a task does the writes."""
        holds = self._cache.holds_of(group)
        if holds and group.kind is GroupKind.POD:
            self._decide_for_pod(group, holds)
            return
        observed = observe(self._cache, group, plan_id=self._new_plan_id())
        observed = replace(observed, failures=self._failures.look(observed))
        context = self._vacant.with_who_waits(self._context, observed)
        forgets_after_s = self._failures.forgets_after_s(group)
        if forgets_after_s is not None:
            self._queue.add_after(group, forgets_after_s)
        leader = self._preplanner.leader_of(group)
        if leader is not None:
            self._plan_ahead(group, self._preplanner.with_leader(observed, leader), context)
            return
        self._unfinished.begin()
        with metrics.PLAN_SECONDS.time():
            decided = self._searches.decided(group, decide(observed, context))
        relearns_after_s = self._relearning.decided(observed, decided)
        if relearns_after_s is not None:
            self._queue.add_after(group, relearns_after_s)
        pause_s = self._unfinished.decided(group, decided)
        if pause_s > 0:
            self._queue.add_after(group, pause_s)
        for later in decided:
            if isinstance(later, LookAgain):
                self._queue.add_after(group, later.after_s)
        actions = [a for a in decided if not isinstance(a, LookAgain)]
        wait_s = self._pace.wait_s(group, actions)
        if wait_s > 0:
            self._queue.add_after(group, wait_s)
            actions = [a for a in actions if isinstance(a, Blocked | KeepHold)]
        for observer in self._observers:
            observer.decided(observed, actions)
        actions = [a for a in actions if not isinstance(a, KeepHold)]
        if actions or self._failures.unwritten(group) is not None:
            self._begin(group, actions)

    def _plan_ahead(self, group: GroupId, observed: GroupState, context: Context) -> None:
        with metrics.PLAN_SECONDS.time():
            actions = holds_in(decide(observed, context))
        if actions:
            self._begin(group, actions)

    def _decide_for_pod(self, group: GroupId, holds: Sequence[Hold]) -> None:
        pod = self._cache.pod(group.lws_uid)
        actions = [a for h in holds for a in decide_for_pod(h, pod, self._tenants)]
        wait_s = self._pace.wait_s(group, actions)
        if wait_s > 0:
            self._queue.add_after(group, wait_s)
        elif actions:
            self._begin(group, actions)

    def _begin(self, group: GroupId, actions: Sequence[Action]) -> None:
        self._assumed_holds.make(group, actions)
        self._queue.begin_flight(group)
        task = asyncio.create_task(self._act(group, actions))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _act(self, group: GroupId, actions: Sequence[Action]) -> None:
        try:
            await self._remember(group, actions)
            for together, some in groupby(actions, key=lambda action: isinstance(action, Pin)):
                if together:
                    await self._before_pins(group)
                    await self._at_once(group, some)
                elif not await self._one_by_one(group, some):
                    return
            for observer in self._observers:
                observer.done(group, actions)
        except ConflictError as e:
            log.debug("conflict, observing again", extra={"group": str(group), "error": str(e)})
            self._queue.failed(group, e)
        except ApiError as e:
            log.warning("write failed, will retry", extra={"group": str(group), "error": str(e)})
            self._queue.failed(group, e)
            if e.is_refusal:
                await self._tell_refusal(group, e)
        except NotLeaderError as e:
            self._failure = e
        except Exception as e:
            self._faulted(group, e)
        finally:
            self._assumed_holds.take_back(group)
            self._queue.end_flight(group)
            if self._failure is not None:
                self._queue.wake()

    async def _tell_refusal(self, group: GroupId, error: ApiError) -> None:
        """The API server would refuse the write again: a hold that is too large for a Lease, a
        right that is missing.
        """
        why = f"the API server refuses what placing the group needs: {str(error)[:300]}"
        await self._executor.apply(group, Blocked(why, gist="refused"))

    async def _remember(self, group: GroupId, actions: Sequence[Action]) -> None:
        """Writes failures before the actions: a planner that dies over these forgets nothing.

        Failures only improve later choices, so a failed write delays no repair.
        """
        try:
            await self._failures.write(group, actions)
        except ConflictError:
            raise
        except ApiError as e:
            log.warning("failures not written", extra={"group": str(group), "error": str(e)})
            metrics.RETRIES.labels(metrics.Retry.PLANNER).inc()
            before = self._unwritten.get(group) or 0
            self._unwritten.put(group, before + 1)
            self._queue.add_after(group, _UNWRITTEN.delay_s(before, at_least_s=e.retry_after_s))
        else:
            self._unwritten.drop(group)

    async def _at_once(self, group: GroupId, pins: Iterable[Action]) -> None:
        """Pins all members concurrently, then raises the first failure: each pin stands alone."""
        done = await asyncio.gather(
            *(self._executor.apply(group, pin) for pin in pins), return_exceptions=True
        )
        for outcome in done:
            if isinstance(outcome, BaseException):
                raise outcome

    async def _one_by_one(self, group: GroupId, actions: Iterable[Action]) -> bool:
        """False if the remaining actions cannot be done now."""
        begun: list[Action] = []
        for action in actions:
            match await self._executor.apply(group, action):
                case EvictionRefused(pod, why):
                    self._spare(group, pod, why)
                    return False
                case StillInUse():
                    self._queue.add_after(group, _RETRY_S)
            begun.append(action)
            if is_move(begun):
                self._pace.moved(group)
        return True

    def _spare(self, group: GroupId, pod: Pod, why: str) -> None:
        """Spares the pod for a while: the group may evict other victims, or this one later."""
        log.info("eviction refused", extra={"group": str(group), "pod": pod.key, "why": why})
        spared_s = self._tenants.spare(pod)
        self._queue.back_off(group, _REFUSED_S)
        self._queue.add_after(group, spared_s)

    def _faulted(self, group: GroupId, error: Exception) -> None:
        """Logs a fault of ours and backs off. Call it in the `except` block."""
        log.exception("planning failed, will retry", extra={"group": str(group)})
        self._queue.failed(group, error)
