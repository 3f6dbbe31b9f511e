"""Controllers, scheduler, kubelet and our own processes around the in-memory API server.

Each does one round when the test says so, in a fixed order, with the project's own rules for what a
LeaderWorkerSet makes, what admission does to a pod and what the extender lets be bound. Our planner
runs for real on a virtual clock; it may be killed at any of its writes, and a new one takes over.
At every write the promises are looked at.
"""

import asyncio
import json
from functools import partial

from support.fake_controllers import Controllers, label, node_of, owned_by
from support.fake_server import FOREGROUND, FakeServer
from support.hold_law import against_the_law
from support.replicas import OURS, Brain, Gate

from lws_placement.cluster.codec.objects import decode_member
from lws_placement.cluster.stores.hold_store import HoldStore
from lws_placement.engine.base import keys
from lws_placement.engine.base.json_copy import json_copy
from lws_placement.engine.fit.node_filters import why_not_node
from lws_placement.engine.objects.placement_request import Scope
from lws_placement.extender.wire import BindArgs
from lws_placement.planner.executor import Executor

KEY = "example.com/slice"
_TURN_S = 0.25
_LOOKED_AT = ("pods", "nodes", "leaderworkersets")
_OWNED = (
    "leaderworkersets",
    "deployments",
    "replicasets",
    "statefulsets",
    "controllerrevisions",
    "pods",
)
_MOST_ROUNDS = 1_000
_QUIET = 7  # rounds without a write, longer than the hold time and the stories' back-off


