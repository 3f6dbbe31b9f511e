"""Admission plugins that add tolerations and node selectors, which no template shows.

ExtendedResourceToleration: nodes with accelerators are tainted, as clouds do it. PodNodeSelector
and PodTolerationRestriction: by annotations of the namespace.
"""

import json

import pytest
from e2e.servers import start
from e2e.stack import Scene

from lws_placement.engine.base import keys
from lws_placement.localcluster.cluster import LocalCluster
from lws_placement.localcluster.install import Installation

TAINT = {"key": "google.com/tpu", "value": "present", "effect": "NoSchedule"}
ROUTER = {"cpu": "1"}


@pytest.fixture(scope="module")
def cloud(binaries, tmp_path_factory):
    """A control plane with the plugin."""
    folder = tmp_path_factory.mktemp("cloud") / "c"
    plugins = ("ExtendedResourceToleration", "PodNodeSelector", "PodTolerationRestriction")
    with LocalCluster(folder, binaries, admission_plugins=plugins) as cluster:
        installation = Installation(cluster)
        try:
            installation.apply("standalone")
            start(installation, "brain")
            start(installation, "gate", ports=True)
            installation.start_scheduler()
            cluster.kubectl("create", "namespace", "cloud")
            scene = Scene(cluster, installation, "cloud")
            scene.wait(lambda: scene.get("serviceaccounts"), "the ServiceAccount is there")
            yield scene
        finally:
            installation.stop()


def tolerated(pod):
    return {t.get("key") for t in pod["spec"]["tolerations"]}


def test_a_set_whose_template_tolerates_nothing_is_placed_whole_where_the_plugin_is_on(cloud):
    cloud.pool(2, taints=[TAINT])
    cloud.create(cloud.lws(replicas=2))
    cloud.wait_bound(8, "llm")
    assert cloud.broken_promises() == []
    assert all({"google.com/tpu", keys.MEMBER_MARKER} <= tolerated(p) for p in cloud.members("llm"))
    assert cloud.notes("Repairing") == []


def test_a_leader_on_other_nodes_shows_what_its_workers_will_tolerate(cloud):
    """It asks for no accelerator, so that nothing but our marker shows it."""
    cloud.pool(1, prefix="m", taints=[TAINT])
    routers = cloud.pool(1, nodes_each=1, capacity={"google.com/tpu": "0"}, prefix="m9-")
    cloud.kubectl("label", "--overwrite", "node", *routers, f"{cloud.key}=m00")
    cloud.create(cloud.lws("routed", size=5, leader=ROUTER))
    cloud.wait_bound(5, "routed")
    assert cloud.node_of("routed-0") in routers
    assert cloud.notes("Repairing") == []


def test_where_the_plugin_is_off_it_waits_and_is_told_of_the_taint(scene):
    scene.pool(1, taints=[TAINT])
    scene.create(scene.lws())
    scene.wait(lambda: scene.notes("WaitingForDomain"), "it waits")
    assert "taint google.com/tpu=present:NoSchedule is not tolerated" in " ".join(
        scene.notes("WaitingForDomain")
    )
    assert scene.holds() == []


SCHEDULER = "scheduler.alpha.kubernetes.io"


@pytest.fixture
def chosen(cloud):
    """A namespace whose pods go to nodes of their own, by annotations."""
    tolerations = [{"key": "team", "operator": "Exists", "effect": "NoSchedule"}]
    notes = {
        f"{SCHEDULER}/node-selector": "team=chosen",
        f"{SCHEDULER}/defaultTolerations": json.dumps(tolerations),
    }
    body = {"metadata": {"name": "chosen", "annotations": notes}}
    cloud.cluster.api.create("/api/v1/namespaces", body)
    scene = Scene(cloud.cluster, cloud.installation, "chosen")
    scene.wait(lambda: scene.get("serviceaccounts"), "the ServiceAccount is there")
    return scene


def test_what_the_namespace_adds_to_pods_is_planned_with_it(chosen):
    """The nodes of the first domain are not all the namespace's own. The leader shows that the
    plugins are on.
    """
    taint = [{"key": "team", "value": "chosen", "effect": "NoSchedule"}]
    mixed = chosen.pool(1, prefix="a", taints=taint)
    chosen.pool(2, prefix="b", taints=taint)
    chosen.kubectl("label", "nodes", "-l", "pool=chosen", "team=chosen")
    chosen.kubectl("label", "nodes", *mixed[1:], "team-")
    chosen.create(chosen.lws())
    chosen.wait_bound(4, "llm")
    assert (chosen.notes("Moving"), chosen.notes("Repairing")) == ([], [])
    chosen.kubectl("scale", "lws/llm", "--replicas=2")
    chosen.wait_bound(8, "llm")
    assert set().union(*chosen.places().values()) == {"b00", "b01"}
    assert chosen.notes("Moving") == []
    assert chosen.broken_promises() == []
