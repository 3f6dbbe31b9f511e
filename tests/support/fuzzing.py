"""Replicas of ours on the API server in memory, fed with random objects, and asked with random
bodies. Faults of ours show as tracebacks in the log, or are raised.
"""

import asyncio
import json
import logging
from collections import Counter, deque
from contextlib import asynccontextmanager
from enum import Enum
from functools import partial

from aiohttp import StreamReader, web
from aiohttp.test_utils import make_mocked_request
from support.fake_server import FakeServer
from support.random_objects import NAMESPACES, NODES, SETS, seeded
from support.replicas import OURS, Brain, Gate

from lws_placement.cluster.adapters.admission_lookup import AdmissionLookup
from lws_placement.cluster.adapters.extender_world import ExtenderWorld
from lws_placement.cluster.api.events import EventRecorder
from lws_placement.cluster.stores.hold_store import HoldStore
from lws_placement.controller.controller import Controller
from lws_placement.engine.base import keys
from lws_placement.engine.base.json_copy import json_copy
from lws_placement.engine.base.lru import LruCache
from lws_placement.engine.model.change_log import ChangeLog
from lws_placement.errors import ApiError
from lws_placement.extender.app import build_calls
from lws_placement.extender.guard import Guard
from lws_placement.extender.members import Members
from webhook.app import build_app

CLUSTER_WIDE = {
    "Node": "nodes",
    "Namespace": "namespaces",
    "PersistentVolume": "persistentvolumes",
    "RuntimeClass": "runtimeclasses",
    "StorageClass": "storageclasses",
    "CSINode": "csinodes",
    "CSIDriver": "csidrivers",
    "VolumeAttachment": "volumeattachments",
    "ResourceSlice": "resourceslices",
    "DeviceClass": "deviceclasses",
}
IN_NAMESPACES = {
    "Pod": "pods",
    "LeaderWorkerSet": "leaderworkersets",
    "StatefulSet": "statefulsets",
    "DaemonSet": "daemonsets",
    "ControllerRevision": "controllerrevisions",
    "Service": "services",
    "Lease": "leases",
    "LimitRange": "limitranges",
    "PodDisruptionBudget": "poddisruptionbudgets",
    "PersistentVolumeClaim": "persistentvolumeclaims",
    "CSIStorageCapacity": "csistoragecapacities",
    "ResourceClaim": "resourceclaims",
    "ResourceClaimTemplate": "resourceclaimtemplates",
}
_NAMES = {
    "Node": NODES,
    "Namespace": NAMESPACES,
    "Pod": tuple(f"{s}-{i}{w}" for s in SETS for i in range(2) for w in ("", "-1")),
    "PodDisruptionBudget": ("b", "c", "d"),
}
_OFTEN = ("Pod", "Pod", "Pod", "Node", "LeaderWorkerSet")
_REVIEWS = ("/mutate-pods", "/mutate-pods", "/mutate-lws", "/validate-lws", "/validate-placement")
_CALLS = (
    "/members/bind",
    "/members/preempt",
    "/guard/filter",
    "/guard/prioritize",
    "/guard/preempt",
)


class Faults(logging.Handler):
    """Collects what was logged with a traceback."""

    def __init__(self):
        super().__init__(logging.WARNING)
        self.found = []

    def emit(self, record):
        if record.exc_info:
            self.found.append(record)

    def check(self):
        """Raises the first, under the name of who logged it."""
        if self.found:
            record = self.found[0]
            where = f"{record.name}: {record.getMessage()} {getattr(record, 'object', '')}"
            raise AssertionError(where) from record.exc_info[1]


