"""Replicas of ours on the API server in memory: the gate (webhook, extender) and the brain."""

import asyncio
from contextlib import suppress

from support.fake_server import STARTED
from support.fakes import FakeApi

from lws_placement.cluster.adapters.admission_lookup import AdmissionLookup
from lws_placement.cluster.adapters.extender_world import ExtenderWorld
from lws_placement.cluster.api.events import EventRecorder
from lws_placement.cluster.api.timestamps import decode_time
from lws_placement.cluster.cache.cluster_cache import ClusterCache
from lws_placement.cluster.cache.informers import Informers
from lws_placement.cluster.cache.topology_index import TopologyIndex
from lws_placement.cluster.stores.failure_store import FailureStore
from lws_placement.cluster.stores.hold_store import HoldStore
from lws_placement.engine.admission.pod_gating import gate_or_pin, leave_alone, stamp, strip
from lws_placement.engine.base.json_copy import json_copy
from lws_placement.engine.fit.extended_resources import with_tolerations
from lws_placement.engine.lws.pod_identity import add_lws_identity
from lws_placement.engine.model.failure_history import Policy
from lws_placement.extender.members import Members
from lws_placement.planner.event_reporter import EventReporter
from lws_placement.planner.executor import Executor
from lws_placement.planner.failure_tracker import FailureTracker
from lws_placement.planner.leader_annotations import LeaderAnnotations
from lws_placement.planner.limits.pace import Pace
from lws_placement.planner.planner import Planner

OURS = "lws-placement-system"
HOLD_S = 3.0
MOVE_EVERY_S = 3.0
EPOCH_S = decode_time(STARTED)  # all that is made or deleted carries this time
POLICY = Policy(refused_after_s=2.0, unserved_after_s=4.0, pass_over_s=5.0, failures=2)


class Replica:
    """A cache in step with the server."""

    def __init__(self, server):
        self.api = FakeApi(server)
        self.cache = ClusterCache(TopologyIndex())
        self.informers = Informers(self.api, self.cache, namespace=OURS)
        self.tasks = []

    async def start(self):
        self.tasks.append(asyncio.create_task(self.informers.run()))
        await self.informers.wait_synced()

    async def stop(self):
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)


class Gate(Replica):
    """Webhook and extender. `adds_tolerations`: the API server does, for extended resources;
    `enlarge`: what else it makes of a pod's spec before it asks the webhook.
    """

    def __init__(self, server):
        super().__init__(server)
        self.adds_tolerations = False
        self.enlarge = lambda pod: None
        store = HoldStore(self.api, namespace=OURS)
        world = ExtenderWorld(self.api, self.cache, informers=self.informers, store=store)
        self.members = Members(world)
        self._lookup = AdmissionLookup(
            self.api, self.cache, informers=self.informers, extender_configured=True
        )

    async def admit(self, pod, namespace):
        self.enlarge(pod)
        pod = json_copy(pod)
        if self.adds_tolerations:  # the API server's plugins run before webhooks, and after them
            pod = {**pod, "spec": with_tolerations(pod["spec"])}
        strip(pod)
        add_lws_identity(pod, namespace=namespace)
        owner = await self._lookup.owner_of(pod, namespace)
        if owner is None:
            leave_alone(pod)
            return pod
        stamp(pod, owner)
        pin = self._lookup.pin_for(pod, namespace=namespace)
        gate_or_pin(pod, pin=pin, keep_affinity=True)
        if self.adds_tolerations:
            pod["spec"] = with_tolerations(pod["spec"])
        return pod


class Brain(Replica):
    """The planner, as `serve` runs it where it leads."""

    policy = POLICY

    async def start(self):
        if not self.tasks:
            await self.stand_by()
        store = HoldStore(self.api, namespace=OURS)
        self.informers.take_holds(await store.fetch_all())
        recorder = EventRecorder(self.api, instance="test", controller="planner")
        conditions = LeaderAnnotations(self.api, self.cache)
        actor = Executor(
            self.api,
            self.cache,
            store=store,
            reporter=EventReporter(recorder, self.cache, conditions),
        )
        actor.wake_refused()
        await self.failures.take_over()
        clock = asyncio.get_running_loop().time
        pace = Pace(clock=clock, hold_s=HOLD_S, move_every_s=MOVE_EVERY_S)
        self.planner = Planner(
            self.cache, actor, pace=pace, failures=self.failures, plans_ahead=True
        )
        self.tasks.append(asyncio.create_task(self.planner.run()))

    async def stand_by(self):
        """Only watch, until `start()`."""
        await super().start()
        clock = asyncio.get_running_loop().time
        self.failures = FailureTracker(
            self.cache,
            store=FailureStore(self.api, namespace=OURS),
            clock=lambda: EPOCH_S + clock(),
            policy=self.policy,
        )
        self.cache.on_node_failure.append(self.failures.node_failed)

    async def ready(self):
        """Started; or killed on the way, which a planner may be as well."""
        starting = asyncio.create_task(self.start())
        dead = asyncio.create_task(self.api.dead.wait())
        await asyncio.wait([starting, dead], return_when=asyncio.FIRST_COMPLETED)
        for task in (starting, dead):
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
