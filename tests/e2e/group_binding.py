"""How the real kube-scheduler binds a group's pods: each on its planned node, or where it likes."""

import copy

from e2e.resources import path_of, path_to_make
from e2e.scheduler_answers import scheduled
from support.random_groups import GROUP

from lws_placement.engine.admission.pod_gating import pinned_affinity
from lws_placement.errors import LocalClusterError

_GATE = "differ.example.com/not-yet"


class GroupBinding:
    """Of one random group."""

    def __init__(self, cluster, extender, group):
        self._cluster = cluster
        self._extender = extender
        self._group = group

    def admitted(self):
        """The pods by rank as the API server completes them: created gated, and gone again."""
        gated = []
        for pod in self._group.pods:
            gated.append(copy.deepcopy(pod))
            gated[-1]["spec"]["schedulingGates"] = [{"name": _GATE}]
        made = self._create(gated)
        self.delete()
        return made

    def bind_planned(self, nodes):
        """Pinned by our webhook's rule, in the group's random order; `nodes`: by rank. Returns
        the pods when all are bound, or when kube-scheduler has left one unbound for long.
        """
        pinned = [_pinned(pod, nodes[rank]) for rank, pod in enumerate(self._group.pods)]
        everywhere = [n["metadata"]["name"] for n in self._cluster.api.items(path_of("nodes", ""))]
        with self._extender.letting_pass(everywhere):
            self._create([pinned[rank] for rank in self._group.order])
            try:
                self._wait(_is_bound)
            except LocalClusterError:
                self._cluster.check()
        return self.pods()

    def bind_anywhere(self, nodes):
        """Whether kube-scheduler binds all of the group, created together, on these nodes by its
        own choice: the pods, or None. What it refuses is created again while others get bound.

        The extender keeps them on these nodes, not a node selector, which topology spread would
        take for the pods' own.
        """
        with self._extender.letting_pass(nodes):
            waiting = [self._group.pods[rank] for rank in self._group.order]
            while waiting:
                before = len(waiting)
                self._create(waiting)
                self._wait(lambda pod: _is_bound(pod) or _is_refused(pod))
                bound = {p["metadata"]["name"] for p in self.pods() if _is_bound(p)}
                waiting = [p for p in waiting if p["metadata"]["name"] not in bound]
                if len(waiting) == before:
                    return None
                for pod in waiting:
                    self._delete(pod)
            return self.pods()

    def pods(self):
        """By name."""
        selector = f"{GROUP}={self._group.name}"
        return sorted(
            self._cluster.api.items(self._path(), labelSelector=selector),
            key=lambda pod: pod["metadata"]["name"],
        )

    def delete(self):
        selector = f"{GROUP}={self._group.name}"
        self._cluster.api.delete(self._path(), labelSelector=selector, gracePeriodSeconds="0")
        assert self.pods() == []
        self._cluster.wait_for(self._are_claims_released)

    def _are_claims_released(self):
        """Whether every claim serves pods that exist, or none."""
        uids = {pod["metadata"]["uid"] for pod in self._cluster.api.items(path_of("pods", ""))}
        claims = self._cluster.api.items(path_of("resourceclaims", ""))
        owners = {o["uid"] for c in claims for o in c["metadata"].get("ownerReferences", ())}
        users = [_users(claim) for claim in claims if claim.get("status", {}).get("allocation")]
        return owners <= uids and all(some and some <= uids for some in users)

    def _delete(self, pod):
        self._cluster.api.delete(self._path(pod["metadata"]["name"]), gracePeriodSeconds="0")

    def _create(self, pods):
        return [self._cluster.api.create(path_to_make(pod, ""), pod) for pod in pods]

    def _wait(self, condition):
        self._cluster.wait_for(lambda: all(map(condition, self.pods())), self._cluster.scheduler)

    def _path(self, name=""):
        return path_of("pods", self._group.namespace, name)


def _users(claim):
    return {user["uid"] for user in claim["status"].get("reservedFor", ())}


def _pinned(pod, node):
    pod = copy.deepcopy(pod)
    affinity = pod["spec"].setdefault("affinity", {})
    affinity["nodeAffinity"] = pinned_affinity(affinity.get("nodeAffinity") or {}, node)
    return pod


def _is_bound(pod):
    return "nodeName" in pod["spec"]


def _is_refused(pod):
    return scheduled(pod).get("status") == "False"
