"""lws-placement leaves as a guest should, and comes back: on a control plane of its own."""

import json

import pytest
import yaml
from e2e.departure import OwnPod, gated, is_there, left, verb
from e2e.resources import path_of
from e2e.servers import HASTY
from e2e.stack import CHIPS, Scene
from helm.program import Helm, find_or_build_helm
from helm.release import CHART, Release

from lws_placement.cli.leave.our_objects import CRD, NAMESPACE, SECOND_SCHEDULER
from lws_placement.cli.scheduler.use import deployment_path
from lws_placement.cluster.api.client import Api
from lws_placement.cluster.codec.placeholders import encode_placeholder
from lws_placement.engine.base import keys
from lws_placement.engine.model.groups import GroupId
from lws_placement.engine.model.pods import Demand
from lws_placement.engine.model.scale_up import Placeholder
from lws_placement.engine.objects.placement_request import Scope, TopologyRequest
from lws_placement.errors import ApiError
from lws_placement.kube_scheduler.kubeadm import as_patch
from lws_placement.localcluster.cluster import LocalCluster
from lws_placement.localcluster.install import Installation

STOCK = {
    "apiVersion": "kubescheduler.config.k8s.io/v1",
    "kind": "KubeSchedulerConfiguration",
    "leaderElection": {"leaderElect": False},
}
OWN_NAMESPACE = f"/api/v1/namespaces/{NAMESPACE}"
SCHEDULER = "/api/v1/namespaces/kube-system/pods/kube-scheduler-a"


@pytest.fixture
def installed(binaries, tmp_path):
    with LocalCluster(tmp_path / "c", binaries) as cluster:
        made = Installation(cluster)
        try:
            yield made
        finally:
            made.stop()


@pytest.fixture
def there(installed):
    """A namespace there, before anything of ours is."""
    installed.cluster.api.create("/api/v1/namespaces", {"metadata": {"name": "users"}})
    scene = Scene(installed.cluster, installed, "users")
    scene.wait(lambda: scene.get("serviceaccounts"), "the namespace has its ServiceAccount")
    return scene


def start(installed):
    start_without_scheduler(installed)
    installed.start_scheduler()


def start_without_scheduler(installed):
    installed.apply("standalone")
    installed.start_server("all", ports=True, flags=HASTY)
    installed.wait_ready("all")


def a_scheduler_with_our_configuration():
    """As kubelet shows a static pod of kubeadm's."""
    pod = yaml.safe_load(as_patch())
    pod["spec"]["containers"][0] |= {"image": "x", "command": ["kube-scheduler"]}
    pod["spec"]["schedulerName"] = "nobody"
    meta = {"name": "kube-scheduler-a", "labels": {"component": "kube-scheduler"}}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": meta | {"namespace": "kube-system"},
    } | pod


def a_pod(name, *, labels=(), **spec):
    container = {"name": "c", "image": "x", "resources": {"limits": CHIPS}}
    meta = {"name": name, "labels": dict(labels)}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": meta,
        "spec": {"containers": [container]} | spec,
    }


def picture(scene):
    """What a dry run or a refusal may not change."""
    api = scene.cluster.api
    ours = {path: api.get(path)["metadata"]["uid"] for path in left(scene.cluster)}
    scale = api.get(deployment_path(NAMESPACE))["spec"]["replicas"]
    uids = {
        o["metadata"]["uid"] for k in ("pods", "leases", "lws") for o in api.items(path_of(k, ""))
    }
    return ours, scale, uids, gated(scene.cluster)


