"""Rolling updates of sets with exclusive topology: planner and controller together."""

from functools import partial
from itertools import count

import pytest
from support.fake_cluster import KEY
from support.fake_controllers import label
from support.fakes import FakeApi
from support.rollout_cluster import PlacedRolloutCluster
from support.virtual_time import run

from lws_placement.engine.base import keys

ONE, TWO = ["one"], ["two"]
SURGE = {"maxUnavailable": 0, "maxSurge": 1}
EITHER = {"maxUnavailable": 1, "maxSurge": 1}


def play(story, *, prepare=lambda api: None):
    async def whole():
        cluster = PlacedRolloutCluster()
        await cluster.start(prepare=prepare)
        try:
            await story(cluster)
        finally:
            await cluster.stop()
        assert cluster.broken == []
        return cluster

    return run(whole())


async def two_groups(cluster, *, slices, rolling):
    for name in slices:
        cluster.add_slice(name)
    cluster.add_lws(replicas=2, rolling=rolling)
    await cluster.rest()
    assert len(cluster.uids()) == 4, "a first start makes no surge groups"


def test_every_group_returns_to_its_own_domain():
    async def story(cluster):
        await two_groups(cluster, slices="abc", rolling={})
        before = cluster.domains()
        cluster.keep_ready(1)
        cluster.edit(image="two")
        await cluster.rest()
        assert cluster.images() == {0: TWO, 1: TWO}
        assert cluster.domains() == before

    play(story)


def test_a_surge_group_takes_a_free_domain_and_gives_it_back():
    async def story(cluster):
        await two_groups(cluster, slices="abc", rolling=SURGE)
        before, held = cluster.domains(), set()
        cluster.server.after_write.append(lambda: held.update(cluster.holds()))
        cluster.keep_ready(2)
        cluster.edit(image="two")
        await cluster.rest()
        assert cluster.images() == {0: TWO, 1: TWO}
        assert cluster.domains() == before
        assert held == {"a", "b", "c"}
        assert set(cluster.holds()) == set(before.values())

    play(story)


RACK = "example.com/rack"


def annotate(cluster, topology):
    def change(lws):
        lws["metadata"]["annotations"] = {keys.LWS_EXCLUSIVE_TOPOLOGY: topology}

    cluster.change("leaderworkersets", "llm", change)


def topologies(cluster):
    """What the pods carry."""
    return {p["metadata"]["annotations"].get(keys.LWS_EXCLUSIVE_TOPOLOGY) for p in cluster.pods()}


async def another_topology(cluster):
    for name in "ab":
        cluster.add_slice(name, labels={RACK: name})
    cluster.add_lws(replicas=2)
    await cluster.rest()
    cluster.keep_ready(1)
    annotate(cluster, RACK)
    await cluster.rest()
    assert topologies(cluster) == {RACK}
    assert cluster.asked() == (0, 2)


def test_another_topology_reaches_the_groups_one_by_one():
    """It is part of the leader template but of no revision."""

    async def story(cluster):
        await another_topology(cluster)
        assert cluster.revisions() == [1]

    play(story)


def test_a_group_that_is_not_reached_yet_comes_back_as_it_was():
    """Leader and workers: they must not ask for different domains."""

    async def story(cluster):
        for name in "abcd":
            cluster.add_slice(name, labels={RACK: name})
        cluster.add_lws(replicas=2, rolling={"maxUnavailable": 1, "partition": 1})
        await cluster.rest()
        annotate(cluster, RACK)
        await cluster.rest()
        before = cluster.uids()
        cluster.delete("pods", "llm-0-1")
        await cluster.rest()
        assert before["llm-0"] != cluster.uids()["llm-0"]
        by_group = {}
        for pod in cluster.pods():
            index = label(pod, keys.LWS_GROUP_INDEX)
            notes = pod["metadata"]["annotations"]
            by_group.setdefault(index, set()).add(notes[keys.LWS_EXCLUSIVE_TOPOLOGY])
        assert by_group == {"0": {KEY}, "1": {RACK}}

    play(story)


async def in_place_without_a_free_domain(cluster):
    await two_groups(cluster, slices="ab", rolling=EITHER)
    before = cluster.domains()
    cluster.keep_ready(1)
    cluster.edit(image="two")
    await cluster.rest()
    assert cluster.images() == {0: TWO, 1: TWO}
    assert cluster.domains() == before
    assert cluster.asked() == (0, 2)


def test_without_a_free_domain_groups_are_replaced_in_place():
    async def story(cluster):
        await in_place_without_a_free_domain(cluster)
        assert cluster.said("SurgeWaits") == [
            "surge group llm-2 finds no room: groups are replaced in place, "
            "at most 1 at a time (maxUnavailable)"
        ]

    play(story)


async def in_place_one_after_the_other(cluster):
    cluster.server.knows_max_unavailable = False
    await in_place_without_a_free_domain(cluster)


def test_a_surge_group_without_room_does_not_stop_the_stateful_set_controller_of_kubernetes_1_36():
    async def story(cluster):
        await in_place_one_after_the_other(cluster)
        assert cluster.said("SurgeWaits") == [
            "surge group llm-2 finds no room: groups are replaced in place, one after the other"
        ]

    play(story)


def test_without_a_free_domain_and_no_group_to_spare_an_update_waits_and_says_so():
    async def story(cluster):
        await two_groups(cluster, slices="ab", rolling=SURGE)
        cluster.keep_ready(2)
        cluster.edit(image="two")
        await cluster.rest()
        assert cluster.images() == {0: ONE, 1: ONE, 2: TWO}
        assert "the update waits" in cluster.said("SurgeWaits")[-1]
        cluster.add_slice("c")
        await cluster.rest()
        assert cluster.images() == {0: TWO, 1: TWO}

    play(story)


@pytest.mark.parametrize(
    "story",
    [in_place_without_a_free_domain, in_place_one_after_the_other, another_topology],
    ids=lambda s: s.__name__,
)
def test_wherever_planner_and_controller_are_killed_it_ends_as_it_would_have(story):
    """At every other write before it took effect, at the rest after it."""
    for number in count():
        kill = partial(FakeApi.stop_at, number=number, took_effect=bool(number % 2))
        cluster = play(story, prepare=kill)
        assert cluster.not_whole() == [], f"write {number}"
        if not cluster.kills:
            break
    assert number >= 20
