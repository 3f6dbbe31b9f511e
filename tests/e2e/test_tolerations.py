"""Nodes with accelerators are tainted, as clouds do it, and templates tolerate no taint: the API
server's plugin ExtendedResourceToleration is on, or it is not.
"""

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
    plugins = ("ExtendedResourceToleration",)
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