def test_it_leaves_running_groups_and_frees_those_that_wait_and_comes_back(installed, there):
    cluster = there.cluster
    start(installed)
    nodes = there.pool(3)
    own_pod = OwnPod(installed, "all")
    there.wait(own_pod.is_bound, "our pod is bound")
    there.create(there.lws("runs", replicas=2))
    there.wait_bound(8, "runs")
    (free, *_) = sorted(set(nodes) - there.nodes_in_use())
    there.create(there.filler(free))
    there.create(there.lws("waits"))
    there.wait(lambda: gated(cluster) == ["waits-0"], "it waits for us")

    # Refused while kube-scheduler calls us, or may.
    before = picture(there)
    code, said = verb(cluster, "uninstall", "--yes")
    assert (code, "cannot be seen" in said) == (1, True)
    assert "--scheduler-restored" in said
    cluster.api.create(SCHEDULER.rpartition("/")[0], a_scheduler_with_our_configuration())
    with_scheduler = picture(there)
    code, said = verb(cluster, "uninstall", "--yes")
    assert code == 1
    assert "kube-scheduler has our configuration: pod kube-system/kube-scheduler-a" in said
    assert "scheduler-config --kubeadm-manifest FILE --out FILE --undo" in said
    code, said = verb(cluster, "release", "lws/waits", "-n", "users", "--dry-run")
    assert code == 0
    assert f"no extender of ours is ready (Service {NAMESPACE}/lws-placement-extender)" in said
    assert "scheduler-config --kubeadm-manifest FILE --out FILE --undo" in said
    code, said = verb(cluster, "uninstall", "--dry-run")
    assert code == 0
    assert "users/waits-0" in said
    assert "Nobody carries LeaderWorkerSets out then" in said
    assert picture(there) == with_scheduler
    cluster.api.delete(SCHEDULER, gracePeriodSeconds="0")
    assert picture(there) == before

    # Done.
    cluster.stop_scheduler()
    cluster.start_scheduler(STOCK)
    running, sets = uids_of_bound(there, "runs"), sets_of(there)
    try:
        code, said = verb(cluster, "uninstall", "--yes", "--scheduler-restored")
    finally:
        own_pod.end()
    assert code == 0, said
    assert installed.servers == {}
    assert left(cluster) == []
    assert not is_there(cluster, OWN_NAMESPACE)
    assert is_there(cluster, CRD)
    assert sets_of(there) == sets
    there.wait(lambda: there.node_of("waits-0"), "the stock kube-scheduler binds what waited")
    assert uids_of_bound(there, "runs") == running

    # Nothing is gated, refused or slowed without us.
    labels = {keys.GROUP: "g"}
    there.create(a_pod("alone"), a_pod("labelled", labels=labels, nodeSelector={there.key: "n99"}))
    there.wait(lambda: there.node_of("alone"), "a plain pod is bound")
    assert gated(cluster) == []
    there.create(there.lws("new"))
    code, said = verb(cluster, "uninstall", "--yes")
    assert (code, "there is nothing of lws-placement" in said) == (0, True)

    # And back.
    cluster.stop_scheduler()
    there.kubectl("delete", "pod", "alone", "labelled", f"filler-{free}")
    start(installed)
    there.wait_bound(4, "waits")
    there.wait(lambda: len(there.holds()) == 3, "each group has a hold")
    assert uids_of_bound(there, "runs") == running
    assert there.broken_promises() == []
    there.wait(lambda: gated(cluster) == ["new-0"], "the set that came meanwhile waits")


def uids_of_bound(scene, lws):
    return {p["metadata"]["uid"]: p["spec"]["nodeName"] for p in scene.bound(lws)}


def sets_of(scene):
    return {
        o["metadata"]["name"]: (o["metadata"]["uid"], o["metadata"]["generation"])
        for o in scene.get("lws")
    }


# -- without processes of ours: what is there was applied, or made as our webhook makes it --------


def make_waiting(scene):
    """A gated pod with a gate of others, too; one that we pinned; two that the second scheduler has
    not bound, one of them nobody's; and a LeaderWorkerSet. Before our webhooks are there.
    """
    scene.pool(1)
    gates = [{"name": keys.GATE}, {"name": "example.com/other"}]
    second = {"schedulerName": SECOND_SCHEDULER}
    scene.create(
        a_pod("gated", schedulingGates=gates), a_pod("nobodys", schedulingGates=gates[:1], **second)
    )
    pinned = a_pod("pinned")
    pinned["metadata"]["annotations"] = {keys.PINNED_NODE: "n0"}
    scene.create(pinned)
    labels = {"app": "x"}
    template = {"metadata": {"labels": labels}, "spec": a_pod("")["spec"] | second}
    spec = {"replicas": 1, "selector": {"matchLabels": labels}, "template": template}
    meta = {"name": "owned"}
    scene.create({"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": meta, "spec": spec})
    scene.wait(lambda: scene.get("pods", labels="app=x"), "its pod is made")
    own = {"spec": {"template": {"spec": {"schedulerName": "default-scheduler"}}}}
    scene.kubectl("patch", "replicaset", "owned", f"--patch={json.dumps(own)}")
    scene.create(scene.lws("llm"))


def of(scene, label):
    return [p["metadata"]["uid"] for p in scene.get("pods", labels=label)]


class BrokenOffError(ApiError):
    """As a connection that is gone."""


@pytest.fixture
def one_write_each(monkeypatch):
    """Every call of the verb ends at its second write."""
    writes = []

    def limited(method):
        async def call(self, *args, **more):
            if writes:
                raise BrokenOffError("broken off")
            writes.append(args)
            return await method(self, *args, **more)

        return call

    for name in ("delete", "patch"):
        monkeypatch.setattr(Api, name, limited(getattr(Api, name)))
    return writes


HAD = {"karpenter.sh/do-not-disrupt": "false"}
"""An annotation of a node before we kept it."""


