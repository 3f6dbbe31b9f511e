"""What a test sees of its namespace on the real node."""

import itertools
from collections import defaultdict

from node.objects import SLICE, a_pool

LWS = "/apis/leaderworkerset.x-k8s.io/v1"
GROUP = "leaderworkerset.sigs.k8s.io/group-key"
NAME = "leaderworkerset.sigs.k8s.io/name"
_numbers = itertools.count(1)


class World:
    """A namespace of its own on `node`, which goes with `end()`."""

    def __init__(self, node):
        self.node = node
        self.namespace = f"t{next(_numbers)}"
        self._pools = []
        node.api.create("/api/v1/namespaces", {"metadata": {"name": self.namespace}})
        accounts = f"/api/v1/namespaces/{self.namespace}/serviceaccounts"
        node.wait(lambda: node.api.items(accounts), "the namespace has its ServiceAccount")

    def end(self):
        api = self.node.api
        api.delete(f"{LWS}/namespaces/{self.namespace}/leaderworkersets")
        api.delete(f"/api/v1/namespaces/{self.namespace}/pods")
        api.delete(f"/api/v1/namespaces/{self.namespace}")
        self.node.wait(lambda: not self.pods(), "the test's pods are gone")
        for pool in self._pools:
            api.delete("/api/v1/nodes", labelSelector=f"pool={pool}")

    # -- make ------------------------------------------------------------------------------------

    def add_pool(self, name, *, slices, nodes_each=4):
        """Fake nodes `<pool>-<slice>-<n>`. Gives the pool's name, which no other test has: KWOK
        does not keep a node alive that has the name of one that is gone.
        """
        pool = f"{self.namespace}-{name}"
        self._pools.append(pool)
        for each in a_pool(pool, slices=slices, nodes_each=nodes_each):
            self.node.api.create("/api/v1/nodes", each)
        ready = f"pool={pool}"
        self.node.wait(
            lambda: all(map(is_ready, self.node.api.items("/api/v1/nodes", labelSelector=ready))),
            "fake nodes are ready",
        )
        return pool

    def create_lws(self, lws):
        lws["metadata"]["namespace"] = self.namespace
        return self.node.api.create(f"{LWS}/namespaces/{self.namespace}/leaderworkersets", lws)

    def create_pod(self, pod):
        pod["metadata"]["namespace"] = self.namespace
        return self.node.api.create(f"/api/v1/namespaces/{self.namespace}/pods", pod)

    def delete_pod(self, name):
        self.node.api.delete(f"/api/v1/namespaces/{self.namespace}/pods/{name}")

    # -- see -------------------------------------------------------------------------------------

    def pods(self, **params):
        return self.node.api.items(f"/api/v1/namespaces/{self.namespace}/pods", **params)

    def members(self):
        """Pods by group key."""
        found = defaultdict(list)
        for pod in self.pods(labelSelector=NAME):
            found[pod["metadata"]["labels"][GROUP]].append(pod)
        return dict(found)

    def uids(self):
        return {p["metadata"]["uid"] for p in self.pods(labelSelector=NAME)}

    def events(self, **fields):
        selector = ",".join(f"{k}={v}" for k, v in fields.items())
        path = f"/api/v1/namespaces/{self.namespace}/events"
        return self.node.api.items(path, **({"fieldSelector": selector} if selector else {}))

    def slices(self):
        """Node name -> slice."""
        nodes = self.node.api.items("/api/v1/nodes")
        return {n["metadata"]["name"]: n["metadata"]["labels"].get(SLICE, "") for n in nodes}

    def is_whole(self, sets, size=2):
        """Does each of these sets of one group have all its pods, ready in one slice of its own?"""
        found = {name: [] for name in sets}
        for pod in self.pods(labelSelector=f"{NAME} in ({','.join(sets)})"):
            if is_ready(pod):
                found[pod["metadata"]["labels"][NAME]].append(pod["spec"]["nodeName"])
        if any(len(nodes) != size for nodes in found.values()):
            return False
        slices = self.slices()
        taken = [{slices[node] for node in nodes} for nodes in found.values()]
        assert all(len(places) == 1 for places in taken), taken
        assert len(set().union(*taken)) == len(found), taken
        return True

    def whole(self, groups, size):
        """Are so many groups there, each with all its pods ready in one slice of its own?"""
        found = self.members()
        if len(found) != groups or any(len(pods) != size for pods in found.values()):
            return False
        if not all(is_ready(pod) for pods in found.values() for pod in pods):
            return False
        slices = self.slices()
        taken = [{slices[pod["spec"]["nodeName"]] for pod in pods} for pods in found.values()]
        assert all(len(places) == 1 for places in taken), taken
        assert len(set().union(*taken)) == groups, taken
        return True


def is_ready(obj):
    conditions = obj.get("status", {}).get("conditions") or ()
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)
