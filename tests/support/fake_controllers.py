"""LeaderWorkerSet's and StatefulSet's controllers on the in-memory API server, one round at a time.

With the project's own rules for what a LeaderWorkerSet makes and when its groups restart.
"""

from dataclasses import replace

from lws_placement.controller.informer_cache import pod_state
from lws_placement.engine.base import keys
from lws_placement.engine.base.json_copy import json_copy
from lws_placement.engine.lws.children import leader_set, owner_reference, worker_set
from lws_placement.engine.lws.restart import calls_for_restart, why_no_restart
from lws_placement.engine.lws.revision import revision_data, revision_key, spec_at


class Controllers:
    """`admit(pod, namespace)`: what the webhook makes of a new pod. `without_pods`: names of
    LeaderWorkerSets or StatefulSets whose pods cannot be created now, as a quota forbids them, say.
    """

    def __init__(self, server):
        self.server = server
        self._changes_seen = 0
        self.without_pods = set()

    async def round(self, admit):
        for lws in self.server.all("leaderworkersets"):
            if not lws["metadata"].get("deletionTimestamp"):
                self._keep_leader_set(lws)
                self._restart_groups(lws)
                self._keep_worker_sets(lws)
        self._changes_seen = len(self.server.streams["pods"].changes)
        for stateful_set in self.server.all("statefulsets"):
            names = {label(stateful_set, keys.LWS_NAME), stateful_set["metadata"]["name"]}
            if names & self.without_pods:
                continue
            if not stateful_set["metadata"].get("deletionTimestamp"):
                await self._keep_pods(stateful_set, admit)

    def _keep_leader_set(self, lws):
        name, revision = lws["metadata"]["name"], self._keep_revision(lws)
        wanted = leader_set(lws, revision=revision, replicas=lws["spec"]["replicas"], partition=0)
        if self.server.find("statefulsets", name) is None:
            self.server.create("statefulsets", wanted, namespace="ns")
        else:
            self.server.put("statefulsets", wanted)

    def _keep_revision(self, lws):
        data = revision_data(lws)
        revision = revision_key(data)
        name = lws["metadata"]["name"]
        if self.server.find("controllerrevisions", f"{name}-{revision}") is None:
            labels = {keys.LWS_NAME: name, keys.LWS_REVISION: revision}
            meta = {"name": f"{name}-{revision}", "labels": labels}
            meta["ownerReferences"] = [owner_reference("v1", "LeaderWorkerSet", lws["metadata"])]
            made = {"metadata": meta, "data": data}
            self.server.create("controllerrevisions", made, namespace="ns")
        return revision

    def _restart_groups(self, lws):
        group_of = [
            p for p in self.server.all("pods") if label(p, keys.LWS_NAME) == lws["metadata"]["name"]
        ]
        deleted = [
            replace(pod_state(change.obj), terminating=True)
            for change in self.server.streams["pods"].changes[self._changes_seen :]
            if change.kind == "DELETED"
        ]
        for pod in [*deleted, *map(pod_state, group_of)]:
            if pod.lws != lws["metadata"]["name"] or not calls_for_restart(pod):
                continue
            leader_name = pod.name if pod.is_leader else pod.leader_name
            leader = self.server.find("pods", leader_name)
            owner = next(
                (
                    s["metadata"]["ownerReferences"][0]["uid"]
                    for s in self.server.all("statefulsets")
                    if s["metadata"]["uid"] == pod.owner_uid
                ),
                None,
            )
            why_not = why_no_restart(
                lws,
                pod,
                leader=pod_state(leader) if leader else None,
                workers_owner=owner,
                group=[pod_state(p) for p in group_of],
            )
            if leader is not None and why_not is None:
                if pod.is_leader and leader["metadata"]["uid"] != pod.uid:
                    continue
                options = {"propagationPolicy": "Foreground"}
                self.server.delete("pods", ("ns", leader_name), options=options)

    def _keep_worker_sets(self, lws):
        for pod in self.server.all("pods"):
            meta = pod["metadata"]
            if label(pod, keys.LWS_NAME) != lws["metadata"]["name"]:
                continue
            if label(pod, keys.LWS_WORKER_INDEX) != "0" or meta.get("deletionTimestamp"):
                continue
            node = self.server.find("nodes", node_of(pod), "") if node_of(pod) else None
            if node is None or self.server.find("statefulsets", meta["name"]) is not None:
                continue
            revision = label(pod, keys.LWS_REVISION)
            stored = self.server.find(
                "controllerrevisions", f"{label(pod, keys.LWS_NAME)}-{revision}"
            )
            made = worker_set(
                spec_at(lws, stored["data"]),
                leader=pod,
                revision=revision,
                node_selector=self._selector(lws, node),
            )
            self.server.create("statefulsets", made, namespace="ns")

    def _selector(self, lws, node):
        """Workers of a group on an exclusive domain follow their leader there."""
        key = lws["metadata"]["annotations"].get(keys.LWS_EXCLUSIVE_TOPOLOGY)
        return {key: node["metadata"]["labels"][key]} if key else {}

    async def _keep_pods(self, stateful_set, admit):
        meta, spec = stateful_set["metadata"], stateful_set["spec"]
        start = (spec.get("ordinals") or {}).get("start", 0)
        wanted = [f"{meta['name']}-{i}" for i in range(start, start + spec["replicas"])]
        revision = spec["template"]["metadata"]["labels"][keys.LWS_REVISION]
        for pod in self.server.all("pods"):
            if not owned_by(pod, meta["uid"]) or pod["metadata"].get("deletionTimestamp"):
                continue
            name = pod["metadata"]["name"]
            finished = pod["status"].get("phase") in ("Failed", "Succeeded")
            if name not in wanted or finished or label(pod, keys.LWS_REVISION) != revision:
                self.server.delete("pods", ("ns", name))
        for name in wanted:
            if self.server.find("pods", name) is None:
                await self._make_pod(stateful_set, name, admit)

    async def _make_pod(self, stateful_set, name, admit):
        pod = json_copy(stateful_set["spec"]["template"])
        owner = owner_reference("apps/v1", "StatefulSet", stateful_set["metadata"])
        pod["metadata"] |= {"name": name, "namespace": "ns", "ownerReferences": [owner]}
        pod["spec"]["subdomain"] = "llm"
        pod["status"] = {"phase": "Pending"}
        pod = await admit(pod, "ns")
        self.server.create("pods", pod, namespace="ns")


def node_of(pod):
    return pod["spec"].get("nodeName")


def label(obj, key):
    return (obj["metadata"].get("labels") or {}).get(key)


def owned_by(obj, uid):
    return any(r["uid"] == uid for r in obj["metadata"].get("ownerReferences") or ())
