"""Who evicts whom, in the stories of preemption."""

from support.killing import play
from support.virtual_time import run

HIGH = 1000


def a_foreign_pod(name, node, *, priority=0, labels=None):
    resources = {"requests": {"google.com/tpu": "4"}}
    return {
        "metadata": {"name": name, "labels": labels or {}},
        "spec": {
            "nodeName": node,
            "containers": [{"name": "c", "resources": resources}],
            "priority": priority,
        },
        "status": {"phase": "Running"},
    }


def forbid_evictions(cluster, lws):
    spec = {"selector": {"matchLabels": {"leaderworkerset.sigs.k8s.io/name": lws}}}
    budget = {"metadata": {"name": "keep"}, "spec": spec, "status": {"disruptionsAllowed": 0}}
    cluster.server.create("poddisruptionbudgets", budget, namespace="ns")


def states(cluster):
    """domain -> {group's LWS: state}"""
    found = {}
    for domain, holder in cluster.all_holds():
        found.setdefault(domain, {})[holder["lws"]] = holder["state"]
    return found


async def low_has_the_only_slice(cluster):
    cluster.add_slice("a")
    cluster.add_lws("low")
    await cluster.rest()
    assert cluster.places() == {"low-0": "a-0", "low-0-1": "a-1"}


def told(story):
    """Run it to its end; what happened."""
    cluster, _ = run(play(story))
    return cluster
