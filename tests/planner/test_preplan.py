"""Groups are planned before their pods exist: these are pinned at admission, and others lose
nothing by it."""

import asyncio

import pytest
from support import replicas
from support.fake_cluster import a_cluster
from support.mishaps import a_refused_pod
from support.virtual_time import run

from lws_placement.engine.base import keys

HOLD_S = 60


@pytest.fixture(autouse=True)
def longer_than_the_cluster_takes_to_rest(monkeypatch):
    monkeypatch.setattr(replicas, "HOLD_S", HOLD_S)


def admitted(cluster):
    return {
        p["metadata"]["name"]: p["metadata"]["annotations"][keys.ADMITTED] for p in cluster.pods()
    }


def test_pods_of_a_group_that_was_planned_ahead_are_pinned_at_admission():
    async def story():
        cluster = await a_cluster("a", "b")
        cluster.controllers.without_pods = {"llm"}
        cluster.add_lws(replicas=2)
        await cluster.rest()
        assert set(cluster.holds()) == {"a", "b"}
        cluster.controllers.without_pods = set()
        await cluster.rest()
        assert set(admitted(cluster).values()) == {"pinned"}
        assert ("patch", "pods") not in cluster.brain.api.writes
        assert cluster.not_whole() == []
        await cluster.stop()

    run(story())


def test_pods_that_come_first_are_gated_and_planned_as_ever():
    async def story():
        cluster = await a_cluster("a")
        cluster.add_lws()
        await cluster.rest()
        assert admitted(cluster)["llm-0"] == "gated"
        assert cluster.not_whole() == []
        await cluster.stop()

    run(story())


def test_a_set_without_pods_gives_its_domain_up_to_one_that_waits():
    async def story():
        cluster = await a_cluster("a")
        cluster.controllers.without_pods = {"absent"}
        cluster.add_lws("absent")
        await cluster.rest()
        assert set(cluster.holds()) == {"a"}
        cluster.add_lws()
        await cluster.rest()
        await asyncio.sleep(HOLD_S + 1)
        await cluster.rest()
        assert {h["lws"] for h in cluster.holds().values()} == {"llm"}
        assert sorted(cluster.places()) == ["llm-0", "llm-0-1"]
        await cluster.stop()

    run(story())


async def absent_in(*slices, nodes=2):
    """A set that holds a domain and gets no pod, for longer than the hold time."""
    cluster = await a_cluster()
    for name in slices:
        cluster.add_slice(name, nodes=nodes)
    cluster.controllers.without_pods = {"absent"}
    cluster.add_lws("absent")
    await cluster.rest()
    await asyncio.sleep(2 * HOLD_S)
    await cluster.rest()
    assert [h["lws"] for h in cluster.holds().values()] == ["absent"]
    return cluster


def test_a_set_without_pods_keeps_its_domain_for_as_long_as_nobody_waits():
    async def story():
        cluster = await absent_in("a")
        await asyncio.sleep(24 * 3600)
        await cluster.rest()
        cluster.controllers.without_pods = set()
        await cluster.rest()
        assert set(admitted(cluster).values()) == {"pinned"}
        assert cluster.not_whole() == []
        await cluster.stop()

    run(story())


def test_who_comes_after_the_hold_time_gets_the_domain_at_once():
    async def story():
        cluster = await absent_in("a")
        cluster.add_lws()
        await cluster.rest(quiet=2)
        assert {h["lws"] for h in cluster.holds().values()} == {"llm"}
        assert sorted(cluster.places()) == ["llm-0", "llm-0-1"]
        await cluster.stop()

    run(story())


def test_a_set_without_pods_yields_nothing_to_who_could_not_use_it():
    async def story():
        cluster = await absent_in("a")
        cluster.add_lws("large", size=3)
        await cluster.rest()
        await asyncio.sleep(2 * HOLD_S)
        await cluster.rest()
        assert {h["lws"] for h in cluster.holds().values()} == {"absent"}
        cluster.add_slice("a", nodes=3, first=2)
        await cluster.rest()
        assert {h["lws"] for h in cluster.holds().values()} == {"large"}
        await cluster.stop()

    run(story())


def test_a_foreign_pod_that_is_kept_off_the_room_of_a_set_without_pods_gets_it():
    async def story():
        cluster = await absent_in("a")
        cluster.server.create("pods", a_refused_pod(tpu="8"), namespace="ns")
        await cluster.rest()
        assert set(cluster.holds()) == {"a"}, "it asks for more than a node has"
        cluster.delete("pods", "foreign")
        cluster.server.create("pods", a_refused_pod(tpu="4"), namespace="ns")
        await cluster.rest()
        assert cluster.holds() == {}
        await cluster.stop()

    run(story())


def test_the_hold_of_a_set_that_changed_before_it_had_a_pod_ends_after_a_while():
    async def story():
        cluster = await absent_in("a")
        cluster.change("leaderworkersets", "absent", asks_for_more)
        await cluster.rest()
        await asyncio.sleep(HOLD_S)
        await cluster.rest()
        assert cluster.holds() == {}
        await cluster.stop()

    run(story())


def test_the_next_planner_keeps_what_was_planned_ahead_and_gives_it_up_to_who_waits():
    async def story():
        cluster = await absent_in("a")
        await cluster.brain.stop()
        await cluster.lead()
        await asyncio.sleep(2 * HOLD_S)
        await cluster.rest()
        assert [h["lws"] for h in cluster.holds().values()] == ["absent"]
        cluster.add_lws()
        await cluster.rest()
        assert {h["lws"] for h in cluster.holds().values()} == {"llm"}
        assert cluster.broken == []
        await cluster.stop()

    run(story())


def test_who_waits_comes_before_who_has_no_pod_yet():
    async def story():
        cluster = await a_cluster()
        cluster.add_lws()
        await cluster.rest()
        cluster.controllers.without_pods = {"absent"}
        cluster.add_lws("absent")
        await cluster.rest()
        cluster.add_slice("a")
        await cluster.rest()
        assert {h["lws"] for h in cluster.holds().values()} == {"llm"}
        await cluster.stop()

    run(story())


def test_groups_that_are_not_to_be_have_no_hold():
    async def story():
        cluster = await a_cluster("a", "b", "c")
        cluster.controllers.without_pods = {"llm"}
        cluster.add_lws(replicas=2)
        await cluster.rest()
        assert len(cluster.holds()) == 2
        cluster.change("leaderworkersets", "llm", lambda lws: lws["spec"].update(replicas=1))
        await cluster.rest()
        assert len(cluster.holds()) == 1
        cluster.delete("leaderworkersets", "llm")
        await cluster.rest()
        assert cluster.holds() == {}
        await cluster.stop()

    run(story())


def test_nothing_is_planned_ahead_while_it_is_open_which_revision_comes():
    async def story():
        cluster = await a_cluster("a", "b")
        cluster.add_lws()
        await cluster.rest()
        cluster.controllers.without_pods = {"llm"}
        cluster.change("leaderworkersets", "llm", asks_for_more)
        await cluster.rest()
        cluster.change("leaderworkersets", "llm", lambda lws: lws["spec"].update(replicas=2))
        await cluster.rest()
        assert len(cluster.holds()) == 1
        await cluster.stop()

    run(story())


def asks_for_more(lws):
    spec = lws["spec"]["leaderWorkerTemplate"]["workerTemplate"]["spec"]
    spec["containers"][0]["resources"]["requests"]["cpu"] = "2"
