"""The second replica of the controller: what it sees while nobody leads, and does when it leads."""

import asyncio

import pytest
from support.rollout_cluster import RolloutCluster, StandingBy
from support.virtual_time import run


def play(story, **more):
    """A group of two that runs, and a replica that stands by."""

    async def whole():
        cluster = RolloutCluster()
        await cluster.start()
        other = StandingBy(cluster.server)
        await other.start()
        cluster.add_lws(replicas=1)
        cluster.edit(**more)
        await cluster.rest()
        before = cluster.uids()
        try:
            await story(cluster, other)
            await cluster.rest()
            return before, cluster.uids()
        finally:
            await other.stop()
            await cluster.stop()

    return run(whole())


async def lose_a_worker(cluster):
    """At once, without a trace, and its StatefulSet makes another one."""
    cluster.delete("pods", "llm-0-1", gracePeriodSeconds=0)
    for _ in range(3):
        await cluster.round()


def test_a_worker_that_went_in_an_instant_while_nobody_led_restarts_its_group():
    async def story(cluster, other):
        await cluster.brain.stop()
        await lose_a_worker(cluster)
        await other.take_over()

    before, after = play(story)
    assert set(before) == set(after)
    assert before["llm-0"] != after["llm-0"]


def test_a_restart_that_was_made_is_not_made_again():
    async def story(cluster, other):
        await lose_a_worker(cluster)
        await cluster.rest()
        cluster.restarted = cluster.uids()
        await cluster.brain.stop()
        await other.take_over()
        await cluster.rest()
        assert cluster.uids() == cluster.restarted

    before, after = play(story)
    assert before["llm-0"] != after["llm-0"]


def test_what_happened_long_before_it_took_over_is_not_its_business():
    async def story(cluster, other):
        await cluster.brain.stop()
        await lose_a_worker(cluster)
        await asyncio.sleep(100)
        await other.take_over()

    before, after = play(story)
    assert before["llm-0"] == after["llm-0"]
    assert before["llm-0-1"] != after["llm-0-1"]


@pytest.mark.parametrize("policy", ["None", "RecreateGroupAfterStart"])
def test_a_group_that_would_not_have_been_restarted_is_not_restarted_later(policy):
    """After start: the group was not whole when the worker went."""

    async def story(cluster, other):
        await cluster.brain.stop()
        await lose_a_worker(cluster)
        await other.take_over()

    container = {"name": "model", "image": "one"}
    template = {"size": 2, "workerTemplate": {"spec": {"containers": [container]}}}
    before, after = play(story, leaderWorkerTemplate={**template, "restartPolicy": policy})
    assert before["llm-0"] == after["llm-0"]
    assert before["llm-0-1"] != after["llm-0-1"]


def test_a_worker_that_never_ran_restarts_nothing():
    async def story(cluster, other):
        await cluster.brain.stop()
        cluster.change("pods", "llm-0-1", lambda pod: pod["spec"].pop("nodeName"))
        cluster.change("pods", "llm-0-1", lambda pod: pod.update(status={"phase": "Pending"}))
        await asyncio.sleep(1)
        await lose_a_worker(cluster)
        await other.take_over()

    before, after = play(story)
    assert before["llm-0"] == after["llm-0"]


def test_a_replica_that_is_deposed_and_leads_again_has_forgotten_nothing():
    """The worker goes in the moment in which it may not write any more."""

    async def story(cluster, other):
        await cluster.brain.stop()
        await other.take_over()
        await asyncio.sleep(1)
        cluster.delete("pods", "llm-0-1", gracePeriodSeconds=0)
        await asyncio.sleep(0)
        await other.stand_back()
        for _ in range(3):
            await cluster.round()
        await other.take_over()

    before, after = play(story)
    assert before["llm-0"] != after["llm-0"]
