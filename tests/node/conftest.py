"""One real node for the session, with our manifests on it as the README says."""

from pathlib import Path

import pytest
from node.cluster import NodeCluster
from node.install import Installed
from node.machine import why_no_node
from node.world import World


@pytest.fixture(scope="session")
def node(say, tmp_path_factory, pytestconfig):
    """A kubeadm cluster with KWOK's fake nodes beside the real one; nothing of ours on it."""
    why_not = why_no_node()
    if why_not:
        pytest.exit(why_not, returncode=2)
    keep = pytestconfig.getoption("--keep")
    cluster = NodeCluster(tmp_path_factory.mktemp("node") / "n", say, outlive=keep)
    if not keep:
        pytestconfig.add_cleanup(cluster.stop)  # a second Ctrl-C leaves out what follows below
    try:
        cluster.start()
        cluster.start_kwok()
        yield cluster
        if keep:
            say(cluster.how_to_look())
    finally:
        if not keep:
            cluster.stop()


@pytest.fixture(scope="session")
def installed(node):
    """Both replicas ready, kube-scheduler calls the extender."""
    made = Installed(node, Path(__file__).parents[2])
    made.install()
    made.configure_scheduler()
    return made


@pytest.fixture
def world(node, installed):
    made = World(node)
    yield made
    made.end()
