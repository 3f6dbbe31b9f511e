"""What goes wrong for groups of the in-memory cluster."""

from functools import partial

from lws_placement.engine.fit.guard_index import ROOM_IS_HELD

OUT_OF_REACH = "0/4 nodes are available: 1 node(s) had volume node affinity conflict"


def refuse(cluster, *places, message=OUT_OF_REACH):
    """kube-scheduler says no to every member that is pinned to a node whose name begins so."""

    def pinned_there(name):
        notes = cluster.server.find("pods", name)["metadata"]["annotations"]
        return notes.get("lws-placement.dev/pinned-node", "").startswith(places)

    def binds(name):
        if not pinned_there(name):
            return True
        cluster.change("pods", name, partial(_unschedulable, message=message))
        return False

    cluster.binds = binds


def _unschedulable(pod, *, message):
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}
    pod["status"]["conditions"] = [condition | {"message": message}]


async def fail_a_node(cluster):
    """The kubelet refuses a worker; its StatefulSet deletes the failed pod."""
    await fail_a_worker(cluster, reason="UnexpectedAdmissionError")


async def fail_a_worker(cluster, **status):
    old = cluster.server.find("pods", "llm-0")["metadata"]["uid"]
    cluster.change("pods", "llm-0-1", lambda pod: pod["status"].update(phase="Failed", **status))
    await cluster.rest()
    assert cluster.server.find("pods", "llm-0")["metadata"]["uid"] != old


def a_refused_pod(*, tpu):
    """A foreign pod that the guard has kept off held room."""
    resources = {"requests": {"google.com/tpu": tpu}}
    said = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}
    return {
        "metadata": {"name": "foreign"},
        "spec": {"containers": [{"name": "job", "resources": resources}]},
        "status": {"phase": "Pending", "conditions": [said | {"message": ROOM_IS_HELD}]},
    }