class Fuzzed:
    """The server, and both processes of ours."""

    def __init__(self, seed):
        self.server = FakeServer()
        self._uids = []
        self.objects = seeded(seed, uids=self._uids)
        self.rng = self.objects.rng
        self.gate = Gate(self.server)
        self.brain = Brain(self.server)
        self.refused = 0
        """Objects that this server could not store."""

    async def start(self):
        await self.gate.start()
        gate, brain = self.gate, self.brain
        lookup = AdmissionLookup(
            gate.api, gate.cache, informers=gate.informers, extender_configured=True
        )
        self._webhook = build_app(lookup, keep_affinity=True)
        self._webhook.freeze()
        store = HoldStore(gate.api, namespace=OURS)
        world = ExtenderWorld(gate.api, gate.cache, informers=gate.informers, store=store)
        self._gates = Members(world), Guard(world, guarded=("google.com/tpu",))
        self._extender = build_calls(*self._gates)
        self.controller = Controller(
            brain.api,
            informers=brain.informers,
            nodes=AdmissionLookup(
                brain.api, brain.cache, informers=brain.informers, extender_configured=True
            ),
            recorder=EventRecorder(brain.api, instance="test", controller="leaderworkerset"),
        )
        await brain.start()
        brain.tasks += [asyncio.create_task(self.controller.watch())]
        brain.tasks += [asyncio.create_task(self.controller.lead())]

    async def stop(self):
        await self.brain.stop()
        await self.gate.stop()

    def begin(self):
        """Nodes and sets as they should be, so that something is placed."""
        for name in NODES:
            node = self.objects.tame("Node", {"metadata": {"name": name}})
            self._uids.append(self.server.create("nodes", node)["metadata"]["uid"])
        for name in SETS:
            lws = self.objects.tame("LeaderWorkerSet", {"metadata": {"name": name}})
            self.server.create("leaderworkersets", lws, namespace="ns")

    async def change_some(self, number):
        """So many changes, with time for ours to act in between."""
        for _ in range(number):
            self.change()
            if self.rng.random() < 0.2:
                await asyncio.sleep(0.5)
        await asyncio.sleep(5)

    def held(self):
        """What ours keep."""
        gate, brain = self.gate, self.brain
        return held_by(
            brain=[brain.cache, brain.informers, brain.planner, brain.failures],
            gate=[gate.cache, gate.informers, *self._gates],
            controller=self.controller,
        )

    def check(self):
        """Raises what ended a part of ours."""
        for task in (*self.gate.tasks, *self.brain.tasks):
            if task.done():
                task.result()
                raise AssertionError("a part of ours has returned")

    # -- objects ---------------------------------------------------------------------------------

    def change(self):
        """Creates, replaces or deletes one random object."""
        kinds = (*CLUSTER_WIDE, *IN_NAMESPACES, *_OFTEN * 3)
        kind = self.rng.choice(kinds)
        resource = (CLUSTER_WIDE | IN_NAMESPACES)[kind]
        namespace = "" if kind in CLUSTER_WIDE else self.rng.choice(NAMESPACES)
        if kind == "Lease":
            namespace = OURS
        name = self.rng.choice(_NAMES.get(kind, SETS))
        there = self.server.find(resource, name, namespace)
        with_grace = {"gracePeriodSeconds": self.rng.choice((0, 30))}
        try:
            if there is not None and self.rng.random() < 0.15:
                self.server.delete(resource, (namespace, name), options=with_grace)
                return
            made = self._make(kind, name, namespace)
            if there is None:
                stored = self.server.create(resource, made, namespace=namespace)
                self._uids.append(stored["metadata"]["uid"])
            else:
                self.server.put(resource, made)
        except ApiError:
            self.refused += 1

    def _make(self, kind, name, namespace):
        made = self.objects.make(kind, name, namespace=namespace)
        if self.rng.random() < 0.5:
            return made
        self.objects.tame(kind, made)
        if kind == "Pod":
            lws = made["metadata"]["labels"][keys.LWS_NAME]
            owner = self.server.find("leaderworkersets", lws, namespace)
            if owner is not None:
                made["metadata"]["annotations"][keys.LWS_UID] = owner["metadata"]["uid"]
        return made

    def delete_all(self):
        for resource, found in self.server.objects.items():
            for key in list(found):
                meta = found[key]["metadata"]
                meta["finalizers"] = []
                self.server.delete(resource, key, options={"gracePeriodSeconds": 0})

    # -- bodies ----------------------------------------------------------------------------------

    async def review(self):
        """One AdmissionReview: its path, the body, the answer's status and size."""
        path, rng = self.rng.choice(_REVIEWS), self.rng
        namespace = rng.choice(NAMESPACES)
        kind = "Pod" if path == "/mutate-pods" else "LeaderWorkerSet"
        make = partial(self._make, kind, rng.choice(_NAMES.get(kind, SETS)), namespace)
        request = {
            "uid": "u",
            "kind": {"group": "", "version": "v1", "kind": kind},
            "namespace": namespace,
            "operation": rng.choice(("CREATE", "CREATE", "UPDATE")),
            "object": make(),
            "oldObject": None,
            "dryRun": rng.random() < 0.2,
        }
        if request["operation"] == "UPDATE":
            old = (
                make() if rng.random() < 0.5 else self.objects.spoilt(json_copy(request["object"]))
            )
            request["oldObject"] = old
        body = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}
        if rng.random() < 0.3:
            self.objects.spoilt(rng.choice((body, request["object"], request["object"])))
        data = json.dumps(body).encode()
        return path, data, *await self._post(path, data)

    async def _post(self, path, data):
        payload = StreamReader(_NO_PROTOCOL, 2**26, loop=asyncio.get_running_loop())
        payload.feed_data(data)
        payload.feed_eof()
        request = make_mocked_request("POST", path, payload=payload, app=self._webhook)
        try:
            response = await self._webhook._handle(request)
        except web.HTTPException as e:
            return e.status, 0
        return response.status, len(response.body)

    async def call(self):
        """One call of kube-scheduler: its path, the body and the answer."""
        path, rng = self.rng.choice(_CALLS), self.rng
        namespace, name = rng.choice(NAMESPACES), rng.choice(_NAMES["Pod"])
        there = self.server.find("pods", name, namespace)
        pod = self._make("Pod", name, namespace)
        pod["metadata"] |= {"uid": rng.choice(self._uids or ("u",)), "resourceVersion": "7"}
        if there is not None and rng.random() < 0.5:
            pod = there
        nodes = [*rng.sample(NODES, rng.randrange(len(NODES))), "unknown"]
        if path == "/members/bind":
            uid = pod["metadata"]["uid"]
            body = {"PodName": name, "PodNamespace": namespace, "PodUID": uid, "Node": nodes[0]}
        elif path.endswith("/preempt"):
            victims = {n: {"Pods": [{"UID": rng.choice(self._uids or ("u",))}]} for n in nodes}
            body = {"Pod": pod, "NodeNameToMetaVictims": rng.choice((victims, None))}
        else:
            body = {"Pod": pod, "NodeNames": rng.choice((nodes, nodes * 200, None))}
        if rng.random() < 0.3:
            body = self.objects.spoilt(json_copy(body))
        data = json.dumps(body).encode()
        return path, data, await self._extender[path](data)


