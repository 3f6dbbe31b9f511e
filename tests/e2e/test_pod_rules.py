"""Members with rules about other pods: inter-pod affinity and anti-affinity, topology spread. Our
pin hides other nodes from kube-scheduler, so it would bind members where these rules are broken.
"""

import pytest

HOST, ZONE = "kubernetes.io/hostname", "topology.kubernetes.io/zone"
REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
ONE = {"google.com/tpu": "1"}
"""Each node has room for several members."""


def labelled(lws, labels, *, role="worker"):
    template = lws["spec"]["leaderWorkerTemplate"]
    template[f"{role}Template"].setdefault("metadata", {})["labels"] = labels
    return lws


def selecting(**labels):
    return {"matchLabels": labels}


def spread(key, **labels):
    return {
        "topologySpreadConstraints": [
            {
                "maxSkew": 1,
                "topologyKey": key,
                "whenUnsatisfiable": "DoNotSchedule",
                "labelSelector": selecting(**labels),
            }
        ]
    }


def affinity(kind, key, **labels):
    term = {"topologyKey": key, "labelSelector": selecting(**labels)}
    return {"affinity": {kind: {REQUIRED: [term]}}}


def nodes_of(pods):
    return [p["spec"]["nodeName"] for p in pods]


def in_zones(scene, zones):
    """Labels the scene's domains, in order, with these zones."""
    for number, zone in enumerate(zones):
        domain = f"{scene.key}=n{number:02}"
        scene.kubectl("label", "nodes", "-l", domain, f"{ZONE}={zone}")


@pytest.mark.parametrize("rule", ["spread", "anti-affinity"])
def test_members_are_kept_apart_though_a_node_has_room_for_both(scene, rule):
    scene.pool(2, nodes_each=3)
    by_rule = {
        "spread": spread(HOST, app="llm"),
        "anti-affinity": affinity("podAntiAffinity", HOST, app="llm"),
    }
    lws = scene.lws(size=3, replicas=2, resources=ONE, pod=by_rule[rule])
    scene.create(labelled(lws, {"app": "llm"}))
    scene.wait_bound(6)
    assert len(set(nodes_of(scene.bound()))) == 6


def test_a_group_that_cannot_be_kept_apart_waits_and_says_why(scene):
    scene.pool(1, nodes_each=2)
    rule = affinity("podAntiAffinity", HOST, app="llm")
    scene.create(labelled(scene.lws(size=3, resources=ONE, pod=rule), {"app": "llm"}))
    (event, *_) = scene.wait(lambda: scene.events("WaitingForDomain"), "it waits")
    assert f"its anti-affinity keeps members of the group apart by {HOST}" in event["message"]
    assert scene.bound() == []


def test_leaders_of_groups_are_spread_over_zones(scene):
    scene.pool(4, nodes_each=1)
    in_zones(scene, ["a", "a", "a", "b"])
    lws = scene.lws(size=1, replicas=2, resources=ONE, pod=spread(ZONE, app="llm"))
    scene.create(labelled(lws, {"app": "llm"}))
    scene.wait_bound(2)
    assert sorted(d for (d,) in scene.places().values())[-1] == "n03"
    scene.kubectl("scale", "lws/llm", "--replicas=4")
    scene.wait(lambda: len(scene.bound()) == 3, "the third is placed")
    (event, *_) = scene.wait(
        lambda: [e for e in scene.events("WaitingForDomain") if "skew" in e["message"]],
        "the fourth waits: its zone is full, the other would get too many",
    )
    assert f"its topology spread by {ZONE} allows a skew of 1" in event["message"]


def test_a_group_waits_for_the_pod_that_it_wants_to_be_near_and_goes_there(scene):
    scene.pool(3, nodes_each=2)
    in_zones(scene, ["a", "a", "b"])
    lws = scene.lws(size=2, resources=ONE, pod=affinity("podAffinity", ZONE, app="cache"))
    scene.create(lws)
    (event, *_) = scene.wait(lambda: scene.events("WaitingForDomain"), "it waits")
    assert f"its pod affinity finds no pod in its {ZONE}" in event["message"]
    cache = scene.filler(f"{scene.namespace}-n02-1", ONE, name="cache")
    cache["metadata"]["labels"] = {"app": "cache"}
    scene.create(cache)
    scene.wait_bound(2)
    assert scene.places() == {("llm", "0"): {"n02"}}


def test_a_pod_that_keeps_a_group_away_lets_it_in_when_it_ends(scene):
    scene.pool(1, nodes_each=2)
    in_zones(scene, ["a"])
    hermit = scene.filler(f"{scene.namespace}-n00-1", ONE, name="hermit")
    hermit["spec"] |= affinity("podAntiAffinity", ZONE, app="llm")
    scene.create(hermit)
    scene.create(labelled(scene.lws(size=2, resources=ONE), {"app": "llm"}))
    (event, *_) = scene.wait(lambda: scene.events("WaitingForDomain"), "it waits")
    assert "another pod's anti-affinity keeps it out" in event["message"]
    scene.kubectl("delete", "pod", "hermit", "--wait=false")
    scene.wait_bound(2)
