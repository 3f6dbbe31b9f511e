"""A world of one domain for the extender, and its two entries over HTTP."""

import asyncio
import io
import json

from aiohttp.test_utils import TestClient, TestServer

from lws_placement.cluster.cache.topology_index import TopologyIndex
from lws_placement.engine.model.groups import GroupId, Occupant
from lws_placement.engine.model.pods import Demand, MemberInfo, Pod
from lws_placement.engine.model.reservation import Hold
from lws_placement.engine.model.snapshot import Changes, DomainSet
from lws_placement.engine.objects.nodes import DomainName, Node
from lws_placement.engine.objects.placement_request import PlacementRequest
from lws_placement.extender.app import build_app, build_calls
from lws_placement.extender.guard import Guard
from lws_placement.extender.members import Members

KEY = "example.com/slice"
GROUP = GroupId("ns", "llm", "uid", "gk")
TPU = Demand(resources=(("google.com/tpu", 4), ("pods", 1)))


def a_member(rank=0, *, node=None, demand=TPU, marked=True, revision="r1", size=2):
    name = f"llm-0-{rank}" if rank else "llm-0"
    info = MemberInfo(
        "gk", "0", "llm", "uid", rank, size, revision, PlacementRequest(topology=KEY), "llm-0"
    )
    return Pod("ns", name, f"uid-{rank}", "1", 0.0, demand, node=node, marked=marked, member=info)


def a_hold(**fields):
    made = {
        "domain": DomainName(KEY, "s0"),
        "group": GROUP,
        "group_index": "0",
        "leader_name": "llm-0",
        "revision": "r1",
        "size": 2,
        "plan": "p",
        "nodes": {0: "n0", 1: "n1"},
        "demands": {0: TPU, 1: TPU},
    }
    return Hold(**(made | fields))


class World:
    """One domain s0 of nodes n0 and n1, and n9 outside of it."""

    def __init__(self, *pods, hold=None, free=4, domains=(), late=()):
        self.pods = {p.uid: p for p in pods}
        self.late = late
        self.hold = hold
        self.free = free
        self.views = domains
        self.unseen = {}
        self.bindings = []
        self.answers = []
        self.synced = True

    def ready(self):
        return self.synced

    def anything_held(self):
        return self.hold is not None

    def pod(self, uid):
        return self.pods.get(uid)

    async def pod_comes(self, uid):
        self.pods |= {p.uid: p for p in self.late}
        if uid not in self.pods:
            await asyncio.Event().wait()

    async def fetch_pod(self, namespace, name):
        return next((p for p in self.pods.values() if p.name == name), None)

    def group_of(self, pod):
        known = self.pods.get(pod.uid)
        return GROUP if known is not None and known.member is not None else None

    def labels_of(self, node):
        return {KEY: "s0"} if node in ("n0", "n1") else {}

    def node(self, name):
        view = self.node_view(name)
        return view.node if view is not None else None

    async def fetch_pods_on(self, node):
        """Live, so also those that `pods` lacks."""
        return [*(p for p in self.pods.values() if p.node == node), *self.unseen.get(node, ())]

    @property
    def node_changes(self):
        changes = Changes()
        for name in ("n0", "n1", "n9", *(n.node.name for d in self.views for n in d.nodes)):
            changes.note(name)
        return changes

    def node_view(self, node):
        for view in (n for domain in self.views for n in domain.nodes):
            if view.node.name == node:
                return view
        bound = [p for p in self.pods.values() if p.node == node]
        room = {"google.com/tpu": self.free + 4 * len(bound), "pods": 110}
        index = TopologyIndex()
        index.put_node(Node(node, self.labels_of(node), room))
        for pod in bound:
            group, rank = (GROUP, pod.member.rank) if pod.member else (None, None)
            occupant = Occupant(pod.uid, pod.demand, group, rank=rank)
            index.put_occupant(node, occupant, owner_uid="")
        if self.hold is not None:
            index.put_hold(self.hold)
        return index.node_view(node)

    def holds_on(self, node):
        return [self.hold] if self.hold is not None and node in ("n0", "n1") else []

    def topology_keys(self):
        held = {KEY} if self.hold is not None else set()
        return sorted({view.name.key for view in self.views} | held)

    def domains(self, key):
        return DomainSet(view for view in self.views if view.name.key == key)

    async def fetch_holds(self, domain):
        return [self.hold] if self.hold is not None and self.hold.domain == domain else []

    async def bind(self, namespace, name, *, uid, node):
        if self.answers:
            raise self.answers.pop(0)
        self.bindings.append((name, uid, node))


async def call(world, path, body):
    app = build_app(build_calls(Members(world), Guard(world, guarded=["google.com/tpu"])))
    async with TestClient(TestServer(app)) as client:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        answer = await client.post(path, data=io.BytesIO(data))
        assert answer.status == 200
        assert "Content-Length" in answer.headers
        return await answer.json()


def a_bind(rank=0, node="n0"):
    name = f"llm-0-{rank}" if rank else "llm-0"
    return {"PodName": name, "PodNamespace": "ns", "PodUID": f"uid-{rank}", "Node": node}


def a_raw_pod(tpu="4", **more):
    limits = {"google.com/tpu": tpu, **more}
    meta = {"name": "f", "namespace": "ns", "uid": "u", "resourceVersion": "1"}
    return {"metadata": meta, "spec": {"containers": [{"resources": {"requests": limits}}]}}
