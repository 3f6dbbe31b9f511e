"""The built-in LeaderWorkerSet controller, for clusters that have none; runs where the leader Lease
is held.
"""

import asyncio
from collections.abc import Callable

from lws_placement.cluster.client import Api
from lws_placement.cluster.events import EventRecorder
from lws_placement.controller.groups import GroupReconciler
from lws_placement.controller.nodes import Nodes
from lws_placement.controller.observed import Name, Observed
from lws_placement.controller.restarts import Restarts
from lws_placement.controller.say import Say
from lws_placement.controller.sets import SetReconciler
from lws_placement.engine.restart import PodState
from lws_placement.loop import KeyQueue, run_queue

_WORKERS = 8
_GATHER_S = 0.05
"""Changes of pods and StatefulSets that come within this time are looked at together."""


async def run_controller(
    api: Api, *, nodes: Nodes, recorder: EventRecorder, may_write: Callable[[], None]
) -> None:
    """Until cancelled, or NotLeaderError."""
    set_queue: KeyQueue[Name] = KeyQueue()
    pod_queue: KeyQueue[str] = KeyQueue()
    last: dict[str, PodState] = {}

    def on_pod(state: PodState) -> None:
        last[state.uid] = state
        pod_queue.add(state.uid)

    def on_child(lws: Name) -> None:
        set_queue.add(lws, delay_s=_GATHER_S)

    observed = Observed(api, on_lws=set_queue.add, on_child=on_child, on_pod=on_pod)
    say = Say(recorder)
    restarts = Restarts(
        api,
        observed,
        say=say,
        may_write=may_write,
        look_again=lambda name, delay_s: set_queue.add(name, delay_s=delay_s),
    )
    sets = SetReconciler(
        api, observed, nodes=nodes, restarts=restarts, say=say, may_write=may_write
    )
    groups = GroupReconciler(
        api, observed, sets=sets, restarts=restarts, nodes=nodes, say=say, may_write=may_write
    )

    async def handle_pod(uid: str) -> None:
        state = last.get(uid)
        if state is None:
            return
        await groups.reconcile(state)
        living = observed.pod((state.namespace, state.name))
        if last.get(uid) is state and (living is None or living.uid != uid):
            del last[uid]

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(observed.run())
        await observed.wait_synced()
        tasks.create_task(run_queue(set_queue, sets.reconcile, workers=_WORKERS))
        tasks.create_task(run_queue(pod_queue, handle_pod, workers=_WORKERS))
