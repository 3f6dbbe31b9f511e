"""Our LeaderWorkerSet controller, as it runs for real, among stepped StatefulSet controller,
kubelets and garbage collector; with placement or without. It may be killed at any of its writes.
"""

import asyncio

from support.fake_cluster import KEY, FakeCluster, node_of
from support.fake_controllers import label
from support.fake_statefulsets import StatefulSets, is_ready
from support.replicas import Brain, Replica

from lws_placement.cluster.adapters.admission_lookup import AdmissionLookup
from lws_placement.cluster.api.events import EventRecorder
from lws_placement.controller.controller import Controller
from lws_placement.engine.base import keys


def a_controller(replica, nodes):
    recorder = EventRecorder(replica.api, instance="test", controller="leaderworkerset")
    return Controller(
        replica.api,
        informers=replica.informers,
        nodes=nodes,
        recorder=recorder,
        clock=asyncio.get_running_loop().time,
    )


class NoNodes:
    """Nothing is known of nodes and plans."""

    def label_of(self, node, key):
        return None

    def topology_key_known(self, key):
        return None

    def is_planned(self, group, node):
        return False


class ControllerAlone(Replica):
    async def start(self):
        controller = a_controller(self, NoNodes())
        await super().start()
        self.tasks += [asyncio.create_task(t) for t in (controller.watch(), controller.lead())]

    async def ready(self):
        await self.start()


class StandingBy(Replica):
    """A second replica: `take_over()` when nobody else leads any more."""

    async def start(self):
        self._controller = a_controller(self, NoNodes())
        await super().start()
        self.tasks.append(asyncio.create_task(self._controller.watch()))

    async def take_over(self):
        self._leading = asyncio.create_task(self._controller.lead())
        self.tasks.append(self._leading)

    async def stand_back(self):
        self._leading.cancel()
        await asyncio.wait([self._leading])


class PlannerAndController(Brain):
    async def start(self):
        lookup = AdmissionLookup(
            self.api, self.cache, informers=self.informers, extender_configured=True
        )
        controller = a_controller(self, lookup)
        await super().start()
        self.tasks += [asyncio.create_task(t) for t in (controller.watch(), controller.lead())]


class RolloutCluster(FakeCluster):
    """Without placement, by default: a pod runs in the round after it was made."""

    def __init__(self, *, new_brain=ControllerAlone):
        super().__init__(new_brain=new_brain)
        self.controllers = StatefulSets(self.server)
        self.least = {}

    def add_lws(self, name="llm", *, replicas=2, size=2, image="one", rolling=None, key=""):
        resources = {"requests": {"cpu": "1", "google.com/tpu": "4"}}
        container = {"name": "model", "image": image, "resources": resources if key else {}}
        notes = {keys.LWS_EXCLUSIVE_TOPOLOGY: key} if key else {}
        template = {"size": size, "workerTemplate": {"spec": {"containers": [container]}}}
        rollout = {"rollingUpdateConfiguration": rolling or {}}
        lws = {
            "metadata": {"name": name, "annotations": notes},
            "spec": {
                "replicas": replicas,
                "leaderWorkerTemplate": template,
                "rolloutStrategy": rollout,
            },
        }
        self.server.create("leaderworkersets", lws, namespace="ns")

    def edit(self, name="llm", *, image=None, **spec):
        def change(lws):
            lws["spec"] |= spec
            if image:
                template = lws["spec"]["leaderWorkerTemplate"]["workerTemplate"]
                template["spec"]["containers"][0]["image"] = image

        self.change("leaderworkersets", name, change)

    def keep_ready(self, number, name="llm"):
        """From now on fewer ready groups than `number` are a broken promise."""
        self.least[name] = number

    # -- what is seen ----------------------------------------------------------------------------

    def images(self, name="llm"):
        """group index -> images of its pods."""
        found = {}
        for pod in self._pods_of(name):
            index = int(label(pod, keys.LWS_GROUP_INDEX))
            found.setdefault(index, set()).add(pod["spec"]["containers"][0]["image"])
        return {index: sorted(names) for index, names in sorted(found.items())}

    def uids(self, name="llm"):
        return {p["metadata"]["name"]: p["metadata"]["uid"] for p in self._pods_of(name)}

    def ready_groups(self, name="llm"):
        size = self.server.find("leaderworkersets", name)["spec"]["leaderWorkerTemplate"]["size"]
        ready = [label(p, keys.LWS_GROUP_INDEX) for p in self._pods_of(name) if is_ready(p)]
        return sum(ready.count(index) == size for index in set(ready))

    def conditions(self, name="llm"):
        status = self.server.find("leaderworkersets", name).get("status", {})
        return {c["type"]: c["status"] for c in status.get("conditions", ())}

    def revisions(self, name="llm"):
        selector = f"{keys.LWS_NAME}={name}"
        return [r["revision"] for r in self.server.all("controllerrevisions", labels=selector)]

    def set_aside(self, name="llm"):
        selector = f"{keys.HISTORY_OF}={name}"
        return [r["revision"] for r in self.server.all("controllerrevisions", labels=selector)]

    def asked(self, name="llm"):
        """(partition, replicas) of the leader StatefulSet."""
        spec = self.server.find("statefulsets", name)["spec"]
        return spec["updateStrategy"]["rollingUpdate"]["partition"], spec["replicas"]

    async def rest(self, *, quiet=2):
        """There is no hold time to wait for, and back-off is shorter than a round."""
        await super().rest(quiet=quiet)

    async def until(self, condition, *, most=200):
        """Rounds until `condition()`; for what happens in the middle of an update."""
        for _ in range(most):
            if condition():
                return
            await self.round()
            if self.brain.api.dead.is_set():
                await self._replace_brain()
        raise AssertionError("it never came to that")

    def _pods_of(self, name):
        return self.server.all("pods", labels=f"{keys.LWS_NAME}={name}")

    # -- inside ----------------------------------------------------------------------------------

    def _look(self):
        for name, least in self.least.items():
            if self.ready_groups(name) < least:
                self.broken.append(f"{self.ready_groups(name)} groups of {name} are ready")

    async def _schedule(self):
        for pod in self.pods():
            if not node_of(pod) and not pod["metadata"].get("deletionTimestamp"):
                spec = {**pod["spec"], "nodeName": "somewhere"}
                self.server.put("pods", {**pod, "spec": spec})


class PlacedRolloutCluster(RolloutCluster):
    """With the planner, extender and webhook; sets are exclusive."""

    def __init__(self):
        super().__init__(new_brain=PlannerAndController)

    def add_lws(self, name="llm", *, key=KEY, **more):
        super().add_lws(name, key=key, **more)

    def domains(self, name="llm"):
        """group index -> the domains of its bound pods."""
        found = {}
        for pod in self._pods_of(name):
            if node_of(pod):
                node = self.server.find("nodes", node_of(pod), "")
                index = int(label(pod, keys.LWS_GROUP_INDEX))
                found.setdefault(index, set()).add(node["metadata"]["labels"][KEY])
        return {index: "".join(sorted(values)) for index, values in sorted(found.items())}

    async def rest(self, *, quiet=7):
        await FakeCluster.rest(self, quiet=quiet)

    def _look(self):
        FakeCluster._look(self)
        super()._look()

    async def _schedule(self):
        await FakeCluster._schedule(self)
