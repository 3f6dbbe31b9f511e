"""Nothing that kube-scheduler watches tells it of a hold that has ended, so we do."""

from support.fake_cluster import FakeCluster
from support.mishaps import a_refused_pod
from support.virtual_time import run

from lws_placement.engine.base import keys


async def held_from_a_foreign_pod():
    cluster = FakeCluster()
    await cluster.start()
    cluster.add_slice("a")
    cluster.add_lws()
    await cluster.rest()
    cluster.server.create("pods", a_refused_pod(tpu="4"), namespace="ns")
    await cluster.rest()
    assert not woken(cluster)
    return cluster


def woken(cluster):
    return keys.WOKEN in (cluster.server.find("pods", "foreign")["metadata"].get("annotations", {}))


def test_a_foreign_pod_that_was_kept_off_held_room_is_woken_when_the_hold_ends():
    async def story():
        cluster = await held_from_a_foreign_pod()
        cluster.delete("leaderworkersets", "llm")
        await cluster.rest()
        assert cluster.holds() == {}
        assert woken(cluster)
        await cluster.stop()

    run(story())


def test_the_next_planner_wakes_for_one_that_died_before_it_did():
    async def story():
        cluster = await held_from_a_foreign_pod()
        cluster.delete("leaderworkersets", "llm")
        while cluster.holds():
            await cluster.round()
        await cluster.brain.stop()
        cluster.change("pods", "foreign", lambda pod: pod["metadata"].update(annotations={}))
        await cluster.lead()
        await cluster.rest()
        assert woken(cluster)
        await cluster.stop()

    run(story())
