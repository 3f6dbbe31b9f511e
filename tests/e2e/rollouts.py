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
    leaders = [s for s in scene.get("statefulsets") if s["metadata"]["name"] == lws]
    status = obj.get("status", {})
    conditions = {c["type"]: c["status"] for c in status.get("conditions", [])}
    counts = {status.get(key, 0) for key in ("replicas", "readyReplicas", "updatedReplicas")}
    return (
        has_seen(obj)
        and _ask_for(obj, leaders, replicas)
        and counts == {replicas}
        and conditions.get("Available") == "True"
        and list(images(scene, lws)) == list(range(replicas))
        and _revisions_of(scene.members(lws)) == _revisions_of(leaders)
    )


def has_seen(lws):
    """Does the status tell of this generation? Older LeaderWorkerSets do not say of which."""
    generation = lws["metadata"]["generation"]
    return "status" in lws and lws["status"].get("observedGeneration", generation) == generation


def _revisions_of(objects):
    return {o["metadata"]["labels"][f"{LWS}/template-revision-hash"] for o in objects}


def _ask_for(lws, sets, replicas):
    """Is the leaders' StatefulSet there, of these templates and for so many groups?"""
    wanted = lws["spec"]["leaderWorkerTemplate"]
    wanted = wanted.get("leaderTemplate") or wanted["workerTemplate"]
    asked = [(s["spec"]["replicas"], _image(s["spec"]["template"])) for s in sets]
    return asked == [(replicas, _image(wanted))]


def _image(template):
    return template["spec"]["containers"][0]["image"]


def wait_done(scene, replicas, lws="llm", timeout_s=90.0):
    scene.wait(lambda: is_done(scene, replicas, lws), "all groups are updated", timeout_s)
