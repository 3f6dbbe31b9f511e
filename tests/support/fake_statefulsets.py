"""The StatefulSet controller on the in-memory API server, one round at a time: Parallel, rolling
updates with partition and maxUnavailable, pods below the partition rebuilt at the old template.
Without a maxUnavailable as before Kubernetes 1.37: each pod has to be ready for the one below.
"""

import hashlib
import json

from support.fake_controllers import owned_by

from lws_placement.engine.base.json_copy import json_copy
from lws_placement.engine.lws.children import owner_reference

REVISION = "controller-revision-hash"


class StatefulSets:
    def __init__(self, server):
        self.server = server
        self.without_pods = set()  # there is no quota here
        self._templates = {}

    async def round(self, admit):
        for stateful_set in self.server.all("statefulsets"):
            if not stateful_set["metadata"].get("deletionTimestamp"):
                await self._keep(stateful_set, admit)
                self._report(stateful_set)

    async def _keep(self, stateful_set, admit):
        spec = stateful_set["spec"]
        update = self._update_revision(stateful_set)
        current = stateful_set.get("status", {}).get("currentRevision", update)
        partition = _rolling(spec).get("partition", 0)
        pods = self._pods_of(stateful_set)
        wanted = _ordinals(spec)
        for ordinal in sorted(set(pods) - set(wanted), reverse=True):
            self._delete(pods[ordinal])
        for ordinal in wanted:
            if ordinal not in pods:
                at = update if ordinal >= partition else current
                await self._make_pod(stateful_set, ordinal, at, admit)
        self._roll(spec, {o: p for o, p in pods.items() if o in wanted}, update, partition)

    def _roll(self, spec, pods, update, partition):
        if "maxUnavailable" not in _rolling(spec):
            self._roll_in_order(pods, update, partition)
            return
        away = sum(not is_ready(p) for p in pods.values())
        most = _rolling(spec)["maxUnavailable"]
        for ordinal in sorted(pods, reverse=True):
            pod = pods[ordinal]
            if ordinal < partition or pod["metadata"]["labels"][REVISION] == update:
                continue
            if is_ready(pod):
                if away >= most:
                    return
                away += 1
            self._delete(pod)

    def _roll_in_order(self, pods, update, partition):
        for ordinal in sorted(pods, reverse=True):
            pod = pods[ordinal]
            if ordinal < partition:
                return
            if pod["metadata"]["labels"][REVISION] != update:
                self._delete(pod)
                return
            if not is_ready(pod):
                return

    def _report(self, stateful_set):
        meta, spec = stateful_set["metadata"], stateful_set["spec"]
        update = self._update_revision(stateful_set)
        pods = self._pods_of(stateful_set)
        ready = sum(is_ready(p) for p in pods.values())
        done = ready == len(pods) == spec["replicas"] and all(
            p["metadata"]["labels"][REVISION] == update for p in pods.values()
        )
        old = stateful_set.get("status", {})
        status = {
            "observedGeneration": meta["generation"],
            "replicas": len(pods),
            "readyReplicas": ready,
            "availableReplicas": ready,
            "updateRevision": update,
            "currentRevision": update if done else old.get("currentRevision", update),
        }
        if status != old:
            self.server.put("statefulsets", {**stateful_set, "status": status})

    def _update_revision(self, stateful_set):
        template = stateful_set["spec"]["template"]
        name = hashlib.sha1(json.dumps(template, sort_keys=True).encode()).hexdigest()[:10]
        self._templates[name] = template
        return name

    def _pods_of(self, stateful_set):
        uid = stateful_set["metadata"]["uid"]
        return {
            int(p["metadata"]["name"].rsplit("-", 1)[1]): p
            for p in self.server.all("pods")
            if owned_by(p, uid)
        }

    def _delete(self, pod):
        if not pod["metadata"].get("deletionTimestamp"):
            self.server.delete("pods", ("ns", pod["metadata"]["name"]))

    async def _make_pod(self, stateful_set, ordinal, revision, admit):
        name = f"{stateful_set['metadata']['name']}-{ordinal}"
        if self.server.find("pods", name) is not None:
            return  # of an earlier StatefulSet of this name
        pod = json_copy(self._templates[revision])
        owner = owner_reference("apps/v1", "StatefulSet", stateful_set["metadata"])
        pod["metadata"] |= {"name": name, "namespace": "ns", "ownerReferences": [owner]}
        pod["metadata"]["labels"][REVISION] = revision
        pod["spec"]["subdomain"] = stateful_set["spec"]["serviceName"]
        pod["status"] = {"phase": "Pending"}
        self.server.create("pods", await admit(pod, "ns"), namespace="ns")


def is_ready(pod):
    conditions = pod["status"].get("conditions") or ()
    ready = any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)
    return ready and not pod["metadata"].get("deletionTimestamp")


def _ordinals(spec):
    start = (spec.get("ordinals") or {}).get("start", 0)
    return range(start, start + spec["replicas"])


def _rolling(spec):
    return (spec.get("updateStrategy") or {}).get("rollingUpdate") or {}
