"""Rolling updates of sets with exclusive topology: surge groups need a second domain."""

import pytest
from e2e.rollouts import images, patch, revisions, rollout, set_image, uids, wait_done
from e2e.stack import LWS
from e2e.verbs import ask

TOPOLOGY = f"{LWS}/exclusive-topology"


def placed(scene, *, domains, replicas=2, **strategy):
    scene.pool(domains)
    scene.create(scene.lws(replicas=replicas, **rollout(**strategy)))
    wait_done(scene, replicas)
    return scene.places()


def notes(scene):
    return {e["message"] for e in scene.events("SurgeWaits")}


@pytest.mark.upstream_too
def test_every_group_returns_to_its_own_domain(scene):
    before = placed(scene, domains=4)
    set_image(scene, "model:2")
    wait_done(scene, 2)
    assert scene.places() == before
    assert images(scene) == {0: ["model:2"], 1: ["model:2"]}
    assert scene.broken_promises() == []


def test_a_surge_group_takes_a_free_domain(scene, history):
    before = placed(scene, domains=3, unavailable=0, surge=1)
    seen = history()
    set_image(scene, "model:2")
    wait_done(scene, 2)
    assert scene.places() == before
    scene.wait(lambda: seen.replicas == [2, 3, 2], "it passed through 3")
    assert min(seen.ready) == 2
    assert notes(scene) == set()


def test_without_a_free_domain_groups_are_replaced_in_place(scene, history):
    before = placed(scene, domains=2, unavailable=1, surge=1)
    seen = history()
    set_image(scene, "model:2")
    wait_done(scene, 2)
    assert scene.places() == before
    assert images(scene) == {0: ["model:2"], 1: ["model:2"]}
    assert min(seen.ready) == 1
    scene.wait(lambda: any("replaced in place" in note for note in notes(scene)), "it is told")


def test_without_a_free_domain_an_update_that_may_spare_no_group_waits_and_says_so(scene):
    placed(scene, domains=2, unavailable=0, surge=1)
    set_image(scene, "model:2")
    scene.wait(lambda: any("the update waits" in note for note in notes(scene)), "it says so")
    assert len(scene.bound()) == 8
    patch(scene, {"rolloutStrategy": {"rollingUpdateConfiguration": {"maxUnavailable": 1}}})
    wait_done(scene, 2)
    assert images(scene) == {0: ["model:2"], 1: ["model:2"]}


@pytest.mark.parametrize("exclusive", [True, False], ids=["placed", "without placement"])
def test_an_update_that_adds_a_group_without_room_says_what_would_let_it_go_on(scene, exclusive):
    scene.pool(1, 1)
    scene.create(scene.lws(replicas=1, size=1, exclusive=exclusive, **rollout()))
    wait_done(scene, 1)
    patch(scene, {"replicas": 2})
    set_image(scene, "model:2")
    (event, *_) = scene.wait(lambda: scene.events("GroupsWithoutRoom"), "it says so")
    assert "llm-1 finds no room, and llm-0 stays at the old revision" in event["message"]
    assert "raise maxUnavailable to 2" in event["message"]
    status = ("rollout", "status", "lws/llm", "-n", scene.namespace, "--no-watch")
    scene.wait(
        lambda: f"GroupsWithoutRoom: {event['message']}" in ask(scene.cluster.kubeconfig, *status),
        "who asks for the status is told the same",
    )
    patch(scene, {"rolloutStrategy": {"rollingUpdateConfiguration": {"maxUnavailable": 2}}})
    scene.wait(lambda: images(scene).get(0) == ["model:2"], "llm-0 is replaced")
    standstill = '{.status.conditions[?(@.type=="UpdateStandstill")].status}'
    scene.wait(
        lambda: scene.kubectl("get", "lws", "llm", f"-o=jsonpath={standstill}") == "False",
        "it stands still no more",
    )


def test_without_placement_a_surge_group_that_the_scheduler_refuses_is_done_without(scene):
    """The same for a set that is not exclusive: there kube-scheduler's verdict counts."""
    scene.pool(1, 2)
    scene.create(scene.lws(replicas=2, size=1, exclusive=False, **rollout(surge=1)))
    wait_done(scene, 2)
    set_image(scene, "model:2")
    wait_done(scene, 2)
    scene.wait(lambda: any("replaced in place" in note for note in notes(scene)), "it is told")


@pytest.mark.upstream_too
def test_an_update_right_after_a_group_has_restarted(scene):
    placed(scene, domains=3, replicas=3)
    before = uids(scene)
    scene.kubectl("delete", "pod", "llm-1-2", "--wait=false")
    group = {"llm-1", "llm-1-1", "llm-1-2", "llm-1-3"}
    scene.wait(lambda: changed(scene, before) == group, "the group restarts")
    wait_done(scene, 3)
    set_image(scene, "model:2")
    wait_done(scene, 3)
    assert images(scene) == {g: ["model:2"] for g in range(3)}


def test_another_topology_key_reaches_the_groups_one_by_one(scene, history):
    """It is part of the leader template but of no revision: LeaderWorkerSet leaves it to the
    StatefulSet, which looks at leaders alone.
    """
    before = placed(scene, domains=3, replicas=3)
    rack = f"rack.example.com/{scene.namespace}"
    for node in scene.nodes:
        scene.kubectl("label", "node", node, f"{rack}={scene.domain_of(node)}")
    seen = history()
    scene.kubectl("annotate", "lws", "llm", "--overwrite", f"{TOPOLOGY}={rack}")
    scene.wait(lambda: [topology(p) for p in scene.bound()] == [rack] * 12, "all pods have it")
    wait_done(scene, 3)
    assert seen.partitions == [0, 3, 2, 1, 0]
    assert min(seen.ready) == 2
    assert scene.places() == before
    assert len(revisions(scene)) == 1
    scene.kubectl("annotate", "lws", "llm", f"{TOPOLOGY}-")
    scene.wait(lambda: [topology(p) for p in scene.bound()] == [None] * 12, "no pod has it")
    wait_done(scene, 3)
    assert seen.partitions == [0, 3, 2, 1, 0, 3, 2, 1, 0]
    scene.wait(lambda: not scene.holds(), "nothing is held")


def topology(pod):
    return pod["metadata"]["annotations"].get(TOPOLOGY)


def changed(scene, before):
    """Pods that were made anew; empty while any is missing."""
    after = uids(scene)
    if set(after) != set(before):
        return set()
    return {name for name in before if after[name] != before[name]}
