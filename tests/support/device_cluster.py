"""Nodes with devices, and groups whose members claim them."""

from support.devices import a_class, a_slice
from support.ruled_groups import verdicts

from lws_placement.cluster.cache.devices.device_index import DeviceIndex
from lws_placement.cluster.cache.storage import StorageIndex
from lws_placement.engine.model.groups import Group, GroupId, Member
from lws_placement.engine.model.placed_pods import Gone, NoPlacedPods
from lws_placement.engine.model.pods import Demand, Pod
from lws_placement.engine.model.snapshot import NodeView
from lws_placement.engine.objects.devices.claims import ClaimRef
from lws_placement.engine.objects.nodes import Node
from lws_placement.engine.objects.placement_request import TopologyRequest
from lws_placement.engine.objects.pod_volumes import PodIdentity

FROM_TEMPLATE = (ClaimRef("dev", template="t"),)
NAMED = (ClaimRef("dev", claim="c"),)
RESOURCE = "example.com/gpu"


class Cluster:
    """Nodes n0, n1, ... in zones a, b, a, ..., with room for several members each."""

    placed_pods, gone = NoPlacedPods(), Gone()
    storage = volume_users = StorageIndex(lambda: ())

    def __init__(self, *objects, nodes=3, promised=()):
        self.nodes = {}
        for number in range(nodes):
            name = f"n{number}"
            node = Node(name, {"zone": "ab"[number % 2]}, {})
            self.nodes[name] = NodeView(node, {"cpu": 8, RESOURCE: 99})
        self.touched = []
        self.devices = self.index = DeviceIndex(self, lambda: promised)
        self.put(*objects)

    def put(self, *raws):
        for raw in raws:
            (put,) = (k.put for k in self.index.kinds if k.name == raw["kind"])
            put(raw)
        return self

    def drop(self, raw):
        (drop,) = (k.drop for k in self.index.kinds if k.name == raw["kind"])
        drop(raw)

    def runs(self, name, node, *claims, **names):
        demand = Demand((("cpu", 1),), device_claims=claims)
        made = tuple(names.items())
        pod = Pod("ns", name, f"uid-{name}", "1", 0.0, demand, node=node, claim_names=made)
        self.index.expect(demand)
        self.index.put_pod(pod)

    def node(self, name):
        view = self.nodes.get(name)
        return view and view.node

    def touch(self, name):
        self.touched.append(name)

    def last_change_of(self, name):
        return self.touched.count(name)

    def serve_by_devices(self, resources):
        self.by_devices = resources

    @property
    def actual(self):
        return self

    def node_view(self, name):
        return self.nodes.get(name)


def a_group(size, claims=FROM_TEMPLATE, *, resources=(), uid="", names=None):
    demand = Demand((("cpu", 1), *resources), device_claims=claims)
    return Group(
        GroupId("ns", "llm", "u", "0"),
        TopologyRequest("all"),
        tuple(Member(rank, demand) for rank in range(size)),
        identity_of=lambda rank: PodIdentity(f"llm-0-{rank}", uid, device_claims=names or {}),
    )


def open_to(cluster, group):
    return [name for name, why in verdicts(cluster, group).items() if why is None]


def gpus(*counts):
    """The class `gpu`, and a node with each number of devices."""
    slices = [a_slice(f"s{i}", n, node=f"n{i}") for i, n in enumerate(counts) if n]
    return [a_class("gpu"), *slices]