class FakeCluster:
    def __init__(self, *, new_brain=Brain):
        self.server = FakeServer()
        self.gate = Gate(self.server)
        self.new_brain = new_brain
        self.brain = None
        self.binds = lambda name: True
        self.kubelets = True
        self.broken = []
        self.kills = 0
        self.brain_away = 0
        self._settled = {}
        self._looked_at = []
        self._leases_seen = 0
        self.controllers = Controllers(self.server)
        self.server.after_write.append(self._look)

    # -- life ------------------------------------------------------------------------------------

    async def start(self, *, prepare=lambda api: None):
        """`prepare`: what shall happen to the first planner's writes."""
        await self.gate.start()
        await self.lead(prepare=prepare)

    async def lead(self, *, prepare=lambda api: None):
        self.brain = self.new_brain(self.server)
        prepare(self.brain.api)
        await self.brain.ready()

    async def stop(self):
        await self.brain.stop()
        await self.gate.stop()

    async def rest(self, *, quiet=_QUIET):
        """Let everybody act in turn until nobody has anything left to do."""
        calm = 0
        while calm < quiet:
            before = self.server.version
            await self.round()
            if self.brain.api.dead.is_set():
                await self._replace_brain()
            calm = calm + 1 if self.server.version == before else 0

    async def until(self, condition):
        """Rounds until it holds."""
        for _ in range(_MOST_ROUNDS):
            if condition():
                return
            await self.round()
        raise AssertionError("in vain")

    async def round(self):
        """Everybody once; in between the planner has time to act on what it sees."""
        await self._turn(partial(self.controllers.round, self.gate.admit))
        await asyncio.sleep(_TURN_S)
        await self._schedule()
        await asyncio.sleep(_TURN_S)
        if self.kubelets:
            await self._turn(self._run_kubelets)
        await asyncio.sleep(_TURN_S)
        await self._turn(self._collect_garbage)
        await asyncio.sleep(_TURN_S)

    async def _turn(self, act):
        """Not again while all is as it was when there was nothing to do."""
        name = getattr(act, "func", act).__name__
        seen = (self.server.version, frozenset(self.controllers.without_pods))
        if self._settled.get(name) == seen:
            return
        await act()
        if self.server.version == seen[0]:
            self._settled[name] = seen

    async def _replace_brain(self):
        """The cluster goes on for some rounds before the next replica takes over."""
        self.kills += 1
        await self.brain.stop()
        for _ in range(self.brain_away):
            await self.round()
        await self.lead()

    # -- what a user does ------------------------------------------------------------------------

    def add_slice(self, name, *, nodes=2, first=0, labels=None, taints=(), cpu="8"):
        for i in range(first, nodes):
            room = {"google.com/tpu": "4", "cpu": cpu, "pods": "110"}
            meta = {"name": f"{name}-{i}", "labels": {KEY: name, **(labels or {})}}
            ready = [{"type": "Ready", "status": "True"}]
            status = {"allocatable": room, "conditions": ready}
            spec = {"taints": list(taints)}
            self.server.create("nodes", {"metadata": meta, "spec": spec, "status": status})

    def add_lws(
        self, name="llm", *, replicas=1, size=2, cpu="1", subgroup_size=0, notes=None, **spec_more
    ):
        """On an exclusive domain, or its subgroups on one each, or as `notes` say. `spec_more`:
        more of the pods' spec, such as `priority`.
        """
        resources = {"requests": {"cpu": cpu, "google.com/tpu": "4"}}
        spec = {"containers": [{"name": "model", "resources": resources}], **spec_more}
        template = {"size": size, "workerTemplate": {"spec": spec}}
        asked = {keys.LWS_EXCLUSIVE_TOPOLOGY: KEY} if notes is None else notes
        if subgroup_size:
            asked = {keys.LWS_SUBGROUP_EXCLUSIVE_TOPOLOGY: KEY} if notes is None else notes
            template["subGroupPolicy"] = {"subGroupSize": subgroup_size}
        lws = {
            "metadata": {"name": name, "annotations": asked},
            "spec": {"replicas": replicas, "leaderWorkerTemplate": template},
        }
        self.server.create("leaderworkersets", lws, namespace="ns")

    def change(self, resource, name, edit, namespace="ns"):
        obj = json_copy(self.server.find(resource, name, namespace))
        edit(obj)
        self.server.put(resource, obj)

    def delete(self, resource, name, **options):
        self.server.delete(resource, ("ns", name), options=options)

    def pods(self):
        return self.server.all("pods")

    def places(self):
        """pod name -> node, of all that are bound."""
        return {p["metadata"]["name"]: p["spec"]["nodeName"] for p in self.pods() if node_of(p)}

    def bound(self, lws):
        """How many pods of a LeaderWorkerSet are bound."""
        pods = self.server.all("pods", labels=f"{keys.LWS_NAME}={lws}")
        return sum(bool(node_of(pod)) for pod in pods)

    def executor(self):
        """One that writes as a leader does, beside the planner."""
        api, store = self.gate.api, self.hold_store()
        return Executor(api, self.gate.cache, store=store, reporter=None)

    def hold_store(self):
        return HoldStore(self.gate.api, namespace=OURS)

    def holds(self):
        """domain -> the hold on it, as its Lease says."""
        return dict(self.all_holds())

    def all_holds(self):
        """(domain, hold), where several groups share a domain more than once for it."""
        leases = self.server.all("leases", labels=f"{keys.HOLD_LABEL}=hold")
        bodies = [json.loads(x["metadata"]["annotations"][keys.HOLD]) for x in leases]
        return [(b["domain"], holder) for b in bodies for holder in b["holders"]]

    def said(self, reason):
        return [e["note"] for e in self.server.all("events") if e["reason"] == reason]

    def not_whole(self):
        """In words: what keeps "every group whole, one hold each" from being true."""
        problems = []
        wanted = set()
        for lws in self.server.all("leaderworkersets"):
            for group in range(lws["spec"]["replicas"]):
                leader = f"{lws['metadata']['name']}-{group}"
                size = lws["spec"]["leaderWorkerTemplate"]["size"]
                wanted |= {leader, *(f"{leader}-{w}" for w in range(1, size))}
        places = self.places()
        if set(places) != wanted:
            problems.append(f"bound are {sorted(places)}, not {sorted(wanted)}")
        kept = {}
        for domain, hold in self.all_holds():
            names = [_pod_name(hold["leader"], int(rank)) for rank in hold["nodes"]]
            kept |= dict(zip(names, hold["nodes"].values(), strict=True))
            if hold["state"] != "active":
                problems.append(f"the hold on {domain} is {hold['state']}")
        if kept != places:
            problems.append(f"held are {kept}, bound are {places}")
        return problems

    # -- promises --------------------------------------------------------------------------------

    def _look(self):
        """P1, P2 at this instant, Terminating pods still count; and the law of holds."""
        changes = self.server.streams["leases"].changes
        self.broken += [w for c in changes[self._leases_seen :] for w in against_the_law(c)]
        self._leases_seen = len(changes)
        looked_at = [len(self.server.streams[kind].changes) for kind in _LOOKED_AT]
        if looked_at == self._looked_at:
            return  # something else was written
        self._looked_at = looked_at
        where, on = {}, {}
        for pod in self.pods():
            node = self.server.find("nodes", node_of(pod), "") if node_of(pod) else None
            if node is None or keys.LWS_GROUP_KEY not in (pod["metadata"].get("labels") or {}):
                continue
            on.setdefault(node["metadata"]["name"], []).append(pod["metadata"]["name"])
            member = decode_member(pod["metadata"])
            if member is None or not member.request.exclusive:
                continue
            if member.request.scope is not Scope.CLUSTER:
                continue
            for key, topology in (
                (keys.LWS_GROUP_KEY, member.request.topology),
                (keys.LWS_SUBGROUP_KEY, member.request.subgroup_topology),
            ):
                if topology:
                    group = (self._lws_uid(pod), pod["metadata"]["labels"][key])
                    where.setdefault(group, set()).add(node["metadata"]["labels"][topology])
        for group, domains in where.items():
            if len(domains) > 1:
                self.broken.append(f"{group} is split over {sorted(domains)}")
        for domain in {d for ds in where.values() for d in ds}:
            groups = sorted(str(g) for g, ds in where.items() if domain in ds)
            if len(groups) > 1:
                self.broken.append(f"{domain} has {groups}")
        self.broken += [f"{n} has {p}" for n, p in on.items() if len(p) > 1]

    def _lws_uid(self, pod):
        stamped = pod["metadata"]["annotations"].get(keys.LWS_UID)
        lws = self.server.find("leaderworkersets", label(pod, keys.LWS_NAME))
        return stamped or (lws["metadata"]["uid"] if lws else "")

    # -- scheduler, kubelet, garbage collector -----------------------------------------------------

    async def _schedule(self):
        """Marked pods are bound by the extender, where their pin says."""
        for pod in self.pods():
            meta, spec = pod["metadata"], pod["spec"]
            if node_of(pod) or spec.get("schedulingGates") or meta.get("deletionTimestamp"):
                continue
            seen = self.gate.cache.pod(meta["uid"])
            view = self.gate.cache.domains.node_view(seen.pinned) if seen and seen.pinned else None
            if view is None or not self.binds(meta["name"]):
                continue
            if why_not_node(seen.demand, view.without({self.gate.cache.group_of(seen)})):
                continue
            args = BindArgs(
                PodName=meta["name"],
                PodNamespace="ns",
                PodUID=meta["uid"],
                Node=seen.pinned,
            )
            await self.gate.members.bind(args)
            await asyncio.sleep(0.01)  # the binding is seen before the next pod is looked at

    async def _run_kubelets(self):
        for pod in self.pods():
            meta = pod["metadata"]
            if meta.get("deletionTimestamp") and node_of(pod):
                self.delete("pods", meta["name"], gracePeriodSeconds=0)
            elif node_of(pod) and pod["status"].get("phase") == "Pending":
                ready = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
                self.server.put("pods", {**pod, "status": ready})

    async def _collect_garbage(self):
        everything = [(kind, o) for kind in _OWNED for o in self.server.all(kind)]
        living = {o["metadata"]["uid"] for _, o in everything}
        for kind, obj in everything:
            meta = obj["metadata"]
            owners = [r["uid"] for r in meta.get("ownerReferences") or ()]
            if owners and not set(owners) & living and not meta.get("deletionTimestamp"):
                self.delete(kind, meta["name"])
            if FOREGROUND not in (meta.get("finalizers") or ()):
                continue
            dependents = [(k, o) for k, o in everything if owned_by(o, meta["uid"])]
            for what, dependent in dependents:
                if not dependent["metadata"].get("deletionTimestamp"):
                    policy = {} if what == "pods" else {"propagationPolicy": "Foreground"}
                    self.delete(what, dependent["metadata"]["name"], **policy)
            if not dependents:
                self.change(kind, meta["name"], _without_finalizers)


def _without_finalizers(obj):
    obj["metadata"]["finalizers"] = []


def _pod_name(leader, rank):
    return f"{leader}-{rank}" if rank else leader


async def a_cluster(*slices, **more):
    """A FakeCluster that runs, with slices of these names."""
    cluster = FakeCluster(**more)
    await cluster.start()
    for name in slices:
        cluster.add_slice(name)
    return cluster
