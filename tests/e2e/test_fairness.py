"""Whole domains stay whole, the order of groups is kept, and metrics tell of both."""

import json
from collections import Counter
from urllib.request import ProxyHandler, build_opener

import pytest
from e2e.resources import path_of
from e2e.stack import CHIPS, LWS
from support.scrape import samples

BUSY = {"cpu": "48", "memory": "128Gi"}


def foreign(scene, name):
    pod = scene.filler("", CHIPS, name=name)
    del pod["spec"]["nodeName"]
    pod["spec"]["nodeSelector"] = {"pool": scene.namespace}
    return pod


def known_to_the_scheduler(scene, nodes):
    """It hears of nodes and of pods in no common order."""
    scouts = []
    for node in nodes:
        scout = scene.filler("", {}, name=f"scout-{node}")
        del scout["spec"]["nodeName"]
        scout["spec"]["nodeSelector"] = {"kubernetes.io/hostname": node}
        scouts.append(scout)
    scene.create(*scouts)
    names = [scout["metadata"]["name"] for scout in scouts]
    scene.wait(lambda: all(scene.node_of(name) for name in names), "each node is known")
    scene.kubectl("delete", "pod", *names, "--force", "--grace-period=0")


def break_one_domain(scene):
    """4 domains of 4 nodes; one node of n02 is taken, and the others of n02 are so busy that
    kube-scheduler's own scores vote for any other node.
    """
    nodes = scene.pool(4)
    known_to_the_scheduler(scene, nodes)
    third = [n for n in nodes if scene.domain_of(n) == "n02"]
    scene.create(
        scene.filler(third[0]), *[scene.filler(n, BUSY, name=f"busy-{n}") for n in third[1:]]
    )
    scene.create(scene.lws(replicas=0))


def domains_taken_by_three_foreign_pods(scene):
    names = [f"foreign-{i}" for i in range(3)]
    scene.create(*[foreign(scene, name) for name in names])

    def bound():
        found = [scene.one("pod", name)["spec"].get("nodeName") for name in names]
        return found if all(found) else None

    return {scene.domain_of(n) for n in scene.wait(bound, "the foreign pods are bound")}


def test_foreign_pods_fill_the_broken_domain_and_leave_whole_ones_to_groups(scene):
    break_one_domain(scene)
    assert domains_taken_by_three_foreign_pods(scene) == {"n02"}
    scene.kubectl("scale", "lws", "llm", "--replicas=3")
    scene.wait_bound(12)
    assert scene.broken_promises() == []


@pytest.fixture
def without_prioritize(installation):
    config = installation.scheduler_configuration()
    for extender in config["extenders"]:
        extender.pop("prioritizeVerb", None)
        extender.pop("weight", None)
    installation.cluster.stop_scheduler()
    installation.cluster.start_scheduler(config)
    yield
    installation.cluster.stop_scheduler()
    installation.start_scheduler()


def test_without_prioritize_they_break_whole_domains(scene, without_prioritize):
    """The same input; else the test above proves little."""
    break_one_domain(scene)
    assert "n02" not in domains_taken_by_three_foreign_pods(scene)


@pytest.fixture
def neighbour(scene):
    """A second namespace; its pods are gone before the scene's nodes go."""
    name = f"{scene.namespace}-b"
    scene.cluster.kubectl("create", "namespace", name)
    yield name
    scene.cluster.kubectl("delete", "lws", "--all", "-n", name, "--wait=false")
    scene.wait(lambda: not pods_of(scene, name), "the neighbour's pods are gone")
    scene.cluster.kubectl("delete", "namespace", name, "--wait=false")


def pods_of(scene, *namespaces):
    paths = [path_of("pods", namespace) for namespace in namespaces]
    return [pod for path in paths for pod in scene.cluster.api.items(path)]


def test_groups_created_at_once_are_placed_as_the_first_of_the_order_that_fit(scene, neighbour):
    """Three sets of two namespaces, six groups, room for four; all wait before there is a node."""
    sets = [scene.lws(name, replicas=2) for name in ("a", "b", "c")]
    sets[0]["metadata"]["namespace"] = neighbour
    scene.cluster.kubectl("create", "-f", "-", stdin="\n---\n".join(json.dumps(o) for o in sets))
    both = (scene.namespace, neighbour)
    scene.wait(lambda: len(groups_told(scene, both)) == 6, "all six groups are told that they wait")
    order = sorted((order_of(p), group_of(p)) for p in pods_of(scene, *both))
    first, last = [g for _, g in order[:4]], [g for _, g in order[4:]]
    scene.pool(4)

    def whole():
        there = [group_of(p) for p in pods_of(scene, *both) if p["spec"].get("nodeName")]
        return sorted(there) if len(there) == 16 else None

    assert scene.wait(whole, "four groups are bound") == sorted(first * 4)
    waiting = [p for p in pods_of(scene, *both) if not p["spec"].get("nodeName")]
    assert sorted(group_of(p) for p in waiting) == sorted(last)
    assert all(p["spec"]["schedulingGates"] for p in waiting)
    scene.wait(
        lambda: all("4 domains held by other groups" in told(scene, p) for p in waiting),
        "those that wait are told why",
    )
    scene.pool(2, prefix="m")
    scene.wait(lambda: len(whole_groups(scene, both)) == 6, "with room the last two are placed too")