@pytest.mark.parametrize("controller", ["standalone", "beside-upstream"])
def test_broken_off_after_each_write_it_ends_well(installed, there, one_write_each, controller):
    cluster = there.cluster
    installed.apply_crd()
    make_waiting(there)
    for overlay in (f"second-scheduler/{controller}", "scheduler-files", "network-policy"):
        objects = sorted(installed.objects(overlay), key=lambda o: o["kind"] != "Namespace")
        for some in (objects[:1], objects):
            text = yaml.safe_dump_all(some)
            cluster.kubectl("apply", "--server-side", "-f", "-", stdin=text)
    hold = {"metadata": {"name": "hold-1", "labels": {keys.HOLD_LABEL: "hold"}}, "spec": {}}
    cluster.api.create(path_of("leases", NAMESPACE), hold)
    kept, *_ = there.nodes
    notes = {**keys.KEEPS_NODE, keys.KEPT: json.dumps(HAD)}
    there.kubectl(
        "patch", "node", kept, f"--patch={json.dumps({'metadata': {'annotations': notes}})}"
    )
    stands_for = Placeholder("1", GroupId("users", "llm", "uid", "key"), 0, Scope.CLUSTER)
    topology, demand = TopologyRequest(outer="slice"), Demand((("cpu", 1000),))
    placeholder = encode_placeholder(
        stands_for, demand, namespace=NAMESPACE, topology=topology, off=()
    )
    cluster.api.create(path_of("pods", NAMESPACE), placeholder)
    old = of(there, "app=x")
    _, said = verb(cluster, "uninstall", "--dry-run")
    assert "our annotations against scale-down off 1 node" in said
    assert "delete 1 object that requests nodes from a cluster autoscaler" in said
    assert ("Nobody carries LeaderWorkerSets out" in said) == (controller == "standalone")
    calls = 0
    while True:
        code, said = verb(cluster, "uninstall", "--yes")
        if code == 0:
            break
        assert "broken off" in said
        assert "Call this again" in said
        assert one_write_each.pop(), "each call does one more"
        calls += 1
        assert calls < 100, said
    assert calls > 20
    assert "Delete what is not bound soon: 1 pod (users/pinned), pinned to a node" in said
    assert f"1 pod (users/nobodys), left to the scheduler {SECOND_SCHEDULER}" in said
    assert left(cluster) == []
    there.wait(lambda: not is_there(cluster, OWN_NAMESPACE), "the namespace is gone")
    left_on_node = there.one("node", kept)["metadata"]["annotations"]
    assert left_on_node.items() >= HAD.items()
    assert not left_on_node.keys() & {
        keys.KEPT,
        "cluster-autoscaler.kubernetes.io/scale-down-disabled",
    }
    assert gated(cluster) == []
    assert there.one("pod", "gated")["spec"]["schedulingGates"] == [{"name": "example.com/other"}]
    assert there.one("pod", "nobodys")["spec"]["schedulerName"] == SECOND_SCHEDULER
    there.wait(lambda: len(new := of(there, "app=x")) == 1 and new != old, "it is made anew")
    (new,) = there.get("pods", labels="app=x")
    assert new["spec"]["schedulerName"] == "default-scheduler"
    assert is_there(cluster, CRD)
    assert [o["metadata"]["name"] for o in there.get("lws")] == ["llm"]


def test_leaderworkersets_go_where_it_is_asked_for_with_all_their_pods(installed, there):
    installed.apply_crd()
    cluster = there.cluster
    cluster.start_scheduler(STOCK)
    asked = ("uninstall", "--yes", "--scheduler-restored", "--with-leaderworkersets")
    code, said = verb(cluster, *asked)
    assert code == 1
    assert "the built-in controller is not here" in said
    start_without_scheduler(installed)
    there.pool(1)
    there.create(there.lws("llm", exclusive=False))
    there.wait_bound(4)
    installed.stop()
    code, said = verb(cluster, *asked)
    assert code == 0, said
    assert "1 LeaderWorkerSet (users/llm)" in said
    assert not is_there(cluster, CRD)
    assert [there.get(kind) for kind in ("pods", "statefulsets")] == [[], []]


def test_a_namespace_of_others_stays_and_helm_is_told(installed, there, say, tmp_path):
    cluster = there.cluster
    helm = Helm(find_or_build_helm(say), tmp_path, kubeconfig=cluster.kubeconfig)
    release = Release(helm, cluster, namespace="shared")
    release.install(CHART, {"schedulerFiles.enabled": True})
    cluster.api.create(path_of("pods", "shared"), a_pod("theirs", schedulerName="nobody"))
    wrong, said = verb(cluster, "uninstall", "--yes", f"--namespace={NAMESPACE}")
    assert (wrong, "lws-placement runs in shared" in said) == (1, True)
    code, said = verb(cluster, "uninstall", "--yes", "--scheduler-restored")
    assert code == 0, said
    assert "Namespace shared stays" in said
    assert "helm uninstall lws-placement -n shared" in said
    assert left(cluster, "shared") == []
    assert is_there(cluster, path_of("pods", "shared", "theirs"))
    release.uninstall()
    assert helm("list", "--short", "--namespace=shared").split() == []
