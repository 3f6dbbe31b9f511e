"""Workers that come out larger than their template: what they ask for is remembered, and the group
goes where it fits.
"""

import asyncio
import math
from dataclasses import replace

import pytest
from support import replicas
from support.fake_cluster import a_cluster
from support.fake_controllers import label
from support.virtual_time import run

from lws_placement.engine.base import keys
from lws_placement.planner.limits.relearning import FIRST_S

LARGER = "pods ask for more than their template: worker 1 for 12 cpu instead of 1 cpu"


def workers_ask_for(cpu, lws="llm"):
    """As a LimitRange, an injected container or a RuntimeClass would have it."""

    def enlarge(pod):
        if label(pod, keys.LWS_WORKER_INDEX) != "0" and label(pod, keys.LWS_NAME) == lws:
            pod["spec"]["containers"][0]["resources"]["requests"]["cpu"] = cpu

    return enlarge


def restarts(cluster):
    return [note for note in cluster.said("Repairing") if note.startswith("restarts")]


async def small_and_large(*, small=1, large=1):
    """Slices s0, s1... of nodes with 8 cpu, which come first, and z0, z1... with 16."""
    cluster = await a_cluster()
    for number in range(small):
        cluster.add_slice(f"s{number}")
    for number in range(large):
        cluster.add_slice(f"z{number}", cpu="16")
    return cluster


def test_the_group_goes_where_its_larger_worker_fits_after_one_restart():
    async def story():
        cluster = await small_and_large()
        cluster.gate.enlarge = workers_ask_for("12")
        cluster.add_lws()
        await cluster.rest(quiet=30)
        assert set(cluster.holds()) == {"z0"}
        assert cluster.not_whole() == []
        assert len(set(restarts(cluster))) == 1
        assert LARGER in restarts(cluster)[0]
        assert cluster.broken == []
        await cluster.stop()

    run(story())


def test_where_nothing_is_large_enough_it_waits_gated_and_says_why():
    async def story():
        cluster = await small_and_large(large=0)
        cluster.gate.enlarge = workers_ask_for("12")
        cluster.add_lws()
        await cluster.rest(quiet=30)
        await asyncio.sleep(600)
        await cluster.rest()
        assert (cluster.holds(), cluster.places()) == ({}, {})
        assert len(set(restarts(cluster))) == 1
        told = "pods ask for more than their template: workers for 12 cpu instead of 1 cpu"
        assert cluster.said("WaitingForDomain")[-1].endswith(f"; {told}")
        cluster.add_slice("z", cpu="16")
        await cluster.rest()
        assert cluster.not_whole() == []
        await cluster.stop()

    run(story())


def test_a_worker_for_which_there_is_still_room_is_held_more_and_restarts_nobody():
    async def story():
        cluster = await small_and_large(large=0)
        cluster.gate.enlarge = workers_ask_for("6")
        cluster.add_lws()
        await cluster.rest()
        assert cluster.not_whole() == []
        assert restarts(cluster) == []
        (hold,) = cluster.holds().values()
        reserved = hold["reserved"][hold["reservedFor"]["1"]]["resources"]
        assert reserved["cpu"] == 6000
        told = "pods ask for more than their template: worker 1 for 6 cpu instead of 1 cpu"
        assert set(cluster.said("LargerThanTemplate")) == {told}
        await cluster.stop()

    run(story())


def test_another_node_of_the_domain_is_taken_for_a_larger_worker():
    async def story():
        cluster = await a_cluster()
        cluster.add_slice("a", nodes=2)
        cluster.add_slice("a", nodes=3, first=2, cpu="16")
        cluster.gate.enlarge = workers_ask_for("12")
        cluster.add_lws()
        await cluster.rest()
        assert cluster.places()["llm-0-1"] == "a-2"
        assert restarts(cluster) == []
        assert cluster.not_whole() == []
        await cluster.stop()

    run(story())


def test_groups_of_the_set_that_come_later_need_no_restart():
    async def story():
        cluster = await small_and_large(small=2, large=2)
        cluster.gate.enlarge = workers_ask_for("12")
        cluster.add_lws()
        await cluster.rest(quiet=30)
        before = len(restarts(cluster))
        cluster.change("leaderworkersets", "llm", lambda lws: lws["spec"].update(replicas=2))
        await cluster.rest()
        assert set(cluster.holds()) == {"z0", "z1"}
        assert len(restarts(cluster)) == before
        assert cluster.not_whole() == []
        await cluster.stop()

    run(story())


def test_a_group_that_was_planned_ahead_too_small_is_planned_again_before_its_leader_starts(
    monkeypatch,
):
    monkeypatch.setattr(replicas, "HOLD_S", 60)

    async def story():
        cluster = await small_and_large(small=2)
        cluster.add_lws()
        await cluster.rest()
        cluster.controllers.without_pods = {"llm"}
        cluster.change("leaderworkersets", "llm", lambda lws: lws["spec"].update(replicas=2))
        await cluster.rest()
        assert set(cluster.holds()) == {"s0", "s1"}
        for replica in (cluster.gate, cluster.brain):
            saw_a_larger_one(replica.cache)
        cluster.gate.enlarge = workers_ask_for("12")
        cluster.controllers.without_pods = set()
        await cluster.rest()
        leader = cluster.server.find("pods", "llm-1")
        assert leader["metadata"]["annotations"][keys.ADMITTED] == "gated"
        assert set(cluster.holds()) == {"s0", "z0"}
        assert cluster.said("Repairing") == []
        assert cluster.not_whole() == []
        await cluster.stop()

    run(story())


