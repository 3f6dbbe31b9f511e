"""LeaderWorkerSets whose groups have keys in place of ordinals (`groupIdentity: Hash`, KEP-898) on
the in-memory API server: what upstream's controller and webhook, Deployment and ReplicaSet do.
"""

import asyncio
import hashlib
from datetime import UTC, datetime

from support.fake_cluster import FakeCluster, node_of
from support.fake_controllers import Controllers, label, owned_by
from support.replicas import EPOCH_S

from lws_placement.engine.base import keys
from lws_placement.engine.base.json_copy import json_copy
from lws_placement.engine.lws.children import leader_set, owner_reference


class KeyedSets(Controllers):
    """The leaders come from a Deployment; everything else is as with ordinals."""

    def __init__(self, server):
        super().__init__(server)
        self._made = 0

    async def round(self, admit):
        await super().round(admit)
        for replica_set in self.server.all("replicasets"):
            if label(replica_set, keys.LWS_NAME) not in self.without_pods:
                await self._keep_leaders(replica_set, admit)

    def _keep_leader_set(self, lws):
        if not lws["spec"].get("groupIdentity"):
            super()._keep_leader_set(lws)
            return
        name, revision = lws["metadata"]["name"], self._keep_revision(lws)
        as_ordinal = leader_set(lws, revision=revision, replicas=1, partition=0)
        template, labels = as_ordinal["spec"]["template"], as_ordinal["metadata"]["labels"]
        labels = {"labels": labels}
        if self.server.find("deployments", name) is None:
            owner = owner_reference("v1", "LeaderWorkerSet", lws["metadata"])
            meta = {"name": name, **labels, "ownerReferences": [owner]}
            self.server.create("deployments", {"metadata": meta}, namespace="ns")
        deployment = self.server.find("deployments", name)
        wanted = {"replicas": lws["spec"]["replicas"], "template": template}
        for old in self.server.all("replicasets", labels=f"{keys.LWS_NAME}={name}"):
            if old["metadata"]["name"] != f"{name}-{revision}":
                self.server.put("replicasets", {**old, "spec": {**old["spec"], "replicas": 0}})
        owner = owner_reference("apps/v1", "Deployment", deployment["metadata"])
        meta = {"name": f"{name}-{revision}", "namespace": "ns", **labels}
        meta["ownerReferences"] = [owner]
        if self.server.find("replicasets", meta["name"]) is None:
            self.server.create("replicasets", {"metadata": meta, "spec": wanted})
        else:
            self.server.put("replicasets", {"metadata": meta, "spec": wanted})

    async def _keep_leaders(self, replica_set, admit):
        """One that is going or has failed does not count."""
        meta, spec = replica_set["metadata"], replica_set["spec"]
        active = [
            pod
            for pod in self.server.all("pods")
            if owned_by(pod, meta["uid"])
            and not pod["metadata"].get("deletionTimestamp")
            and pod["status"].get("phase") != "Failed"
        ]
        for pod in sorted(active, key=node_of_last)[spec["replicas"] :]:
            self.server.delete("pods", ("ns", pod["metadata"]["name"]))
        for _ in range(spec["replicas"] - len(active)):
            await self._make_leader(replica_set, admit)

    async def _make_leader(self, replica_set, admit):
        self._made += 1
        pod = json_copy(replica_set["spec"]["template"])
        name = replica_set["metadata"]["name"]
        owner = owner_reference("apps/v1", "ReplicaSet", replica_set["metadata"])
        pod["metadata"] |= {"generateName": f"{name}-", "ownerReferences": [owner]}
        pod["status"] = {"phase": "Pending"}
        pod = await admit(stamped(pod, number=self._made), "ns")
        pod["metadata"] |= {"name": f"{name}-{self._made:05}", "namespace": "ns"}
        self.server.create("pods", pod, namespace="ns")


def node_of_last(pod):
    """Scale-down takes those first that run nowhere."""
    return (node_of(pod) is None, pod["metadata"]["name"])


def stamped(pod, *, number):
    """What upstream's webhook, called before ours, makes of a leader."""
    key = hashlib.sha1(str(number).encode(), usedforsecurity=False).hexdigest()
    labels = pod["metadata"]["labels"]
    labels |= {keys.LWS_GROUP_INDEX: key, keys.LWS_GROUP_KEY: key}
    pod["spec"] |= {"hostname": key[:8], "subdomain": labels[keys.LWS_NAME]}
    return pod


class KeyedCluster(FakeCluster):
    def __init__(self, **more):
        super().__init__(**more)
        self.controllers = KeyedSets(self.server)
        self.server.end_of = self._end_of

    def add_lws(self, name="llm", *, keyed=True, **more):
        super().add_lws(name, **more)
        if keyed:
            self.change("leaderworkersets", name, with_keys)

    def leaders(self, name="llm"):
        """Of groups that are alive, by name."""
        selector = f"{keys.LWS_NAME}={name},{keys.LWS_WORKER_INDEX}=0"
        found = self.server.all("pods", labels=selector)
        return [p["metadata"]["name"] for p in found if "deletionTimestamp" not in p["metadata"]]

    def domains(self, name="llm"):
        """Leader -> the domains of its group's bound pods."""
        key_of = {}
        for leader in self.leaders(name):
            key_of[label(self.server.find("pods", leader), keys.LWS_GROUP_KEY)] = leader
        found = {}
        for pod in self.server.all("pods", labels=f"{keys.LWS_NAME}={name}"):
            leader = key_of.get(label(pod, keys.LWS_GROUP_KEY))
            if leader and node_of(pod):
                found.setdefault(leader, set()).add(node_of(pod).rpartition("-")[0])
        return {leader: "".join(sorted(values)) for leader, values in sorted(found.items())}

    def not_whole(self):
        """As for groups with ordinals; leaders have the names that they have."""
        problems, places, kept = [], self.places(), {}
        for lws in self.server.all("leaderworkersets"):
            name, spec = lws["metadata"]["name"], lws["spec"]
            wanted = spec["replicas"] * spec["leaderWorkerTemplate"]["size"]
            bound = [p for p in places if p.startswith(f"{name}-")]
            if len(bound) != wanted:
                problems.append(f"bound are {sorted(bound)} of {name}")
        for domain, hold in self.all_holds():
            if hold["state"] != "active":
                problems.append(f"the hold on {domain} is {hold['state']}")
            for rank, node in hold["nodes"].items():
                kept[f"{hold['leader']}-{rank}" if rank != "0" else hold["leader"]] = node
        if kept != places:
            problems.append(f"held are {kept}, bound are {places}")
        return problems

    def _end_of(self, grace_s):
        now_s = EPOCH_S + asyncio.get_running_loop().time() + grace_s
        return datetime.fromtimestamp(now_s, UTC).isoformat()


def with_keys(lws):
    lws["spec"]["groupIdentity"] = "Hash"


async def a_keyed_cluster(*slices):
    cluster = KeyedCluster()
    await cluster.start()
    for name in slices:
        cluster.add_slice(name)
    return cluster
