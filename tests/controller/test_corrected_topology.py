"""A group waits by a topology key that no node carries; then the annotation is put right.

Nothing else happens to such a group, so what is missed once is missed for good: the story is played
with each write killed, refused, slow to arrive, and slow to be answered.
"""

import asyncio
from functools import partial
from itertools import count

import pytest
from support.fake_cluster import KEY
from support.fakes import FakeApi
from support.rollout_cluster import PlacedRolloutCluster
from support.virtual_time import run

from lws_placement.engine.base import keys

LATE_S = 1.5  # more than a round of everybody else


async def put_right(rounds, *, prepare=lambda api: None, meanwhile=lambda cluster: None):
    """After so many rounds in which nobody can be placed; `meanwhile`: what else happens then."""
    cluster = PlacedRolloutCluster()
    await cluster.start(prepare=prepare)
    first = cluster.brain.api
    try:
        cluster.add_slice("a")
        cluster.add_lws(replicas=1, key="example.com/no-such-label")
        for _ in range(rounds):
            await cluster.round()
        meanwhile(cluster)
        cluster.change("leaderworkersets", "llm", with_the_right_key)
        await cluster.rest()
    finally:
        await cluster.stop()
    assert cluster.broken == []
    assert cluster.not_whole() == []
    return cluster, first


def with_the_right_key(lws):
    lws["metadata"]["annotations"][keys.LWS_EXCLUSIVE_TOPOLOGY] = KEY


def slow_at(api, *, number, took_effect):
    """The API server hears of this write late, or answers it late."""
    write = api._write

    async def slow(verb, resource, effect):
        late = resource != "events" and len(api.writes) == number
        if late and not took_effect:
            await asyncio.sleep(LATE_S)
        answer = await write(verb, resource, effect)
        if late and took_effect:
            await asyncio.sleep(LATE_S)
        return answer

    api._write = slow


TROUBLES = {
    "killed": FakeApi.stop_at,
    "conflict": partial(FakeApi.answer_at, status=409),
    "no answer": partial(FakeApi.answer_at, status=0),
    "slow": slow_at,
}


@pytest.mark.parametrize("rounds", [1, 2, 5])
@pytest.mark.parametrize("took_effect", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("trouble", TROUBLES.values(), ids=TROUBLES)
def test_the_group_is_placed_whatever_becomes_of_a_write(trouble, took_effect, rounds):
    for number in count():
        prepare = partial(trouble, number=number, took_effect=took_effect)
        _, api = run(put_right(rounds, prepare=prepare))
        if len(api.writes) <= number:
            break
    assert number >= 5


@pytest.mark.parametrize("rounds", [1, 2, 5])
@pytest.mark.parametrize("who", ["brain", "gate"])
def test_the_group_is_placed_whoever_hears_late_of_the_change(who, rounds):
    def deaf(cluster):
        watching = getattr(cluster, who).api.watching
        watching.clear()
        asyncio.get_running_loop().call_later(2 * LATE_S, watching.set)

    run(put_right(rounds, meanwhile=deaf))