def saw_a_larger_one(cache):
    """Of a third group, say, that is gone by now."""
    (group,) = [group for group in cache.groups() if cache.group_pods(group)]
    worker = cache.group_pods(group)[1]
    grown = tuple(sorted({**dict(worker.demand.resources), "cpu": 12_000}.items()))
    newer = replace(worker, demand=replace(worker.demand, resources=grown), created_s=math.inf)
    cache.admissions.requests.put(replace(group, group_key="gone"), newer)


def test_the_next_planner_learns_it_from_the_pods_that_exist():
    async def story():
        cluster = await small_and_large(small=2, large=2)
        cluster.gate.enlarge = workers_ask_for("12")
        cluster.add_lws()
        await cluster.rest(quiet=30)
        before = len(restarts(cluster))
        await cluster.brain.stop()
        await cluster.lead()
        cluster.change("leaderworkersets", "llm", lambda lws: lws["spec"].update(replicas=2))
        await cluster.rest()
        assert set(cluster.holds()) == {"z0", "z1"}
        assert len(restarts(cluster)) == before
        await cluster.stop()

    run(story())


def test_it_is_of_one_set_and_one_revision():
    async def story():
        cluster = await small_and_large()
        cluster.gate.enlarge = workers_ask_for("12")
        cluster.add_lws()
        await cluster.rest(quiet=30)
        assert set(cluster.holds()) == {"z0"}
        cluster.add_lws("other")
        await cluster.rest()
        assert set(cluster.holds()) == {"s0", "z0"}, "others ask for no more"
        cluster.delete("leaderworkersets", "other")
        cluster.gate.enlarge = lambda pod: None
        cluster.change("leaderworkersets", "llm", of_another_revision)
        await cluster.rest(quiet=30)
        cluster.change("leaderworkersets", "llm", lambda lws: lws["spec"].update(replicas=2))
        await cluster.rest()
        assert set(cluster.holds()) == {"s0", "z0"}, "nor does another revision"
        assert cluster.not_whole() == []
        await cluster.stop()

    run(story())


def of_another_revision(lws):
    spec = lws["spec"]["leaderWorkerTemplate"]["workerTemplate"]["spec"]
    spec["containers"][0]["resources"]["requests"]["cpu"] = "2"


@pytest.mark.parametrize("kill", [False, True])
def test_a_hundred_minutes_bring_one_restart_even_if_the_planner_dies(kill):
    async def story():
        cluster = await small_and_large(small=3, large=1)
        cluster.gate.enlarge = workers_ask_for("12")
        cluster.add_lws()
        await cluster.rest(quiet=30)
        if kill:
            await cluster.brain.stop()
            await cluster.lead()
        for _ in range(10):
            await asyncio.sleep(600)
            await cluster.rest()
        assert cluster.not_whole() == []
        assert len(set(restarts(cluster))) == 1
        await cluster.stop()

    run(story())


def test_what_no_pod_shows_any_more_keeps_no_group_waiting_for_ever():
    async def story():
        cluster = await small_and_large(large=0)
        cluster.gate.enlarge = workers_ask_for("12")
        cluster.add_lws()
        await cluster.rest(quiet=30)
        assert cluster.places() == {}
        cluster.gate.enlarge = lambda pod: None
        before = len(set(restarts(cluster)))
        for _ in range(10):
            await asyncio.sleep(FIRST_S / 9)
            await cluster.rest()
        assert cluster.not_whole() == []
        assert len(set(restarts(cluster))) == before
        await cluster.stop()

    run(story())


def test_what_still_holds_costs_a_waiting_group_few_restarts():
    async def story():
        cluster = await small_and_large(large=0)
        cluster.gate.enlarge = workers_ask_for("12")
        cluster.add_lws()
        await cluster.rest(quiet=30)
        of_one = len(restarts(cluster))
        for hours in (1, 2, 4):
            before = restarts(cluster)
            for _ in range(10):
                await asyncio.sleep(hours * FIRST_S / 9)
                await cluster.rest(quiet=30)
            assert len(restarts(cluster)) == len(before) + of_one
            assert (cluster.holds(), cluster.places()) == ({}, {})
        await cluster.stop()

    run(story())


# -- a choice of nodes that somebody adds ----------------------------------------------------------

ONLY_SSD = "pods ask for more than their template: workers for nodes with disk=ssd"


def workers_want_ssd(pod):
    """As a policy, or a namespace's node selector, would have it."""
    if label(pod, keys.LWS_WORKER_INDEX) != "0":
        pod["spec"].setdefault("nodeSelector", {})["disk"] = "ssd"


async def plain_and_ssd(*, ssd=1):
    cluster = await a_cluster("a")
    for number in range(ssd):
        cluster.add_slice(f"z{number}", labels={"disk": "ssd"})
    cluster.gate.enlarge = workers_want_ssd
    return cluster


def test_the_group_goes_where_its_workers_may_be_after_one_restart():
    async def story():
        cluster = await plain_and_ssd(ssd=2)
        cluster.add_lws()
        await cluster.rest(quiet=30)
        assert set(cluster.holds()) == {"z0"}
        assert len(set(restarts(cluster))) == 1
        assert ONLY_SSD in restarts(cluster)[0]
        cluster.change("leaderworkersets", "llm", lambda lws: lws["spec"].update(replicas=2))
        await cluster.rest()
        assert set(cluster.holds()) == {"z0", "z1"}
        assert len(set(restarts(cluster))) == 1
        assert cluster.not_whole() == []
        await cluster.stop()

    run(story())


def test_where_they_may_be_nowhere_the_group_waits_and_says_why():
    async def story():
        cluster = await plain_and_ssd(ssd=0)
        cluster.add_lws()
        await cluster.rest(quiet=30)
        assert (cluster.holds(), cluster.places()) == ({}, {})
        assert cluster.said("WaitingForDomain")[-1].endswith(f"; {ONLY_SSD}")
        await cluster.stop()

    run(story())
