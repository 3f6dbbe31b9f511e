"""Stories on the in-memory cluster, played once for every write that the planner makes in them.

A story is a coroutine of a `FakeCluster`. At every instant no group is split and no domain has two
(the cluster looks at every write); at the end every group is whole and has one hold.
"""

from functools import partial
from itertools import count

from support.fake_cluster import FakeCluster
from support.fakes import FakeApi
from support.virtual_time import run


async def play(story, *, prepare=lambda api: None, brain_away=0, new_cluster=FakeCluster):
    cluster = new_cluster()
    cluster.brain_away = brain_away
    await cluster.start(prepare=prepare)
    first = cluster.brain.api
    try:
        await story(cluster)
    finally:
        await cluster.stop()
    return cluster, first


def check(cluster, where):
    assert cluster.broken == [], where
    assert cluster.not_whole() == [], where


def kill_at_every_write(story, *, brain_away, new_cluster=FakeCluster):
    """Before and after each takes effect; the number of writes."""
    for number in count():
        for took_effect in (False, True):
            kill = partial(FakeApi.stop_at, number=number, took_effect=took_effect)
            playing = play(story, prepare=kill, brain_away=brain_away, new_cluster=new_cluster)
            cluster, _ = run(playing)
            check(cluster, f"killed at write {number}, took effect: {took_effect}")
        if not cluster.kills:
            break
    return number


def answer_every_write(story, *, status, took_effect):
    """Each in turn with this status, whether or not it took effect; the number of writes."""
    for number in count():
        answer = partial(FakeApi.answer_at, number=number, status=status, took_effect=took_effect)
        cluster, api = run(play(story, prepare=answer))
        check(cluster, f"write {number} was answered {status}, took effect: {took_effect}")
        if len(api.writes) <= number:
            break
    return number
