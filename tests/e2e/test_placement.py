"""Whole groups on exclusive domains, with the real scheduler: promises P1, P2, P4, P5, P6, P7."""

import json

import pytest
from e2e.servers import start
from e2e.stack import CHIPS, LWS, MODEL, Scene

from lws_placement.engine.lws.children import worker_set
from lws_placement.localcluster.cluster import LocalCluster
from lws_placement.localcluster.install import Installation


def lay_the_trap(scene):
    """20 domains of 4 nodes, 10 with one node taken, 10 groups of 4 that need whole nodes."""
    nodes = scene.pool(20)
    broken = [n for n in nodes if n.endswith("-0")][::2]
    scene.create(*[scene.filler(n) for n in broken])
    scene.create(scene.lws("trap", replicas=10, size=4))


def whole_groups(scene):
    """Groups whose 4 pods are all bound."""
    counts = {}
    for pod in scene.bound("trap"):
        counts[_group(pod)] = counts.get(_group(pod), 0) + 1
    return [g for g, n in counts.items() if n == 4]


@pytest.mark.upstream_too
def test_the_trap_is_solved_ten_of_ten(scene):
    lay_the_trap(scene)
    scene.wait_bound(40, "trap")
    assert scene.broken_promises() == []
    assert len(scene.holds()) == 10
    scene.wait(lambda: scene.one("lws", "trap")["status"].get("readyReplicas") == 10, "10 ready")


@pytest.fixture(scope="module")
def stranded(binaries, tmp_path_factory):
    """The trap on a control plane of its own, with LeaderWorkerSet's own affinity alone."""
    with LocalCluster(tmp_path_factory.mktemp("plain") / "c", binaries) as cluster:
        installed = Installation(cluster)
        try:
            installed.apply("standalone")
            roles = "webhook,controller,certificates"
            installed.start_server("plain", roles=roles, ports=True, flags=["--placing=false"])
            installed.wait_ready("plain")
            cluster.start_scheduler(
                {
                    "apiVersion": "kubescheduler.config.k8s.io/v1",
                    "kind": "KubeSchedulerConfiguration",
                    "leaderElection": {"leaderElect": False},
                }
            )
            scene = Scene(cluster, installed, "default")
            lay_the_trap(scene)
            # All leaders are bound or refused for good, and no pod is left that was not tried.
            scene.wait(lambda: all(_tried(p) for p in _pods_after_leaders(scene)), "all tried")
            yield scene
        finally:
            installed.stop()


def test_the_trap_strands_groups_when_our_roles_are_off(stranded):
    """The same input without us; else the test above proves little."""
    whole = whole_groups(stranded)
    assert len(whole) < 10
    assert len(stranded.places("trap")) > len(whole), "some groups sit half-placed"


def test_switching_us_on_adopts_whole_groups_and_frees_stranded_ones(stranded):
    """P3, P4: who runs whole keeps its pods, who is stuck half-way is restarted whole elsewhere."""
    whole = whole_groups(stranded)
    uids = {p["metadata"]["uid"] for p in stranded.bound("trap") if _group(p) in whole}
    installed = stranded.installation
    installed.stop_server("plain")
    stranded.cluster.stop_scheduler()
    installed.start_server("full", ports=True)
    installed.wait_ready("full")
    installed.start_scheduler()
    stranded.wait_bound(40, "trap")
    assert stranded.broken_promises() == []
    assert len(stranded.holds()) == 10
    assert uids <= {p["metadata"]["uid"] for p in stranded.bound("trap")}


def _group(pod):
    return pod["metadata"]["labels"][f"{LWS}/group-index"]


def _pods_after_leaders(scene):
    pods = scene.members("trap")
    bound_leaders = [
        p
        for p in pods
        if p["metadata"]["labels"][f"{LWS}/worker-index"] == "0" and p["spec"].get("nodeName")
    ]
    expected = 10 + 3 * len(bound_leaders)
    return pods if len(pods) == expected else [{"spec": {}, "status": {}}]


def _tried(pod):
    refused = any(
        c["type"] == "PodScheduled" and c["status"] == "False"
        for c in pod["status"].get("conditions", [])
    )
    return bool(pod["spec"].get("nodeName")) or refused


@pytest.mark.upstream_too
def test_a_leader_without_tpu_shares_the_slice_with_its_workers(scene):
    nodes = scene.pool(2, capacity={**CHIPS, "cpu": "6"})
    # Chips are free everywhere in the first slice, but no cpu is left for the leader.
    scene.create(*[scene.filler(n, {"cpu": "2"}) for n in nodes[:4]])
    worker = {"cpu": "4", "google.com/tpu": "4"}
    scene.create(scene.lws(size=5, resources=worker, leader={"cpu": "2"}))
    scene.wait_bound(5)
    assert scene.places() == {("llm", "0"): {"n01"}}


