"""Beside the real Karpenter: whole slices are made for groups, taken away when these are gone, and
made again.
"""

import json
from contextlib import contextmanager

import pytest
from e2e.clusters import installed_on
from e2e.node_groups import placeholders
from e2e.servers import brains_with
from peers.karpenter import Karpenter, a_pool

from lws_placement.localcluster.cluster import LocalCluster

pytestmark = pytest.mark.peers

FLAGS = ("--scale-up-after-seconds=0.5", "--scale-up-groups=8", "--scale-up-timeout-seconds=30")


@pytest.fixture(scope="module")
def installation(binaries, karpenter_program, tmp_path_factory):
    """In place of the session's: Karpenter acts on every pod of its cluster."""
    folder = tmp_path_factory.mktemp("karpenter") / "k"
    with LocalCluster(folder, binaries) as cluster:
        karpenter = Karpenter(cluster, karpenter_program)
        karpenter.run()
        with installed_on(cluster, "standalone") as installed:
            brains_with(installed, *FLAGS)
            yield installed


@pytest.fixture
def scene(scene):
    """Karpenter names nodes as it likes, so labels tell their domains."""

    def domain_of(name):
        labels = {n["metadata"]["name"]: n["metadata"]["labels"] for n in nodes_of(scene)}
        return labels[name][scene.key]

    scene.domain_of = domain_of
    return scene


@contextmanager
def slices(scene, number):
    """That Karpenter may make nodes of."""
    domains = [f"s{i:02}" for i in range(number)]
    labels = {"pool": scene.namespace}
    pool = a_pool(scene.namespace, key=scene.key, domains=domains, labels=labels)
    scene.kubectl("apply", "-f", "-", stdin=json.dumps(pool))
    try:
        yield
    finally:
        scene.kubectl("delete", "lws", "--all")
        scene.wait(lambda: not scene.members(), "no pod is left")
        scene.kubectl("delete", "nodepool", scene.namespace, "--wait=false")
        scene.wait(lambda: not nodes_of(scene), "no node is left", timeout_s=120)


def nodes_of(scene):
    return scene.get("nodes", labels=f"pool={scene.namespace}")


def three_sets(scene):
    return [scene.lws(name, replicas=2) for name in ("a", "b", "c")]


def test_from_no_node_at_all_each_group_gets_a_slice_and_no_slice_is_made_in_vain(scene):
    with slices(scene, 8):
        for _ in ("made", "made again"):
            scene.create(*three_sets(scene))
            scene.wait_bound(24, timeout_s=240)
            made = {node["metadata"]["labels"][scene.key] for node in nodes_of(scene)}
            assert len(made) == 6, "no slice is made in vain"
            assert scene.broken_promises() == []
            assert not placeholders(scene)
            scene.kubectl("delete", "lws", "--all")
            scene.wait(lambda: not nodes_of(scene), "all nodes are given back", timeout_s=240)


def test_where_no_more_can_be_made_those_that_are_left_wait_and_say_so(scene):
    with slices(scene, 4):
        scene.create(*three_sets(scene))
        scene.wait(lambda: len(scene.bound()) == 16, "four groups run", timeout_s=240)
        scene.wait(lambda: scene.notes("ScaleUpFailed"), "a request is given up", timeout_s=120)
        assert len(scene.holds()) == 4
        assert scene.broken_promises() == []
