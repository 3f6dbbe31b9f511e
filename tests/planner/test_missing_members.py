"""A group whose workers do not come keeps no room from others that wait for it."""

from support.fake_cluster import a_cluster
from support.replicas import HOLD_S, Brain
from support.virtual_time import run

from lws_placement.engine.model.failure_history import Policy

QUOTA = 'create Pod llm-0-1 in StatefulSet llm-0 failed error: pods "llm-0-1" is forbidden: quota'


class Patient(Brain):
    policy = Policy(missing_after_s=HOLD_S, pass_over_s=5.0)


async def without_workers(*slices, **more):
    """A leader runs alone on slice a; its workers are not created."""
    cluster = await a_cluster(*slices, new_brain=Patient)
    cluster.controllers.without_pods.add("llm-0")
    cluster.add_lws(**more)
    await cluster.until(lambda: "llm-0" in cluster.places())
    event = {
        "metadata": {"name": "e"},
        "reason": "FailedCreate",
        "note": QUOTA,
        "regarding": {"kind": "StatefulSet", "name": "llm-0", "namespace": "ns"},
    }
    cluster.server.create("events", event, namespace="ns")
    return cluster


def uid(cluster, name):
    pod = cluster.server.find("pods", name)
    return pod and pod["metadata"]["uid"]


def test_who_waits_gets_the_room_and_the_group_is_told_why():
    async def story():
        cluster = await without_workers("a")
        cluster.add_lws("other")
        await cluster.until(lambda: cluster.bound("other") == 2)
        (note, *_) = cluster.said("MembersMissing")
        assert note.startswith("1 of 2 pods do not exist (worker 1)")
        assert QUOTA in note
        assert cluster.bound("llm") == 0
        assert cluster.broken == []
        await cluster.stop()

    run(story())


def test_it_stays_while_nobody_could_use_the_room():
    async def story():
        cluster = await without_workers("a")
        leader = uid(cluster, "llm-0")
        cluster.add_lws("larger", size=3)
        for _ in range(60):
            await cluster.round()
        assert uid(cluster, "llm-0") == leader
        assert list(cluster.holds()) == ["a"]
        cluster.controllers.without_pods.clear()
        await cluster.until(lambda: cluster.bound("llm") == 2)
        assert uid(cluster, "llm-0") == leader
        await cluster.stop()

    run(story())


def test_a_worker_that_comes_late_but_in_time_costs_nothing():
    async def story():
        cluster = await without_workers("a")
        leader = uid(cluster, "llm-0")
        cluster.add_lws("other")
        await cluster.round()
        cluster.controllers.without_pods.clear()
        for _ in range(40):
            await cluster.round()
        assert cluster.bound("llm") == 2
        assert uid(cluster, "llm-0") == leader
        await cluster.stop()

    run(story())


def test_workers_that_come_once_the_leader_is_ready_are_not_missing_before():
    async def story():
        cluster = await a_cluster("a", new_brain=Patient)
        cluster.kubelets = False  # it never becomes ready
        cluster.controllers.without_pods.add("llm-0")
        cluster.add_lws()
        cluster.change(
            "leaderworkersets", "llm", lambda lws: lws["spec"].update(startupPolicy="LeaderReady")
        )
        await cluster.until(lambda: "llm-0" in cluster.places())
        leader = uid(cluster, "llm-0")
        cluster.add_lws("other")
        for _ in range(60):
            await cluster.round()
        assert uid(cluster, "llm-0") == leader
        await cluster.stop()

    run(story())


def test_it_preempts_nobody_until_it_was_whole_once():
    """It would have a group evicted each time that it is its turn, and not use the room."""

    async def story():
        cluster = await without_workers("a", priority=5)
        cluster.add_lws("other")
        await cluster.until(lambda: cluster.bound("other") == 2)
        others = {uid(cluster, name) for name in ("other-0", "other-0-1")}
        for _ in range(200):
            await cluster.round()
        assert {uid(cluster, name) for name in ("other-0", "other-0-1")} == others
        assert len(cluster.said("MembersMissing")) == 2, "on its leader and its LeaderWorkerSet"
        await cluster.stop()

    run(story())


def test_two_that_cannot_run_take_turns_ever_more_slowly():
    async def story():
        cluster = await without_workers("a")
        cluster.controllers.without_pods.add("other-0")
        cluster.add_lws("other")
        leaders = set()
        for _ in range(400):
            await cluster.round()
            leaders |= {uid(cluster, "llm-0"), uid(cluster, "other-0")}
        assert len(leaders - {None}) < 30, "400 s"
        assert cluster.broken == []
        cluster.controllers.without_pods.clear()
        cluster.delete("leaderworkersets", "other")
        await cluster.until(lambda: cluster.bound("llm") == 2)
        await cluster.stop()

    run(story())
