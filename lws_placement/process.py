"""The process behind `lws-placement serve`: wires its roles together and runs them until SIGTERM.

Webhook and extender serve in every replica; planner, controller and certificate renewal run where
the leader Lease is held. The health server starts first, so that kubelet does not restart a process
that waits for the API server. No answer comes from an unsynced cache. SIGTERM takes effect at any
moment: the process releases the Lease, and the servers leave (`http_server/server.py`) for as long
as kube-proxy may still send requests here; then they finish open requests. The health server and
the renewal of the Lease have a thread of their own (`loops.py`).
"""

import asyncio
import json
import logging
import os
import socket
import time
from collections.abc import Awaitable, Callable
from functools import partial

from lws_placement.certificates import Certificates
from lws_placement.cluster.adapters.admission_lookup import AdmissionLookup
from lws_placement.cluster.adapters.empty_cache import empty_cache
from lws_placement.cluster.adapters.extender_world import ExtenderWorld
from lws_placement.cluster.adapters.hold_counts import count_figures
from lws_placement.cluster.api.client import Api, connect
from lws_placement.cluster.api.discovery import look_around
from lws_placement.cluster.api.events import EventRecorder
from lws_placement.cluster.api.leader_election import Elector, Leadership, Timing
from lws_placement.cluster.cache.informers import Informers
from lws_placement.cluster.stores.failure_store import FailureStore
from lws_placement.cluster.stores.hold_store import HoldStore
from lws_placement.controller.controller import Controller
from lws_placement.engine.base import keys
from lws_placement.errors import NotLeaderError
from lws_placement.extender.app import build_app as extender_app
from lws_placement.extender.app import build_calls
from lws_placement.extender.guard import Guard
from lws_placement.extender.members import Members
from lws_placement.http_server.health import Health
from lws_placement.http_server.server import Server, ServerTls, serve_on
from lws_placement.inspect.found import found_lines
from lws_placement.loops import Heartbeat, SideLoop
from lws_placement.metrics import figures_reported
from lws_placement.planner.admission_checks import AdmissionChecks
from lws_placement.planner.event_reporter import EventReporter
from lws_placement.planner.executor import Executor
from lws_placement.planner.failure_tracker import FailureTracker
from lws_placement.planner.leader_annotations import LeaderAnnotations
from lws_placement.planner.limits.pace import Pace
from lws_placement.planner.planner import Planner
from lws_placement.planner.scale_up.answers import Answers
from lws_placement.planner.scale_up.candidates import Candidates
from lws_placement.planner.scale_up.kept_nodes import KeptNodes
from lws_placement.planner.scale_up.means import Means, means_of
from lws_placement.planner.scale_up.placeholder_pods import PlaceholderPods
from lws_placement.planner.scale_up.provisioning_requests import ProvisioningRequests
from lws_placement.retried import retried
from lws_placement.settings import AffinityMode, Role, Settings
from lws_placement.stopping import asked_to_stop, unless
from webhook.app import build_app as webhook_app

log = logging.getLogger(__name__)

_LEADING = {Role.PLANNER, Role.CONTROLLER, Role.CERTIFICATES}
_SERVING = {Role.WEBHOOK, Role.EXTENDER}


