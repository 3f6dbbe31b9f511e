"""The built-in LeaderWorkerSet controller, for clusters without one.

It watches in every replica and acts where the leader Lease is held: a replica that takes over knows
what happened meanwhile (`standby.py`), and needs no lists before it starts.
"""

import asyncio
import time
from collections.abc import Callable

from lws_placement.cluster.api.client import Api
from lws_placement.cluster.api.events import EventRecorder
from lws_placement.cluster.cache.informers import Informers
from lws_placement.controller.informer_cache import Name, Observed
from lws_placement.controller.lws_reconciler import LwsReconciler
from lws_placement.controller.pod_reconciler import PodReconciler
from lws_placement.controller.restarts import Restarts
from lws_placement.controller.standby import Standby
from lws_placement.controller.world import Nodes, World
from lws_placement.engine.lws.restart import PodState
from lws_placement.work_queue import WorkQueue, run_queue

_WORKERS = 8
_GATHER_S = 0.05
_GATHER_EACH_S = 0.0005
_GATHER_ASKED_S = 0.000005
"""Changes of pods and StatefulSets within this time are reconciled together, over a longer time for
a LeaderWorkerSet with more groups: one pass costs some 0.05 ms per existing group and some 0.0005
ms per requested one.
"""


class Controller:
    """`watch()` runs for the life of the process; `lead()` runs in each term of leadership.

    Create it before the informers run, as it follows them.
    """

    def __init__(
        self,
        api: Api,
        *,
        informers: Informers,
        nodes: Nodes,
        recorder: EventRecorder,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._work: _Work | None = None
        self._observed = Observed(
            api, informers, on_lws=self._on_lws, on_child=self._on_child, on_pod=self._on_pod
        )
        self._world = World(api, self._observed, nodes, recorder.say)
        self._standby = Standby(self._observed, clock=clock)

    async def watch(self) -> None:
        """Runs until cancelled."""
        await self._observed.run()

    async def lead(self) -> None:
        """Runs until cancelled, or until NotLeaderError."""
        await self._observed.wait_synced()
        self._work = work = _Work()
        try:
            for name in self._observed.lws:
                work.sets.add(name)
            for pod in [*self._observed.all_pods(), *self._standby.take()]:
                work.add_pod(pod)
            await self._carry_out(work)
        finally:
            self._work = None
            for pod in work.last.values():
                self._standby.look(pod)

    async def _carry_out(self, work: "_Work") -> None:
        world = self._world
        restarts = Restarts(
            world, look_again=lambda name, delay_s: work.sets.add(name, delay_s=delay_s)
        )
        sets = LwsReconciler(world, restarts=restarts)
        pods = PodReconciler(world, sets=sets, restarts=restarts)

        async def handle_pod(uid: str) -> None:
            state = work.last.get(uid)
            if state is None:
                return
            await pods.reconcile(state)
            living = self._observed.pod((state.namespace, state.name))
            if work.last.get(uid) is state and (living is None or living.uid != uid):
                del work.last[uid]

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(run_queue(work.sets, sets.reconcile, workers=_WORKERS))
            tasks.create_task(run_queue(work.pods, handle_pod, workers=_WORKERS))

    def _on_lws(self, name: Name) -> None:
        if self._work is not None:
            self._work.sets.add(name)

    def _on_child(self, lws: Name) -> None:
        if self._work is not None:
            there, asked = self._observed.leaders_number(lws), self._observed.groups_asked(lws)
            delay_s = _GATHER_S + _GATHER_EACH_S * there + _GATHER_ASKED_S * asked
            self._work.sets.add(lws, delay_s=delay_s)

    def _on_pod(self, state: PodState) -> None:
        if self._work is not None:
            self._work.add_pod(state)
        else:
            self._standby.look(state)


class _Work:
    """The LeaderWorkerSets and pods still to reconcile."""

    def __init__(self) -> None:
        self.sets: WorkQueue[Name] = WorkQueue()
        self.pods: WorkQueue[str] = WorkQueue()
        self.last: dict[str, PodState] = {}

    def add_pod(self, state: PodState) -> None:
        self.last[state.uid] = state
        self.pods.add(state.uid)
