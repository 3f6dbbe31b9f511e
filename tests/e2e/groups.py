"""What tests of groups without placement do and look at."""

import json

from e2e.rollouts import has_seen
from e2e.stack import LWS

LIGHT = {"cpu": "10m"}
TPUS = {"cpu": "10m", "google.com/tpu": "4"}
MANY_CHIPS = {"google.com/tpu": "64"}
UNIQUE = {"networkConfig": {"subdomainPolicy": "UniquePerReplica"}}
NEVER_READY = "simulate.lws-placement.dev/never-ready"


def light(scene, *, replicas=1, size=2, resources=LIGHT, **more):
    """A set that asks for no placement."""
    return scene.lws(replicas=replicas, size=size, exclusive=False, resources=resources, **more)


def start(scene, lws, groups):
    """On nodes with room for all; until it is available with so many groups."""
    scene.pool(1, capacity=MANY_CHIPS)
    scene.create(lws)
    wait_available(scene, groups)


def wait_available(scene, groups):
    def available():
        obj = scene.one("lws", "llm")
        status = obj.get("status", {})
        return (
            has_seen(obj)
            and status.get("readyReplicas", 0) == status.get("replicas", 0) == groups
            and is_true(obj, "Available")
        )

    scene.wait(available, f"{groups} groups are available")


def condition(obj, kind):
    found = obj.get("status", {}).get("conditions", [])
    return next((c for c in found if c["type"] == kind), {})


def is_true(obj, kind):
    return condition(obj, kind).get("status") == "True"


def patch(scene, spec):
    scene.kubectl("patch", "lws", "llm", "--type=merge", f"-p={json.dumps({'spec': spec})}")


def sets(scene):
    return {s["metadata"]["name"]: s for s in scene.get("statefulsets")}


def services(scene):
    return {s["metadata"]["name"]: s for s in scene.get("services")}


def uids(scene):
    return {p["metadata"]["name"]: p["metadata"]["uid"] for p in scene.members("llm")}


def of_group(found, group):
    prefix = f"llm-{group}"
    return {n: u for n, u in found.items() if n == prefix or n.startswith(f"{prefix}-")}


def all_new(now, before):
    return now.keys() == before.keys() and not set(now.values()) & set(before.values())


def replaced(scene, name, uid):
    return uids(scene).get(name, uid) != uid


def environment(pod, container=0):
    return {e["name"]: e.get("value") for e in pod["spec"]["containers"][container].get("env", ())}


def label(obj, key):
    return obj["metadata"].get("labels", {}).get(f"{LWS}/{key}")


def note(obj, key):
    return obj["metadata"].get("annotations", {}).get(f"{LWS}/{key}")


def messages(scene, reason):
    return {e["message"] for e in scene.events(reason)}


def restart_container(scene, name):
    """What kubelet reports when a container has crashed and runs again."""
    pod = scene.one("pod", name)
    statuses = [{**s, "restartCount": 1} for s in pod["status"]["containerStatuses"]]
    body = json.dumps({"status": {"containerStatuses": statuses}})
    scene.kubectl("patch", "pod", name, "--subresource=status", "--type=merge", f"-p={body}")
