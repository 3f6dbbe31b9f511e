"""A stand-in for Cluster Autoscaler, which no package index has: it acts on unschedulable pods as
its documentation says (FAQ, "How does scale-up work?").

A node group has a template node and a maximum. For pods that kube-scheduler calls unschedulable it
takes the first group whose template would serve them, and makes nodes one by one. Nodes come up
tainted and not ready, as real ones do. Pods that it makes nothing for are told so in an Event. It
can take away nodes that are empty for a while and not kept by annotation.
"""

import math
import threading
import time
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
IN_VAIN = "pod didn't trigger scale-up: 1 max node group size reached"
DISABLED = "cluster-autoscaler.kubernetes.io/scale-down-disabled"
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
    """Those that were not taken away."""
    ever: list[str] = field(default_factory=list)

    def node(self, name):
        return a_simulated_node(name, labels=self.labels, capacity=self.capacity, taints=[STARTUP])

    def lacks(self, pods, used):
        return max(len(pods) - sum(name not in used for name in self.made), 0)

    def add(self):
        """The name of one more."""
        name = f"{self.name}-{len(self.ever)}"
        self.ever.append(name)
        self.made.append(name)
        return name

    def drop(self, name):
        self.made.remove(name)


class Autoscaler:
    """Acts on pods, but for those that consume a ProvisioningRequest. Runs beside a test, in a
    thread, until `stop()`. `empty_s`: how long a node is empty before it is taken away.
    """

    def __init__(self, cluster, groups, *, empty_s=math.inf):
        self._empty_s = empty_s
        self._empty_since = {}
        self._told = set()
        self._cluster = cluster
        self._api = cluster.api
        self._groups = groups
        self._stop = threading.Event()
        self._failure = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @property
    def made(self):
        """Names of all nodes that were ever made."""
        return [name for group in self._groups for name in group.ever]

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
                if self._empty_s != math.inf:
                    self._scale_down()
        except Exception as e:
            self._failure = e

    def _scale_up(self):
        """As many nodes as pods are unschedulable, less those that are there for them and empty
        yet: in the slice where others of them are, else in one that nobody is in.
        """
        raws = self._api.items(_PODS)
        pods = [decode_pod(raw) for raw in raws if not _consumes(raw)]
        used = self._used(raws)
        slices = {name: group.name for group in self._groups for name in group.made}
        homes = {_whose(pod): slices[pod.node] for pod in pods if pod.node in slices}
        taken = set(homes.values())
        waiting = (pod for pod in pods if pod.node is None and pod.unschedulable)
        for who, alike in _together(waiting).items():
            free = [g for g in self._groups if g.name not in taken]
            free.sort(key=lambda g: not g.made)
            own = [g for g in self._groups if g.name == homes.get(who)]
            group = next((g for g in own or free if self._serves(g, alike, used)), None)
            if group is None:
                self._tell_in_vain(alike)
                continue
            taken.add(group.name)
            for _ in range(group.lacks(alike, used)):
                self._make(group)

    def _make(self, group):
        """One more node, if the group can have so many."""
        name = group.add()
        if group.delivers is None or len(group.ever) <= group.delivers:
            self._api.create(_NODES, group.node(name))

    def _tell_in_vain(self, pods):
        """Once for each pod, in the core API and in the words of Cluster Autoscaler."""
        for pod in pods:
            if pod.uid in self._told:
                continue
            self._told.add(pod.uid)
            regarding = {"kind": "Pod", "namespace": pod.namespace, "name": pod.name}
            event = {
                "metadata": {"generateName": f"{pod.name}-"},
                "involvedObject": {"apiVersion": "v1", "uid": pod.uid, **regarding},
                "reason": "NotTriggerScaleUp",
                "message": IN_VAIN,
                "type": "Normal",
                "source": {"component": "cluster-autoscaler"},
            }
            self._api.create(path_of("events", pod.namespace), event)

    def _scale_down(self):
        """Takes away what is empty and not kept."""
        used, now = self._used(self._api.items(_PODS)), time.monotonic()
        nodes = {raw["metadata"]["name"]: raw for raw in self._api.items(_NODES)}
        for group in self._groups:
            for name in [n for n in group.made if n in nodes]:
                if name in used or DISABLED in nodes[name]["metadata"].get("annotations", {}):
                    self._empty_since.pop(name, None)
                elif now - self._empty_since.setdefault(name, now) > self._empty_s:
                    self._api.delete(f"{_NODES}/{name}")
                    group.drop(name)

    @staticmethod
    def _used(raws):
        return {pod.node for pod in map(decode_pod, raws) if not pod.finished}

    def _serves(self, group, pods, used):
        node = replace(decode_node(group.node(group.name)), taints=(), ready=True)  # once it is up
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


def _consumes(raw):
    return keys.CONSUMES_REQUEST in raw["metadata"].get("annotations", {})


@contextmanager
def growing(scene, slices, *, nodes=4, empty_s=math.inf, by=Autoscaler, **more):
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
    autoscaler = by(scene.cluster, groups, empty_s=empty_s)
    try:
        yield autoscaler
    finally:
        autoscaler.stop()
        scene.nodes += [name for group in groups for name in group.made]


def placeholders(scene):
    return scene.cluster.api.items(_PLACEHOLDERS, labelSelector=keys.SCALE_UP)


def _together(pods):
    """Pods that want to be in one domain."""
    found = {}
    for pod in pods:
        found.setdefault(_whose(pod), []).append(pod)
    return found


def _whose(pod):
    """Equal for pods that require each other by affinity."""
    return (pod.demand.rules.affinity if pod.demand.rules is not None else ()) or pod.uid
