"""What tests of rolling updates do and look at."""

import json
import threading

from e2e.stack import LWS

LIGHT = {"cpu": "10m"}
UNIQUE = {"networkConfig": {"subdomainPolicy": "UniquePerReplica"}}


class History:
    """What the leader StatefulSet was asked for, and how many leaders were ready, meanwhile."""

    def __init__(self, scene, lws="llm"):
        self.partitions, self.replicas, self.ready = [], [], []
        self._command = scene.watch("sts", lws)
        self._begun = threading.Event()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()
        assert self._begun.wait(60)

    def _read(self):
        for obj in self._command:
            self._begun.set()
            spec = obj["spec"]
            _note(self.partitions, spec["updateStrategy"]["rollingUpdate"]["partition"])
            _note(self.replicas, spec["replicas"])
            _note(self.ready, obj.get("status", {}).get("readyReplicas", 0))

    def close(self):
        self._command.close()
        self._thread.join()
        self._command.free()


def _note(values, value):
    if not values or values[-1] != value:
        values.append(value)


def rollout(unavailable=1, surge=0, partition=0):
    rolling = {"maxUnavailable": unavailable, "maxSurge": surge, "partition": partition}
    return {"rolloutStrategy": {"type": "RollingUpdate", "rollingUpdateConfiguration": rolling}}


def plain(scene, *, replicas=4, size=2, **strategy):
    """A set without placement: its pods find room anywhere."""
    scene.pool(1)
    lws = scene.lws(
        replicas=replicas, size=size, exclusive=False, resources=LIGHT, **rollout(**strategy)
    )
    scene.create(lws)
    wait_done(scene, replicas)


def set_image(scene, image, lws="llm"):
    path = "/spec/leaderWorkerTemplate/workerTemplate/spec/containers/0/image"
    patch = f'[{{"op": "replace", "path": "{path}", "value": "{image}"}}]'
    scene.kubectl("patch", "lws", lws, "--type=json", f"-p={patch}")


def patch(scene, spec, lws="llm"):
    scene.kubectl("patch", "lws", lws, "--type=merge", f"-p={json.dumps({'spec': spec})}")


def images(scene, lws="llm"):
    """group index -> images of its pods."""
    found = {}
    for pod in scene.members(lws):
        group = int(pod["metadata"]["labels"][f"{LWS}/group-index"])
        found.setdefault(group, set()).add(pod["spec"]["containers"][0]["image"])
    return {group: sorted(names) for group, names in sorted(found.items())}


def uids(scene, lws="llm"):
    return {p["metadata"]["name"]: p["metadata"]["uid"] for p in scene.members(lws)}


def revisions(scene, lws="llm"):
    """Those of the set; its StatefulSets have some of the same labels."""
    found = scene.get("controllerrevisions", labels=f"{LWS}/name={lws}")
    return [r for r in found if r["metadata"]["ownerReferences"][0]["kind"] == "LeaderWorkerSet"]


def condition(scene, kind, lws="llm"):
    found = scene.one("lws", lws).get("status", {}).get("conditions", [])
    return next((c["status"] for c in found if c["type"] == kind), "Unknown")


def is_done(scene, replicas, lws="llm"):
    obj = scene.one("lws", lws)
    status, meta = obj.get("status", {}), obj["metadata"]
    conditions = {c["type"]: c["status"] for c in status.get("conditions", [])}
    return (
        status.get("observedGeneration") == meta["generation"]
        and status["updatedReplicas"] == status["readyReplicas"] == status["replicas"] == replicas
        and conditions.get("Available") == "True"
        and scene.one("sts", lws)["spec"]["replicas"] == replicas
        and list(images(scene, lws)) == list(range(replicas))
    )


def wait_done(scene, replicas, lws="llm", timeout_s=90.0):
    scene.wait(lambda: is_done(scene, replicas, lws), "all groups are updated", timeout_s)