class Process:
    """One `serve` process."""

    def __init__(self, settings: Settings, api: Api, *, health: Health, side: SideLoop) -> None:
        """`health` is already serving, on `side`."""
        self._settings = settings
        self._roles = set(settings.roles)
        self._api = api
        self._identity = settings.identity or f"{socket.gethostname()}_{os.getpid()}"
        self._cache = empty_cache(settings)
        self._informers = Informers(api, self._cache, namespace=settings.namespace)
        self._lookup = AdmissionLookup(
            api,
            self._cache,
            informers=self._informers,
            extender_configured=settings.extender_configured,
        )
        self._leadership = Leadership()
        self._leader_api = api.where(self._leadership.require)
        """For all writes that need leadership."""
        self._failures = FailureTracker(
            self._cache,
            store=FailureStore(self._leader_api, namespace=settings.namespace),
            clock=time.time,
            policy=settings.failure_policy(),
        )
        self._controller: Controller | None = None
        if Role.CONTROLLER in self._roles:
            self._controller = Controller(
                self._leader_api,
                informers=self._informers,
                nodes=self._lookup,
                recorder=self._recorder("leaderworkerset"),
            )
        self._servers = self._new_servers()
        self._certificates = Certificates(
            self._leader_api,
            settings,
            servers=self._servers,
            recorder=self._recorder("certificates"),
        )
        self._background: list[asyncio.Task[None]] = []
        self._leading: asyncio.Task[None] | None = None
        self._leader_notes: dict[str, str] = {}
        self._health = health
        self._side = side
        self._obstacle = "the API server has not answered yet"
        health.why_not_ready = lambda: self._obstacle or self._informers.missing

    async def run(self, stop: asyncio.Event) -> None:
        """Runs until `stop` is set, or until a part fails for good."""
        async with asyncio.TaskGroup() as tasks:
            starting = tasks.create_task(self._start(tasks))
            await stop.wait()
            was_ready = not self._health.why_not_ready()
            log.info("stopping")
            starting.cancel()
            await asyncio.wait([starting])
            self._obstacle = "stopping"
            await self._stop(was_ready=was_ready)

    async def _start(self, tasks: asyncio.TaskGroup) -> None:
        self._background.append(tasks.create_task(self._informers.run()))
        self._background.append(tasks.create_task(self._tell_what_is_found()))
        if self._roles & _LEADING:  # before the servers, which wait for its certificates
            self._leading = tasks.create_task(self._lead())
        if self._roles & _SERVING:
            await self._certificates.load_first(told=self._keep_waiting)
            self._background.append(tasks.create_task(self._certificates.follow()))
        for server in self._servers.values():
            await server.start()
        self._write_ports()
        if Role.CERTIFICATES in self._roles:
            await self._certificates.wait_for_trust(told=self._keep_waiting)
        self._obstacle = ""

    def _keep_waiting(self, why: str) -> None:
        self._obstacle = why

    async def _stop(self, *, was_ready: bool) -> None:
        """A process that was never ready was never a Service endpoint, so it gets no requests."""
        ending = []
        if self._leading is not None:
            self._leading.cancel()
            ending.append(self._leading)
        if self._servers and was_ready:
            for server in self._servers.values():
                server.leave()
            delay_s = self._settings.shutdown_delay_seconds
            serving_on = serve_on(self._servers.values(), delay_s=delay_s)
            ending.append(asyncio.create_task(serving_on))
        if ending:
            await asyncio.wait(ending)
        await asyncio.gather(*(server.stop() for server in self._servers.values()))
        for task in self._background:
            task.cancel()

    async def _tell_what_is_found(self) -> None:
        found = await retried(partial(look_around, self._api))
        versions, *wanting = found_lines(found)
        log.info("found", extra={"cluster": versions})
        for line in wanting:
            log.warning("found wanting", extra={"cluster": line})

    # -- servers ---------------------------------------------------------------------------------

    def _new_servers(self) -> dict[str, Server]:
        settings, host = self._settings, self._settings.bind_address
        servers = {}
        if Role.WEBHOOK in self._roles:
            app = webhook_app(
                self._lookup,
                keep_affinity=settings.affinity is AffinityMode.ALWAYS,
                placing=settings.placing,
                max_group_size=settings.max_group_size,
                member_scheduler=settings.member_scheduler,
                topology=settings.topology_policy(),
            )
            tls = ServerTls(client_certificates=settings.webhook_client_ca is not None)
            servers["webhook"] = Server(app, host=host, port=settings.webhook_port, tls=tls)
        if Role.EXTENDER in self._roles:
            store = HoldStore(self._api.where(_not_here), namespace=settings.namespace)
            world = ExtenderWorld(self._api, self._cache, informers=self._informers, store=store)
            guard = Guard(world, guarded=settings.guarded_resources)
            calls = build_calls(Members(world), guard)
            servers["extender"] = Server(
                extender_app(calls),
                host=host,
                port=settings.extender_port,
                tls=ServerTls(client_certificates=True, http2=True),
                calls=calls,
            )
        return servers

    def _write_ports(self) -> None:
        path = self._settings.ports_file
        if path is not None:
            servers = {"health": self._health.server, **self._servers}
            ports = {name: server.bound_port for name, server in servers.items()}
            draft = path.with_suffix(".draft")
            draft.write_text(json.dumps(ports))
            draft.rename(path)

    # -- leading ---------------------------------------------------------------------------------

    async def _lead(self) -> None:
        async def lead() -> None:
            try:
                async with asyncio.TaskGroup() as tasks:
                    if Role.CERTIFICATES in self._roles:
                        tasks.create_task(self._certificates.keep())
                    if self._controller is not None:
                        tasks.create_task(self._controller.lead())
                    if Role.PLANNER in self._roles:
                        tasks.create_task(self._plan())
            except* NotLeaderError:
                log.info("deposed")

        async with asyncio.TaskGroup() as tasks:
            if self._controller is not None:
                tasks.create_task(self._controller.watch())
            if Role.PLANNER in self._roles:
                tasks.create_task(self._note_failures())
            await self._elect(lead)

    async def _elect(self, lead: Callable[[], Awaitable[None]]) -> None:
        """Runs `lead` where the Lease is held. The Lease has a connection of its own: the pool of
        the main loop may be full of writes.
        """
        settings = self._settings
        lease_s = settings.lease_seconds
        api = await self._side.run(connect(settings.kubeconfig))
        elector = Elector(
            api,
            self._leadership,
            namespace=settings.namespace,
            identity=self._identity,
            timing=Timing(lease_s, lease_s * 2 / 3, lease_s * 2 / 15),
            side=self._side,
            notes=self._leader_notes,
        )
        try:
            await elector.run(lead)
        finally:
            await self._side.run(api.close())

    async def _note_failures(self) -> None:
        """Runs in standby replicas too: the leader may die before it has stored a failure."""
        await self._informers.wait_synced()  # else a pod's group may be unknown
        self._cache.on_node_failure.append(self._failures.node_failed)

    async def _plan(self) -> None:
        api, namespace = self._leader_api, self._settings.namespace
        store = HoldStore(api, namespace=namespace)
        await self._informers.wait_synced()
        self._informers.take_holds(await retried(store.fetch_all))
        conditions = LeaderAnnotations(api, self._cache)
        reporter = EventReporter(self._recorder("planner"), self._cache, conditions)
        executor = Executor(
            api,
            self._cache,
            store=store,
            reporter=reporter,
        )
        await retried(self._failures.take_over)
        executor.wake_refused()
        pins = self._settings.placing and self._settings.extender_configured
        candidates = Candidates(
            after_s=self._settings.scale_up_after_seconds, most=self._settings.scale_up_groups
        )
        provisioning = ProvisioningRequests(
            api, namespace=namespace, class_name=self._settings.scale_up_class
        )
        answers = Answers(
            api,
            self._cache,
            provisioning,
            gives_up_after_s=self._settings.scale_up_timeout_seconds,
        )
        placeholders = PlaceholderPods(
            api,
            self._cache,
            candidates,
            provisioning=provisioning,
            answers=answers,
            reporter=reporter,
            namespace=namespace,
        )
        pace = Pace(
            clock=asyncio.get_running_loop().time,
            hold_s=self._settings.hold_seconds,
            move_every_s=self._settings.move_seconds,
        )
        kept = KeptNodes(api, self._cache, gives_up_after_s=self._settings.scale_up_timeout_seconds)
        checks = AdmissionChecks(
            api,
            self._cache,
            patience_s=self._settings.admission_check_patience_seconds,
            rejects=self._settings.admission_check_rejects,
        )
        planner = Planner(
            self._cache,
            executor,
            pace=pace,
            failures=self._failures,
            plans_ahead=pins,
            observers=(candidates, kept, checks),
            before_pins=placeholders.make_way,
        )
        guarded = frozenset(self._settings.guarded_resources)
        with figures_reported(lambda: count_figures(self._cache, guarded=guarded)):
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(planner.run())
                tasks.create_task(self._scale_up(placeholders, kept))
                tasks.create_task(checks.run())

    async def _scale_up(self, placeholders: PlaceholderPods, kept: KeptNodes) -> None:
        mode, class_name = self._settings.scale_up, self._settings.scale_up_class
        found = await retried(partial(look_around, self._api))
        means = means_of(mode, found, class_name=class_name)

        def tell(used: Means) -> None:
            log.info("scale-up", extra={"mode": mode.value, "how": used.words})
            self._leader_notes[keys.SCALE_UP_MODE] = used.words

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(placeholders.run(means, on_means=tell))
            tasks.create_task(kept.run(keeps=means.requests))

    def _recorder(self, controller: str) -> EventRecorder:
        return EventRecorder(self._api, instance=self._identity, controller=controller)


def _not_here() -> None:
    raise NotLeaderError("the extender never writes holds")


async def run_process(settings: Settings) -> None:
    """Runs until SIGTERM. Raises SettingsError for credentials that cannot be used."""
    stop = asked_to_stop()
    heartbeat = Heartbeat(stall_s=settings.stall_seconds)
    beating = asyncio.create_task(heartbeat.run())
    side = SideLoop(heartbeat)
    health = Health(host=settings.bind_address, port=settings.health_port, heartbeat=heartbeat)
    try:
        await side.run(health.server.start())
        api = await unless(stop, connect(settings.kubeconfig))
        if api is None:
            return
        try:
            await Process(settings, api, health=health, side=side).run(stop)
        finally:
            await api.close()
    finally:
        await side.run(health.server.stop())
        await side.close()
        beating.cancel()
