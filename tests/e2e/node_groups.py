"""A stand-in for Cluster Autoscaler, which no package index has: it acts on unschedulable pods as
its documentation says (FAQ, "How does scale-up work?").

A node group has a template node and a maximum. For pods that kube-scheduler calls unschedulable it
takes the first group whose template would serve them, and makes nodes one by one. Nodes come up
tainted and not ready, as real ones do; emptied nodes are not taken away.
"""

import threading
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from e2e.resources import path_of
from e2e.stack import CHIPS
from support.simulated_nodes import a_simulated_node

from lws_placement.cluster.codec.objects import decode_node, decode_pod
from lws_placement.engine.base import keys
from lws_placement.engine.fit.node_filters import why_not_static

_PODS = "/api/v1/pods"
_NODES = "/api/v1/nodes"
_PLACEHOLDERS = path_of("pods", "lws-placement-system")
STARTUP = {"key": "example.com/starting", "effect": "NoSchedule"}


@dataclass
class NodeGroup:
    """`labels`: of its nodes. `delivers`: how many of its `most` nodes can really be had."""

    name: str
    labels: dict[str, str]
    capacity: dict[str, str]
    most: int
    delivers: int | None = None
    made: list[str] = field(default_factory=list)
    grows_for: object = None
    """The pods that its nodes are for: anti-affinity keeps others off them."""

    def node(self, number):
        return a_simulated_node(
            f"{self.name}-{number}", labels=self.labels, capacity=self.capacity, taints=[STARTUP]
        )

    def lacks(self, pods, used):
        return max(len(pods) - sum(name not in used for name in self.made), 0)


class Autoscaler:
    """Runs beside a test, in a thread, until `stop()`."""

    def __init__(self, cluster, groups):
        self._cluster = cluster
        self._api = cluster.api
        self._groups = groups
        self._stop = threading.Event()
        self._failure = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @property
    def made(self):
        """Names of all nodes that were made."""
        return [name for group in self._groups for name in group.made]

    def stop(self):
        self._stop.set()
        self._thread.join()
        if self._failure is not None:
            raise self._failure

    def _run(self):
        try:
            while not self._stop.wait(0.2):
                self._scale_up()
                self._bring_up()
        except Exception as e:
            self._failure = e

    def _scale_up(self):
        """As many nodes as pods are unschedulable, less those that were made and are empty yet."""
        pods = [decode_pod(raw) for raw in self._api.items(_PODS)]
        used = {pod.node for pod in pods}
        waiting = (pod for pod in pods if pod.node is None and pod.unschedulable)
        for who, alike in _together(waiting).items():
            own = [g for g in self._groups if g.grows_for == who]
            new = [g for g in self._groups if g.grows_for is None]
            group = next((g for g in own + new if self._serves(g, alike, used)), None)
            if group is None:
                continue
            group.grows_for = who
            for number in range(len(group.made), len(group.made) + group.lacks(alike, used)):
                group.made.append(f"{group.name}-{number}")
                if group.delivers is None or number < group.delivers:
                    self._api.create(_NODES, group.node(number))

    def _serves(self, group, pods, used):
        node = replace(decode_node(group.node(0)), taints=(), ready=True)  # once it is up
        room = len(group.made) + group.lacks(pods, used) <= group.most
        return room and all(
            all(node.allocatable.get(name, 0) >= amount for name, amount in pod.demand.resources)
            and why_not_static(pod.demand, node) is None
            for pod in pods
        )

    def _bring_up(self):
        """Takes the taint off nodes that are ready. A node may have other taints for a moment."""
        for raw in self._api.items(_NODES):
            name, taints = raw["metadata"]["name"], raw["spec"].get("taints") or ()
            starting = any(taint["key"] == STARTUP["key"] for taint in taints)
            if name in self.made and starting and decode_node(raw).ready:
                self._cluster.kubectl("taint", "node", name, f"{STARTUP['key']}-")


@contextmanager
def growing(scene, slices, *, nodes=4, **more):
    """An autoscaler that may make so many slices of the scene's topology key."""
    groups = [
        NodeGroup(
            f"{scene.namespace}-s{i:02}",
            labels={scene.key: f"s{i:02}", "pool": scene.namespace},
            capacity=CHIPS,
            most=nodes,
            **more,
        )
        for i in range(slices)
    ]
    autoscaler = Autoscaler(scene.cluster, groups)
    try:
        yield autoscaler
    finally:
        autoscaler.stop()
        scene.nodes += autoscaler.made


def placeholders(scene):
    return scene.cluster.api.items(_PLACEHOLDERS, labelSelector=keys.SCALE_UP)


def _together(pods):
    """Pods that want to be in one domain, by their required affinity to each other."""
    found = {}
    for pod in pods:
        terms = pod.demand.rules.affinity if pod.demand.rules is not None else ()
        found.setdefault(terms or pod.uid, []).append(pod)
    return found
