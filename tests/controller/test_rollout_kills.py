"""The controller killed between any two of its writes in the life of a set, before and after each
took effect, and writes answered with errors: the life ends as it would have, and on the way no
fewer groups are ready than the set allows.
"""

from functools import partial
from itertools import count

import pytest
from support.fakes import FakeApi
from support.rollout_cluster import RolloutCluster
from support.virtual_time import run


async def roll(cluster):
    cluster.add_lws(replicas=3)
    await cluster.rest()
    cluster.keep_ready(2)
    cluster.edit(image="two")
    await cluster.rest()


async def roll_with_surge(cluster):
    cluster.add_lws(replicas=2, rolling={"maxUnavailable": 0, "maxSurge": 1})
    await cluster.rest()
    cluster.keep_ready(2)
    cluster.edit(image="two")
    await cluster.rest()


async def second_update_and_back_in_the_middle(cluster):
    cluster.add_lws(replicas=3)
    await cluster.rest()
    cluster.keep_ready(2)
    cluster.edit(image="two")
    await cluster.until(lambda: cluster.images().get(2) == ["two"])
    cluster.edit(image="three")
    await cluster.until(lambda: cluster.images().get(2) == ["three"])
    cluster.edit(image="one")
    await cluster.rest()


async def scale_in_the_middle(cluster):
    cluster.add_lws(replicas=2, rolling={"maxUnavailable": 1, "maxSurge": 1})
    await cluster.rest()
    cluster.keep_ready(1)
    cluster.edit(image="two")
    await cluster.until(lambda: "two" in str(cluster.images()))
    cluster.edit(replicas=4)
    await cluster.until(lambda: 3 in cluster.images())
    cluster.edit(replicas=3)
    await cluster.rest()


async def up_to_a_partition_and_on(cluster):
    cluster.add_lws(replicas=3, rolling={"maxUnavailable": 1, "partition": 1})
    await cluster.rest()
    cluster.keep_ready(2)
    cluster.edit(image="two")
    await cluster.rest()
    cluster.edit(rolloutStrategy={"rollingUpdateConfiguration": {"partition": 0}})
    await cluster.rest()


async def workers_after_their_leaders(cluster):
    """Nothing more happens to a leader that is ready: its workers are made then or never."""
    cluster.add_lws(replicas=2)
    cluster.edit(startupPolicy="LeaderReady")
    await cluster.rest()


STORIES = [
    roll,
    roll_with_surge,
    second_update_and_back_in_the_middle,
    scale_in_the_middle,
    up_to_a_partition_and_on,
]


async def play(story, *, prepare=lambda api: None):
    cluster = RolloutCluster()
    await cluster.start(prepare=prepare)
    first = cluster.brain.api
    try:
        await story(cluster)
    finally:
        await cluster.stop()
    return cluster, first


def outcome(cluster):
    """What must not depend on what happened on the way."""
    status = cluster.server.find("leaderworkersets", "llm")["status"]
    return {
        "images": cluster.images(),
        "asked": cluster.asked(),
        "ready": status["readyReplicas"],
        "updated": status["updatedReplicas"],
        "conditions": cluster.conditions(),
        "revisions": len(cluster.revisions()),
        "set aside": len(cluster.set_aside()),
        "broken": cluster.broken,
    }


@pytest.mark.parametrize("story", STORIES, ids=lambda s: s.__name__)
def test_a_rollout_ends_as_it_would_have_wherever_the_controller_is_killed(story):
    undisturbed, _ = run(play(story))
    for number in count():
        for took_effect in (False, True):
            kill = partial(FakeApi.stop_at, number=number, took_effect=took_effect)
            cluster, _ = run(play(story, prepare=kill))
            where = f"killed at write {number}, took effect: {took_effect}"
            assert outcome(cluster) == outcome(undisturbed), where
        if not cluster.kills:
            break
    assert number >= 10


ANSWERS = [
    pytest.param(409, False, id="conflict"),
    pytest.param(429, False, id="too many requests"),
    pytest.param(500, False, id="internal error"),
    pytest.param(0, True, id="no answer though it was done"),
]


@pytest.mark.parametrize(
    "story", [roll_with_surge, workers_after_their_leaders], ids=lambda s: s.__name__
)
@pytest.mark.parametrize(("status", "took_effect"), ANSWERS)
def test_a_rollout_ends_as_it_would_have_whatever_a_write_is_answered(story, status, took_effect):
    undisturbed, _ = run(play(story))
    for number in count():
        answer = partial(FakeApi.answer_at, number=number, status=status, took_effect=took_effect)
        cluster, api = run(play(story, prepare=answer))
        where = f"write {number} was answered {status}, took effect: {took_effect}"
        assert outcome(cluster) == outcome(undisturbed), where
        if len(api.writes) <= number:
            break
