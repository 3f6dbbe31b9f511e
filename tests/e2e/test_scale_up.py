"""Whole domains made by a cluster autoscaler for groups that wait, on the real control plane."""

import pytest
from click.testing import CliRunner
from e2e.node_groups import IN_VAIN, growing, placeholders
from e2e.servers import brains_with

from lws_placement.cli.main import cli

FLAGS = ("--scale-up=pods", "--scale-up-after-seconds=0.5")


@pytest.fixture(scope="module")
def scaling_up(installation):
    """The installation with brains that request nodes."""
    brains_with(installation, *FLAGS)
    yield installation
    brains_with(installation)


def test_from_no_node_at_all_each_group_gets_a_slice_of_its_own(scaling_up, scene):
    with growing(scene, 4) as autoscaler:
        scene.create(*(scene.lws(name, replicas=2) for name in ("a", "b")))
        scene.wait_bound(16, timeout_s=120)
    assert scene.broken_promises() == []
    assert len(autoscaler.made) == 16
    scene.wait(lambda: not placeholders(scene), "no placeholder is left")
    scene.wait_told("ScaleUp", "placeholder pods request new nodes")


def test_what_exists_is_used_first_and_nothing_is_made_in_vain(scaling_up, scene):
    scene.pool(1)
    with growing(scene, 2) as autoscaler:
        scene.create(scene.lws(replicas=2))
        scene.wait_bound(8, timeout_s=120)
    assert len(autoscaler.made) == 4
    assert scene.broken_promises() == []


def test_status_says_how_nodes_are_requested(scaling_up, scene):
    def said():
        admin = f"--kubeconfig={scene.cluster.kubeconfig}"
        return CliRunner().invoke(cli, ["status", admin]).stdout

    how = "scale-up: by placeholder pods, for any cluster autoscaler\n"
    scene.wait(lambda: how in said(), "status says it")


def test_placeholders_go_with_their_group(scaling_up, scene):
    scene.create(scene.lws())
    scene.wait(lambda: len(placeholders(scene)) == 4, "nodes are requested")
    scene.kubectl("delete", "lws", "llm")
    scene.wait(lambda: not placeholders(scene), "no placeholder is left")


def test_half_a_slice_is_given_up_with_words(scaling_up, scene):
    brains_with(scaling_up, *FLAGS, "--scale-up-timeout-seconds=8")
    with growing(scene, 1, delivers=2):
        scene.create(scene.lws())
        scene.wait(lambda: scene.notes("ScaleUpFailed"), "the request is given up")
    assert "2 of 4 nodes came" in scene.notes("ScaleUpFailed")[0]
    scene.wait(lambda: not placeholders(scene), "no placeholder is left")
    assert scene.bound() == []
    assert scene.holds() == []


def test_where_no_more_can_be_made_those_that_are_left_wait_and_say_so(scaling_up, scene):
    brains_with(scaling_up, *FLAGS, "--scale-up-timeout-seconds=8")
    with growing(scene, 4) as autoscaler:
        scene.create(*(scene.lws(name, replicas=2) for name in ("a", "b", "c")))
        scene.wait(lambda: len(scene.bound()) == 16, "four groups run", timeout_s=120)
        failed = "a request is given up with the autoscaler's words"
        scene.wait(lambda: IN_VAIN in " ".join(scene.notes("ScaleUpFailed")), failed, timeout_s=120)
    assert len(autoscaler.made) == 16
    assert sum(scene.gated(f"{name}-{i}") for name in "abc" for i in (0, 1)) == 2
    assert len(scene.holds()) == 4
    assert scene.broken_promises() == []


def test_slices_are_given_back_and_made_again(scaling_up, scene):
    with growing(scene, 2, empty_s=3) as autoscaler:
        scene.create(scene.lws(replicas=2))
        scene.wait_bound(8, timeout_s=120)
        scene.kubectl("delete", "lws", "llm")
        scene.wait(lambda: not nodes_of(scene), "all nodes are given back", timeout_s=120)
        scene.create(scene.lws(replicas=2))
        scene.wait_bound(8, timeout_s=120)
    assert len(autoscaler.made) == 16
    assert scene.broken_promises() == []


def nodes_of(scene):
    return scene.get("nodes", labels=f"pool={scene.namespace}")