def held_by(**roots):
    """How many entries the containers inside of our objects have, by where they are: what grows
    with what was once there is a leak. Caches of a fixed size do not count.
    """
    seen, found, left = set(), Counter(), [(one, name) for name, one in roots.items()]
    while left:
        one, where = left.pop()
        if id(one) in seen or isinstance(one, LruCache | ChangeLog | Enum):
            continue
        seen.add(id(one))
        if isinstance(one, dict):
            found[where] += len(one)
            left += [(inner, where) for inner in one.values()]
        elif isinstance(one, list | tuple | set | frozenset | deque):
            found[where] += len(one)
            left += [(inner, where) for inner in one]
        elif type(one).__module__.startswith("lws_placement."):
            slots = [s for c in type(one).__mro__ for s in getattr(c, "__slots__", ())]
            fields = {s: getattr(one, s) for s in slots if hasattr(one, s)}
            fields |= getattr(one, "__dict__", {})
            left += [(inner, f"{where}.{name}") for name, inner in fields.items()]
    return found


class _NoProtocol:
    """What aiohttp's reader asks to pause and resume."""

    _reading_paused = False

    def pause_reading(self):
        pass

    def resume_reading(self, **_):
        pass


_NO_PROTOCOL = _NoProtocol()


@asynccontextmanager
async def fuzzed(seed):
    """A `Fuzzed` that is running. Raises at the end what was logged with a traceback."""
    faults, one = Faults(), Fuzzed(seed)
    logger = logging.getLogger("lws_placement")
    logger.addHandler(faults)
    try:
        await one.start()
        yield one
        one.check()
        faults.check()
    finally:
        await one.stop()
        logger.removeHandler(faults)
