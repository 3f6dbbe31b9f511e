"""Groups whose pods carry a scheduling gate of somebody else hold nothing until it is gone."""

import asyncio
import json

import pytest
from support import fake_cluster, fake_server, replicas
from support.fake_cluster import a_cluster
from support.virtual_time import run

from lws_placement.engine.base import keys

QUOTA = "example.com/quota"
GATED = {"schedulingGates": [{"name": QUOTA}]}
HOLD_S = 30


@pytest.fixture(autouse=True)
def longer_than_the_cluster_takes_to_rest(monkeypatch):
    monkeypatch.setattr(replicas, "HOLD_S", HOLD_S)


def gates(pod):
    return [g["name"] for g in pod["spec"].get("schedulingGates") or ()]


def grant(cluster, *names):
    """The one whose gate it is takes it off."""
    for pod in cluster.pods():
        name = pod["metadata"]["name"]
        if QUOTA in gates(pod) and (not names or name in names):
            cluster.change("pods", name, without_quota)


def without_quota(pod):
    pod["spec"]["schedulingGates"] = [
        g for g in pod["spec"]["schedulingGates"] if g["name"] != QUOTA
    ]


async def granted(cluster):
    """Until nobody is left whose gate is to be taken off."""
    while any(QUOTA in gates(pod) for pod in cluster.pods()):
        grant(cluster)
        await cluster.rest()


def owners(cluster):
    return {h["lws"] for h in cluster.holds().values()}


def test_it_holds_nothing_and_another_takes_the_only_domain():
    async def story():
        cluster = await a_cluster("a")
        cluster.add_lws("gated", **GATED)
        await cluster.rest()
        assert cluster.holds() == {}
        assert set(cluster.said("WaitingForGate")) == {
            f"waits for scheduling gate {QUOTA} of others on pod gated-0 to be removed"
        }
        notes = cluster.server.find("pods", "gated-0")["metadata"]["annotations"]
        assert json.loads(notes[keys.CONDITION])["reason"] == "WaitingForGate"
        cluster.add_lws()
        await cluster.rest()
        assert owners(cluster) == {"llm"}
        assert sorted(cluster.places()) == ["llm-0", "llm-0-1"]
        cluster.delete("leaderworkersets", "llm")
        await cluster.rest()
        assert cluster.holds() == {}
        await granted(cluster)
        assert cluster.not_whole() == []
        assert cluster.broken == []
        await cluster.stop()

    run(story())


def test_it_is_planned_with_the_event_that_the_gate_is_gone():
    async def story():
        cluster = await a_cluster("a")
        cluster.add_lws(**GATED)
        await cluster.rest()
        before = asyncio.get_running_loop().time()
        grant(cluster)
        while not cluster.holds():
            await asyncio.sleep(0.001)
        assert asyncio.get_running_loop().time() - before < 0.1, "in virtual time"
        await cluster.rest()
        await granted(cluster)
        assert cluster.not_whole() == []
        await cluster.stop()

    run(story())


def test_it_keeps_its_place_in_the_order(monkeypatch):
    """What is older than all others is planned first when its gate is gone."""

    async def story():
        cluster = await a_cluster()
        cluster.add_lws("z", **GATED)
        await cluster.rest()
        monkeypatch.setattr(fake_server, "STARTED", "2026-01-01T00:01:00Z")
        cluster.add_lws()
        await cluster.rest()
        grant(cluster)
        await cluster.rest()
        cluster.add_slice("a")
        await cluster.rest()
        assert owners(cluster) == {"z"}
        await cluster.stop()

    run(story())


def test_nothing_is_planned_ahead_of_pods_that_others_will_keep_back():
    async def story():
        cluster = await a_cluster("a")
        cluster.controllers.without_pods = {"llm"}
        cluster.add_lws(**GATED)
        await cluster.rest()
        assert cluster.holds() == {}
        await cluster.stop()

    run(story())


async def restarted(cluster):
    """A group that ran is back, and its new pods are not let go yet."""
    cluster.add_lws("gated", **GATED)
    await cluster.rest()
    await granted(cluster)
    assert cluster.not_whole() == []
    cluster.delete("pods", "gated-0", propagationPolicy="Foreground")
    await cluster.rest()
    assert QUOTA in gates(cluster.server.find("pods", "gated-0"))


def test_a_group_that_restarts_comes_back_to_its_own_domain():
    async def story():
        cluster = await a_cluster("a", "b")
        await restarted(cluster)
        (before,) = cluster.holds()
        await asyncio.sleep(10 * HOLD_S)
        await cluster.rest()
        assert set(cluster.holds()) == {before}, "as nobody else waits"
        await granted(cluster)
        assert set(cluster.holds()) == {before}
        assert cluster.not_whole() == []
        await cluster.stop()

    run(story())


def test_its_domain_goes_to_one_that_waits_after_a_while():
    async def story():
        cluster = await a_cluster("a")
        await restarted(cluster)
        cluster.add_lws()
        await cluster.rest()
        await asyncio.sleep(HOLD_S + 1)
        await cluster.rest()
        assert owners(cluster) == {"llm"}
        assert sorted(cluster.places()) == ["llm-0", "llm-0-1"]
        assert cluster.broken == []
        await cluster.stop()

    run(story())


def test_beside_a_running_leader_workers_are_pinned_one_by_one_as_they_are_let_go():
    async def story():
        cluster = await a_cluster()
        cluster.add_slice("a", nodes=3)
        cluster.add_lws(size=3, **GATED)
        await cluster.rest()
        grant(cluster, "llm-0")
        await cluster.rest()
        assert sorted(cluster.places()) == ["llm-0"]
        assert set(cluster.holds()) == {"a"}
        grant(cluster, "llm-0-2")
        await cluster.rest()
        assert sorted(cluster.places()) == ["llm-0", "llm-0-2"]
        assert any("on pod llm-0-1 to be" in note for note in cluster.said("WaitingForGate"))
        grant(cluster)
        await cluster.rest()
        assert cluster.not_whole() == []
        await cluster.stop()

    run(story())


def test_our_gate_may_go_first():
    """By hand, without a word: the pod is made anew, with both gates."""

    async def story():
        cluster = await a_cluster("a")
        cluster.add_lws(**GATED)
        await cluster.rest()
        uid = cluster.server.find("pods", "llm-0")["metadata"]["uid"]
        cluster.change("pods", "llm-0", without_ours)
        await cluster.rest()
        leader = cluster.server.find("pods", "llm-0")
        assert leader["metadata"]["uid"] != uid
        assert sorted(gates(leader)) == [QUOTA, keys.GATE]
        await granted(cluster)
        assert cluster.not_whole() == []
        await cluster.stop()

    run(story())


def without_ours(pod):
    pod["spec"]["schedulingGates"] = [{"name": QUOTA}]


def test_what_others_ask_for_a_pod_before_they_let_it_go_counts():
    async def story():
        cluster = await a_cluster("a", "b")
        cluster.add_lws(size=2, **GATED)
        await cluster.rest()
        cluster.change("pods", "llm-0", lambda pod: choose(pod, "b"))
        await cluster.rest()
        await granted(cluster)
        assert set(cluster.holds()) == {"b"}
        assert cluster.not_whole() == []
        await cluster.stop()

    run(story())


def choose(pod, domain):
    pod["spec"]["nodeSelector"] = {fake_cluster.KEY: domain}
    without_quota(pod)