def test_workers_may_exist_before_the_leader_is_bound(scene):
    """The other creation order: all pods of the group are there, gated, before any is bound."""
    scene.create(scene.lws())
    leader = scene.wait(lambda: scene.members() and scene.members()[0], "the leader exists")
    revision = leader["metadata"]["labels"][f"{LWS}/template-revision-hash"]
    workers = worker_set(
        scene.one("lws", "llm"), leader=leader, revision=revision, node_selector=None
    )
    scene.create(workers)
    scene.wait(lambda: len(scene.members()) == 4, "all four pods exist")
    gates = [g["name"] for p in scene.members() for g in p["spec"].get("schedulingGates", [])]
    assert gates == ["lws-placement.dev/unplanned"] * 4
    scene.pool(2)
    scene.wait_bound(4)
    assert len(scene.places()[("llm", "0")]) == 1
    assert len(scene.holds()) == 1


@pytest.mark.upstream_too
def test_a_waiting_group_says_why_and_is_placed_as_soon_as_room_appears(scene):
    nodes = scene.pool(3)
    scene.create(*[scene.filler(n) for n in nodes if n.endswith("-0")])
    scene.create(scene.lws())
    note = scene.wait(lambda: [e["message"] for e in scene.events("WaitingForDomain")], "an event")
    assert "3 domains have 3 of 4 nodes" in note[0]
    about = scene.wait(
        lambda: (
            {e["involvedObject"]["kind"] for e in scene.events("WaitingForDomain")}
            == {"LeaderWorkerSet", "Pod"}
        ),
        "one event on the LWS and one on the leader pod",
    )
    assert about
    assert scene.bound() == []
    scene.kubectl("delete", "pod", f"filler-{nodes[4]}", "--wait=false")
    scene.wait_bound(4)
    assert scene.places() == {("llm", "0"): {"n01"}}


def test_a_template_that_fits_no_node_waits_with_the_amounts_and_hurts_nobody(scene):
    scene.pool(2)
    scene.create(scene.lws("huge", resources={"cpu": "1000", **CHIPS}))
    note = scene.wait(lambda: [e["message"] for e in scene.events("WaitingForDomain")], "an event")
    lacks = "leader needs 1000 cpu, largest free node has 64"
    assert f"2 domains have 0 of 4 nodes that fit ({lacks})" in note[0]
    scene.create(scene.lws())
    scene.wait_bound(4, "llm")
    assert scene.bound("huge") == []


@pytest.mark.upstream_too
def test_a_key_that_no_node_carries_is_a_warning_and_an_event(scene):
    scene.pool(1)
    lws = scene.lws(annotations={}, exclusive=False)
    lws["metadata"]["annotations"][f"{LWS}/exclusive-topology"] = "example.com/no-such-label"
    text = scene.cluster.kubectl(
        "-n", scene.namespace, "create", "-f", "-", stdin=json.dumps(lws), check=False
    )
    assert "no node carries the label example.com/no-such-label" in text
    scene.wait(lambda: scene.events("WaitingForDomain"), "an event")


def test_a_foreign_pod_without_accelerators_never_waits_for_us(scene):
    nodes = scene.pool(1, 2)
    scene.create(scene.lws(size=2))
    scene.wait_bound(2)
    scene.create(_foreign(scene, {"cpu": "1"}))
    node = scene.wait(lambda: scene.one("pod", "foreign")["spec"].get("nodeName"), "it is bound")
    assert node in nodes


@pytest.mark.upstream_too
def test_a_foreign_pod_is_kept_off_accelerators_that_are_held(scene):
    """The leader never becomes ready, so its workers do not exist yet; their room is held."""
    scene.pool(1)
    lws = scene.lws(startupPolicy="LeaderReady", leader=MODEL)
    template = lws["spec"]["leaderWorkerTemplate"]["leaderTemplate"]
    template["metadata"] = {"annotations": {"simulate.lws-placement.dev/never-ready": "true"}}
    scene.create(lws)
    scene.wait(lambda: len(scene.bound()) == 1, "the leader is bound")
    scene.create(_foreign(scene, CHIPS))
    told = scene.wait(
        lambda: [e["message"] for e in scene.events("FailedScheduling")], "it is told why"
    )
    assert "its room is held for a LeaderWorkerSet group" in told[0]
    assert "nodeName" not in scene.one("pod", "foreign")["spec"]
    scene.kubectl("delete", "lws", "llm", "--wait=false")
    scene.wait(lambda: scene.one("pod", "foreign")["spec"].get("nodeName"), "then it is bound")