def whole_groups(scene, namespaces):
    """Groups all of whose four pods are bound."""
    there = [group_of(p) for p in pods_of(scene, *namespaces) if p["spec"].get("nodeName")]
    return {group for group in there if there.count(group) == 4}


def groups_told(scene, namespaces):
    return {group_of(p) for p in pods_of(scene, *namespaces) if told(scene, p)}


def told(scene, pod):
    """What the pod was told last of why its group waits."""
    meta = pod["metadata"]
    about = f"involvedObject.uid={meta['uid']},reason=WaitingForDomain"
    path = path_of("events", meta["namespace"])
    events = scene.cluster.api.items(path, fieldSelector=about)
    notes = sorted((e["metadata"]["creationTimestamp"], e["message"]) for e in events)
    return " / ".join(note for _, note in notes)


def group_of(pod):
    meta = pod["metadata"]
    return meta["namespace"], meta["labels"][f"{LWS}/name"], meta["labels"][f"{LWS}/group-key"]


def order_of(pod):
    """Older first; then by name, as all have one priority."""
    return pod["metadata"]["creationTimestamp"], group_of(pod)


def metrics(scene, role):
    """The sum over both replicas of a role."""
    total = Counter()
    for name in (f"{role}-a", f"{role}-b"):
        port = json.loads((scene.cluster.folder / f"{name}.ports").read_text())["health"]
        url = f"http://127.0.0.1:{port}/metrics"
        with build_opener(ProxyHandler({})).open(url, timeout=10) as answer:
            total.update(samples(answer.read().decode()))
    return total


def test_the_metrics_of_brain_and_gate_tell_what_happened(scene):
    brain, gate = metrics(scene, "brain"), metrics(scene, "gate")
    assert brain["lws_placement_leader",] == 1, "one of the two leads"
    (node, *_) = scene.pool(1)
    scene.create(scene.filler(node))
    scene.create(scene.lws(replicas=3))
    scene.wait(lambda: len(scene.events("WaitingForDomain")) >= 3, "three groups wait")
    scene.pool(2, prefix="late")
    scene.wait(lambda: len(scene.bound()) == 8, "two of three groups are bound")

    def grown(before, name, *labels):
        role = "brain" if before is brain else "gate"
        return metrics(scene, role)[name, *labels] - before[name, *labels]

    waited = "lws_placement_wait_seconds_count"
    scene.wait(lambda: grown(brain, waited) >= 2, "the waits of both placed groups are counted")
    now = metrics(scene, "brain")
    assert now["lws_placement_waiting_groups", "room"] >= 1
    assert now["lws_placement_holds", "active"] >= 2
    assert now["lws_placement_domains", "held", scene.key] == 2
    assert now["lws_placement_domains", "broken", scene.key] == 1
    assert now["lws_placement_domains", "whole", scene.key] == 0
    assert grown(brain, "lws_placement_plan_seconds_count") >= 3
    assert grown(gate, "lws_placement_binds_total", "bound") >= 8
    admissions = "lws_placement_admissions_total"
    assert grown(gate, admissions, "gated") + grown(gate, admissions, "pinned") >= 9


def small_group(scene, number, key):
    """A group of one pod, alone on a slice of one node."""
    lws = scene.lws(f"small-{number}", size=1, exclusive=False)
    lws["metadata"]["annotations"][f"{LWS}/exclusive-topology"] = key
    return lws


def test_small_groups_on_slices_do_not_keep_a_large_one_from_every_rack(scene):
    """Two racks of two slices; the test's key is the rack. Bounded backfill, one rack at a time."""
    nodes = scene.pool(2, nodes_each=2)
    key = f"{scene.key}-slice"
    for node in nodes:
        scene.cluster.kubectl("label", "node", node, f"{key}={node}")
    scene.create(*[small_group(scene, i, key) for i in range(4)])
    scene.wait_bound(4)
    where = {p["spec"]["nodeName"]: p["metadata"]["labels"][f"{LWS}/name"] for p in scene.bound()}
    scene.create(scene.lws("large", size=2))
    (large,) = scene.wait(lambda: scene.members("large"), "its leader is there")
    scene.wait(lambda: told(scene, large), "the large group waits")
    scene.create(*[small_group(scene, i, key) for i in range(4, 8)])
    scene.wait(lambda: len(scene.events("WaitingForDomain")) >= 5, "later small ones wait")
    scene.kubectl("delete", "lws", where[nodes[0]])
    scene.wait(lambda: is_kept(scene), "its slice is kept for the large group")
    scene.kubectl("delete", "lws", where[nodes[2]])
    scene.wait(lambda: nodes[2] in placed_on(scene), "the other rack is open to the next small one")
    assert nodes[0] not in placed_on(scene)
    scene.kubectl("delete", "lws", where[nodes[1]])
    scene.wait_bound(2, "large")
    assert set(placed_on(scene, "large")) == set(nodes[:2])


def placed_on(scene, lws=None):
    return [p["spec"]["nodeName"] for p in scene.bound(lws)]


def is_kept(scene):
    notes = [e["message"] for e in scene.events("WaitingForDomain")]
    return any("kept for" in note for note in notes)
