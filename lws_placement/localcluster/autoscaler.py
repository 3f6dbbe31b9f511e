"""A cluster autoscaler for the demo. No package index has a real one that needs no cloud.

It acts on pods that kube-scheduler calls unschedulable, as Cluster Autoscaler does: for the
placeholder pods of one request it makes the nodes of one domain, one after the other, and it takes
nodes away that have become empty.
"""

import time
from collections.abc import Mapping, Sequence

from lws_placement.engine.base.keys import KEEPS_NODE, SCALE_UP
from lws_placement.engine.base.raw import Raw, RawList
from lws_placement.localcluster.cluster import LocalCluster

_NODES = "/api/v1/nodes"
_PODS = "/api/v1/pods"


class Autoscaler:
    """`domains`: those that it can make, by name, with their nodes. `empty_s`: for how long a node
    is empty before it goes.
    """

    def __init__(
        self, cluster: LocalCluster, domains: Mapping[str, Sequence[Raw]], *, empty_s: float
    ) -> None:
        self._api = cluster.api
        self._domains = domains
        self._empty_s = empty_s
        self._served: set[str] = set()
        """Requests."""
        self._to_make: RawList = []
        self._used_at: dict[str, float] = {}
        """When a node was seen with a pod last; none that never had one."""
        self.made = 0
        """Nodes that were made so far."""

    def look(self) -> None:
        """One pass: at most one node is made, and all that are empty for long enough go."""
        pods, nodes = self._api.items(_PODS), self._api.items(_NODES)
        self._scale_up({_request_of(pod) for pod in pods if _is_unschedulable(pod)} - {""}, nodes)
        self._scale_down({pod["spec"].get("nodeName") for pod in pods}, nodes)

    def _scale_up(self, requests: set[str], nodes: RawList) -> None:
        there = {node["metadata"]["name"] for node in [*nodes, *self._to_make]}
        free = [
            name
            for name, made in self._domains.items()
            if not any(node["metadata"]["name"] in there for node in made)
        ]
        new = sorted(requests - self._served)
        for request, name in zip(new, free, strict=False):
            self._served.add(request)
            self._to_make += self._domains[name]
        if self._to_make:
            self._api.create(_NODES, self._to_make.pop(0))
            self.made += 1

    def _scale_down(self, used: set[str | None], nodes: RawList) -> None:
        now = time.monotonic()
        for meta in (node["metadata"] for node in nodes):
            name = meta["name"]
            if name in used or KEEPS_NODE.keys() & (meta.get("annotations") or {}).keys():
                self._used_at[name] = now
            elif now - self._used_at.get(name, now) > self._empty_s:
                self._api.delete(f"{_NODES}/{name}")
                del self._used_at[name]


def _request_of(pod: Raw) -> str:
    return str((pod["metadata"].get("labels") or {}).get(SCALE_UP, ""))


def _is_unschedulable(pod: Raw) -> bool:
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return any(
        c["type"] == "PodScheduled" and c["status"] == "False" and c["reason"] == "Unschedulable"
        for c in conditions
    )
