"""What becomes of a group when something happens to its nodes (P3), on the real control plane."""

import threading

import pytest
from e2e.dead_nodes import dead, not_ready
from e2e.servers import start

GROUP = ("llm", "0")


@pytest.fixture
def placed(scene):
    """A group of 3 on one of two domains of 4 nodes: one node of each is spare."""
    scene.pool(2)
    scene.create(scene.lws(size=3))
    scene.wait_bound(3)
    return scene


@pytest.fixture(scope="module", autouse=True)
def deleted_at_first(module_scene):
    """A node under a group, deleted before all other tests here: kube-controller-manager's pod
    garbage collector waits 40 s before it deletes the pod, and the last test sees what came of it.
    """
    module_scene.pool(2)
    module_scene.create(module_scene.lws(size=3))
    module_scene.wait_bound(3)
    node, old = module_scene.node_of("llm-0-1"), domain(module_scene)
    module_scene.cluster.api.delete(f"/api/v1/nodes/{node}")
    return node, old


def whole_without(scene, node, *, size=3):
    """The group is whole in one domain, and not on `node`."""
    scene.wait(lambda: node not in scene.nodes_in_use(), f"nothing is on {node}", 120)
    scene.wait_bound(size, timeout_s=120)
    assert node not in scene.nodes_in_use()
    assert scene.broken_promises() == []
    scene.wait(lambda: len(scene.holds()) == 1, "one hold")


def domain(scene):
    (found,) = scene.places()[GROUP]
    return found


# -- pinned, not bound yet -----------------------------------------------------------------------


@pytest.mark.upstream_too
@pytest.mark.parametrize("trouble", ["deleted", "not ready", "cordoned", "relabelled"])
def test_a_pinned_member_whose_node_fails_gets_a_spare_node_of_its_domain(pinned, trouble):
    node = pinned.pin("llm-0")
    old = pinned.holds()[0]["domain"]
    if trouble == "deleted":
        pinned.cluster.kubectl("delete", "node", node)
    elif trouble == "not ready":
        not_ready(pinned, node)
    elif trouble == "cordoned":
        pinned.kubectl("cordon", node)
    else:
        pinned.kubectl("label", "node", node, f"{pinned.key}=elsewhere", "--overwrite")
    pinned.wait(lambda: pinned.pin("llm-0") not in ("", node), "it is pinned to another node")
    pinned.installation.start_scheduler()
    whole_without(pinned, node)
    assert domain(pinned) == old


def test_a_node_cordoned_while_a_group_comes_leaves_no_group_bound_in_part(scene):
    """At any moment between the plan and the last bind; there is no spare node."""
    scene.pool(2)
    node = f"{scene.namespace}-n00-3"
    for number in range(5):
        name = f"llm{number}"
        cordon = threading.Thread(target=scene.kubectl, args=("cordon", node))
        cordon.start()
        scene.create(scene.lws(name))
        cordon.join()
        scene.wait_bound(4, name)
        assert scene.broken_promises() == []
        scene.kubectl("uncordon", node)
        scene.kubectl("delete", "lws", name)
        scene.wait(lambda: not (scene.members() or scene.holds()), "it is gone")


# -- bound ---------------------------------------------------------------------------------------


@pytest.mark.upstream_too
def test_a_group_on_a_cordoned_node_runs_on_and_leaves_the_node_at_its_next_restart(placed):
    node, old, uids = placed.node_of("llm-0-1"), domain(placed), placed.uids()
    placed.kubectl("cordon", node)
    placed.kubectl("delete", "pod", "llm-0-2", "--wait=false")
    placed.wait(lambda: not uids & placed.uids(), "all pods are new")
    whole_without(placed, node)
    assert domain(placed) == old


@pytest.mark.upstream_too
def test_a_group_of_which_a_node_is_drained_comes_back_on_a_spare_node(placed):
    node, old = placed.node_of("llm-0-1"), domain(placed)
    placed.kubectl("drain", node, "--force", "--ignore-daemonsets", "--timeout=30s")
    whole_without(placed, node)
    assert domain(placed) == old


