"""Beside a LeaderWorkerSet controller that is not ours: its order, its objects, its group index.

A stand-in makes what upstream makes, in upstream's order: the leader StatefulSet; for each leader
that is bound, and not before, the worker StatefulSet with a nodeSelector for the leader's domain.
Pods are made by the real StatefulSet controller and admitted by our webhook. The overlay is the one
for such clusters, so nothing of ours but webhook, planner and extender runs.
"""

import itertools
import json

import pytest
from click.testing import CliRunner
from e2e.stack import LWS, Scene

from lws_placement.cli.main import cli
from lws_placement.engine.lws.children import leader_set, worker_set
from lws_placement.engine.lws.revision import revision_data, revision_key
from lws_placement.localcluster.cluster import LocalCluster
from lws_placement.localcluster.install import MANIFESTS, Installation

_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def installed(binaries, tmp_path_factory):
    with LocalCluster(tmp_path_factory.mktemp("beside") / "c", binaries) as cluster:
        installation = Installation(cluster)
        try:
            crd = str(MANIFESTS / "crd" / "crd.yaml")
            cluster.kubectl("apply", "--server-side", "-f", crd)
            installation.apply("beside-upstream")
            installation.start_server("brain", roles="planner,certificates")
            installation.wait_ready("brain")
            installation.start_server("gate", roles="gate", ports=True)
            installation.wait_ready("gate")
            installation.start_scheduler()
            yield installation
        finally:
            installation.stop()


@pytest.fixture
def scene(installed):
    namespace = f"u{next(_numbers)}"
    installed.cluster.kubectl("create", "namespace", namespace)
    scene = Scene(installed.cluster, installed, namespace)
    scene.wait(lambda: scene.get("serviceaccounts"), "the namespace has its ServiceAccount")
    return scene


class Upstream:
    """What its controller does for one set, when asked."""

    def __init__(self, scene, lws, *, group_index=None):
        self.scene = scene
        scene.create(lws)
        self.lws = scene.one("lws", lws["metadata"]["name"])
        self.revision = revision_key(revision_data(self.lws))
        leaders = leader_set(
            self.lws,
            revision=self.revision,
            replicas=self.lws["spec"]["replicas"],
            partition=0,
        )
        if group_index is not None:
            labels = leaders["spec"]["template"]["metadata"]["labels"]
            labels[f"{LWS}/group-index"] = group_index
        scene.create(leaders)

    def leaders(self):
        pods = self.scene.members(self.lws["metadata"]["name"])
        return [p for p in pods if p["metadata"]["labels"][f"{LWS}/worker-index"] == "0"]

    def make_workers(self):
        """For every leader that is bound."""
        for leader in self.leaders():
            node = leader["spec"].get("nodeName")
            sets = [s["metadata"]["name"] for s in self.scene.get("statefulsets")]
            if node is None or leader["metadata"]["name"] in sets:
                continue
            label = self.scene.one("node", node)["metadata"]["labels"][self.scene.key]
            self.scene.create(
                worker_set(
                    self.lws,
                    leader=leader,
                    revision=self.revision,
                    node_selector={self.scene.key: label},
                )
            )


def trap(scene):
    """4 domains of 4 nodes, 2 of them with one node taken, 2 groups of 4."""
    nodes = scene.pool(4)
    scene.create(scene.filler(nodes[0]), scene.filler(nodes[8]))


def bound_leaders(upstream):
    return [p for p in upstream.leaders() if p["spec"].get("nodeName")]


def test_workers_that_come_after_their_leader_is_bound_find_their_room(scene):
    trap(scene)
    upstream = Upstream(scene, scene.lws(replicas=2))
    scene.wait(lambda: len(bound_leaders(upstream)) == 2, "both leaders are bound without workers")
    assert {d for ds in scene.places().values() for d in ds} == {"n01", "n03"}
    (first, *_) = scene.holds()
    assert len(first["holders"][0]["nodes"]) == 4, "room is held for members that do not exist yet"
    upstream.make_workers()
    scene.wait_bound(8)
    assert scene.broken_promises() == []
    workers = [p for p in scene.bound() if p["metadata"]["labels"][f"{LWS}/worker-index"] != "0"]
    assert all(scene.key in p["spec"]["nodeSelector"] for p in workers)
    assert not any(p["spec"].get("schedulingGates") for p in workers)


def test_a_leader_carries_upstreams_terms_once(scene):
    """Ours and upstream's webhook give the same pair; kube-scheduler heeds it as a second line."""
    scene.pool(1)
    upstream = Upstream(scene, scene.lws())
    (leader,) = scene.wait(lambda: bound_leaders(upstream), "the leader is bound")
    kinds = ("podAffinity", "podAntiAffinity")
    terms = [
        leader["spec"]["affinity"][k]["requiredDuringSchedulingIgnoredDuringExecution"]
        for k in kinds
    ]
    assert [[t["topologyKey"] for t in ts] for ts in terms] == [[scene.key], [scene.key]]


def test_a_group_index_may_be_a_hash(scene):
    trap(scene)
    upstream = Upstream(scene, scene.lws(replicas=1), group_index="7f9c2ba4")
    scene.wait(lambda: bound_leaders(upstream), "the leader is bound")
    upstream.make_workers()
    scene.wait_bound(4)
    assert scene.places().keys() == {("llm", "7f9c2ba4")}
    (hold,) = scene.holds()
    assert hold["holders"][0]["groupIndex"] == "7f9c2ba4"
    before = hold["domain"]
    scene.kubectl("delete", "pod", "llm-0", "--cascade=foreground")
    scene.wait(lambda: bound_leaders(upstream), "its successor is bound")
    upstream.make_workers()
    scene.wait_bound(4)
    assert [h["domain"] for h in scene.holds()] == [before], "it returns to its own domain"


def test_subgroups_are_placed_in_upstreams_order_too(scene):
    scene.pool(2, nodes_each=2)
    lws = scene.lws(size=4, exclusive=False)
    lws["metadata"]["annotations"][f"{LWS}/subgroup-exclusive-topology"] = scene.key
    lws["spec"]["leaderWorkerTemplate"]["subGroupPolicy"] = {"subGroupSize": 2}
    upstream = Upstream(scene, lws)
    (leader,) = scene.wait(lambda: bound_leaders(upstream), "the leader is bound")
    assert len(scene.holds()) == 2
    scene.create(
        worker_set(upstream.lws, leader=leader, revision=upstream.revision, node_selector=None)
    )
    scene.wait_bound(4)
    places = {}
    for pod in scene.bound():
        index = pod["metadata"]["labels"][f"{LWS}/subgroup-index"]
        places.setdefault(index, set()).add(scene.domain_of(pod["spec"]["nodeName"]))
    assert sorted(map(sorted, places.values())) == [["n00"], ["n01"]]


def test_status_says_that_the_controller_is_upstreams(installed):
    args = ["status", "-o", "json", f"--kubeconfig={installed.cluster.kubeconfig}"]
    done = CliRunner().invoke(cli, args)
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)["found"]
    assert found["leaderWorkerSet"] == {"versions": ["v1"], "controller": "upstream"}