def test_a_foreign_pod_is_bound_when_a_hold_ends_of_which_kube_scheduler_hears_nothing(scene):
    """A quota leaves the group without pods, so nothing but a Lease goes."""
    nodes = scene.pool(1, 2)
    quota = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "none", "namespace": scene.namespace},
        "spec": {"hard": {"count/statefulsets.apps": "0"}},
    }
    scene.kubectl("apply", "-f", "-", stdin=json.dumps(quota))
    used = ("get", "resourcequota", "none", "-ojsonpath={.status.used}")
    scene.wait(lambda: scene.kubectl(*used), "the quota is in force")
    scene.create(scene.lws(size=2))
    scene.wait(scene.holds, "its domain is held ahead of its pods")
    scene.create(_foreign(scene, CHIPS))
    scene.wait(lambda: scene.events("FailedScheduling"), "the foreign pod is kept off")
    assert scene.members() == []
    scene.kubectl("delete", "lws", "llm")
    node = scene.wait(lambda: scene.one("pod", "foreign")["spec"].get("nodeName"), "it is bound")
    assert node in nodes


def _foreign(scene, resources):
    pod = scene.filler("", resources, name="foreign")
    del pod["spec"]["nodeName"]
    pod["spec"]["nodeSelector"] = {"pool": scene.namespace}
    return pod


@pytest.mark.upstream_too
@pytest.mark.parametrize("victim", ["leader", "worker"])
def test_a_deleted_pod_restarts_its_whole_group_in_its_own_domain(scene, victim):
    scene.pool(3)
    scene.create(scene.lws(replicas=2))
    scene.wait_bound(8)
    before = {p["metadata"]["name"]: p["metadata"]["uid"] for p in scene.members()}
    places = scene.places()
    name = "llm-0" if victim == "leader" else "llm-0-2"
    scene.kubectl("delete", "pod", name, "--wait=false")
    scene.wait(lambda: _all_new(scene, before, "llm-0"), "all pods of group 0 are new")
    scene.wait_bound(8)
    after = {p["metadata"]["name"]: p["metadata"]["uid"] for p in scene.members()}
    assert all(after[n] == uid for n, uid in before.items() if n.startswith("llm-1"))
    assert scene.places() == places
    assert scene.broken_promises() == []


def _all_new(scene, before, prefix):
    now = {p["metadata"]["name"]: p["metadata"]["uid"] for p in scene.members()}
    names = [n for n in before if n.startswith(prefix)]
    return all(n in now and now[n] != before[n] for n in names)


@pytest.mark.upstream_too
def test_holds_end_when_their_group_is_gone(scene):
    scene.pool(3)
    scene.create(scene.lws(replicas=3))
    scene.wait_bound(12)
    assert len(scene.holds()) == 3
    scene.kubectl("scale", "lws", "llm", "--replicas=1")
    scene.wait(lambda: len(scene.holds()) == 1, "two holds end after scaling down")
    scene.kubectl("delete", "lws", "llm", "--wait=false")
    scene.wait(lambda: not scene.holds(), "no hold is left")


@pytest.mark.upstream_too
def test_a_recreated_lws_of_the_same_name_is_a_new_one(scene):
    scene.pool(1)
    scene.create(scene.lws())
    scene.wait_bound(4)
    old = scene.holds()[0]["holders"][0]["lwsUid"]
    scene.kubectl("delete", "lws", "llm", "--wait=false")
    scene.create(scene.lws())
    scene.wait(
        lambda: [h["holders"][0]["lwsUid"] for h in scene.holds()] not in ([], [old]), "new hold"
    )
    scene.wait_bound(4)
    assert scene.broken_promises() == []


@pytest.mark.upstream_too
def test_a_pinned_pod_whose_node_is_cordoned_is_replaced(scene):
    """The scheduler is stopped meanwhile, so that the pods are pinned but not bound."""
    nodes = scene.pool(2)
    scene.cluster.stop_scheduler()
    try:
        scene.create(scene.lws())
        pinned = scene.wait(lambda: _pinned(scene), "the leader is pinned")
        scene.kubectl("cordon", pinned)
    finally:
        scene.installation.start_scheduler()
    scene.wait_bound(4)
    assert pinned in nodes
    assert pinned not in {p["spec"]["nodeName"] for p in scene.bound()}
    assert scene.broken_promises() == []


def _pinned(scene):
    for pod in scene.members():
        node = pod["metadata"]["annotations"].get("lws-placement.dev/pinned-node")
        if node and not pod["spec"].get("schedulingGates"):
            return node
    return None


def test_the_state_is_rebuilt_from_the_api_server_alone_after_kill_9(scene):
    scene.pool(4)
    scene.create(scene.lws(replicas=2))
    scene.wait_bound(8)
    before = scene.places()
    names = list(scene.installation.servers)
    for name in names:
        scene.installation.kill_server(name)
    for name in names:
        start(scene.installation, name)
    scene.insist(lambda: scene.kubectl("scale", "lws", "llm", "--replicas=4"))
    scene.wait_bound(16)
    assert scene.broken_promises() == []
    assert {g: d for g, d in scene.places().items() if g in before} == before