def test_a_group_of_which_a_node_is_tainted_noexecute_comes_back_on_a_spare_node(placed):
    node, old = placed.node_of("llm-0"), domain(placed)
    placed.kubectl("taint", "node", node, "example.com/broken=:NoExecute")
    whole_without(placed, node)
    assert domain(placed) == old


@pytest.mark.upstream_too
def test_without_a_spare_node_the_group_moves_whole_to_a_free_domain(scene):
    scene.pool(2)
    scene.create(scene.lws(size=4))
    scene.wait_bound(4)
    node, old = scene.node_of("llm-0-1"), domain(scene)
    scene.kubectl("taint", "node", node, "example.com/broken=:NoExecute")
    whole_without(scene, node, size=4)
    assert domain(scene) != old


@pytest.mark.upstream_too
def test_without_any_free_domain_the_group_is_released_and_waits_and_says_why(scene):
    scene.pool(1)
    scene.create(scene.lws(size=4))
    scene.wait_bound(4)
    node = scene.node_of("llm-0-1")
    scene.kubectl("taint", "node", node, "example.com/broken=:NoExecute")
    scene.wait(lambda: not scene.bound() and not scene.holds(), "nothing is bound, nothing is held")
    scene.wait(lambda: scene.gated("llm-0"), "its successor waits")
    note = scene.wait(lambda: scene.notes("WaitingForDomain"), "it says why")[-1]
    assert "1 domain has 3 of 4 nodes that fit" in note
    assert "taint example.com/broken:NoExecute is not tolerated" in note
    scene.kubectl("taint", "node", node, "example.com/broken-")
    scene.wait_bound(4)


def test_a_whole_group_of_which_a_node_is_relabelled_runs_on_until_its_next_restart(placed):
    """The node now counts for another domain, which therefore stays shut for other groups."""
    node, old, uids = placed.node_of("llm-0-1"), domain(placed), placed.uids()
    other = next(d for d in ("n00", "n01") if d != old)
    placed.kubectl("label", "node", node, f"{placed.key}={other}", "--overwrite")
    note = placed.wait(lambda: placed.notes("OutsideDomain"), "it says so")[-1]
    assert node in note
    placed.create(placed.lws("next", size=3))
    placed.wait(lambda: placed.notes("WaitingForDomain"), "another group waits")
    assert placed.uids() >= uids
    placed.kubectl("delete", "pod", "llm-0", "--wait=false")
    placed.wait_bound(3, "llm")
    placed.wait_bound(3, "next")
    assert len({placed.node_label(p["spec"]["nodeName"]) for p in placed.bound("llm")}) == 1


# -- dead ----------------------------------------------------------------------------------------


@pytest.mark.upstream_too
def test_a_dead_node_keeps_its_domain_shut_and_the_event_names_the_step(placed):
    node = placed.node_of("llm-0-1")
    with dead(placed, node):
        placed.kubectl("delete", "pod", "llm-0-1", "--wait=false")
        note = placed.wait(lambda: placed.notes("StuckTerminating"), "an event")[-1]
        assert f"Terminating on node {node}, which is not ready" in note
        assert "node.kubernetes.io/out-of-service" in note
        placed.kubectl(
            "taint", "node", node, "node.kubernetes.io/out-of-service=nodeshutdown:NoExecute"
        )
        whole_without(placed, node)


def test_with_the_opt_in_the_pods_of_a_dead_node_are_forced(placed):
    node = placed.node_of("llm-0-1")
    restart_brains(placed, "--force-delete-after=2")
    try:
        with dead(placed, node):
            placed.kubectl("delete", "pod", "llm-0-1", "--wait=false")
            whole_without(placed, node)
            placed.wait_told("Repairing", "forces the deletion")
    finally:
        restart_brains(placed)


def restart_brains(scene, *flags):
    for name in ("brain-a", "brain-b"):
        scene.installation.stop_server(name)
        start(scene.installation, name, *flags)


# -- bound, long ago -----------------------------------------------------------------------------


@pytest.mark.upstream_too
def test_a_group_of_which_a_node_is_deleted_comes_back_on_a_spare_node(
    module_scene, deleted_at_first
):
    node, old = deleted_at_first
    whole_without(module_scene, node)
    assert domain(module_scene) == old
