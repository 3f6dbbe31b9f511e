"""What went wrong for a group outlives the planner that saw it."""

import json
from dataclasses import replace

import pytest
from support.fake_cluster import KEY, FakeCluster, a_cluster
from support.fakes import FakeApi
from support.killing import answer_every_write, kill_at_every_write
from support.mishaps import fail_a_node, refuse
from support.replicas import OURS, POLICY, Brain
from support.virtual_time import run

from lws_placement.cluster.cache.cluster_cache import ClusterCache
from lws_placement.cluster.cache.informers import read_once
from lws_placement.cluster.cache.topology_index import TopologyIndex
from lws_placement.cluster.stores.failure_store import FailureStore
from lws_placement.engine.base import keys
from lws_placement.engine.model.failure_history import FailureHistory
from lws_placement.engine.objects.nodes import DomainName
from lws_placement.inspect.inquiry import Inquiry, Standing
from lws_placement.inspect.run import Simulation

PASS_OVER_S = 60
FAILURES = 3


async def next_planner(cluster):
    await cluster.brain.stop()
    await cluster.lead()


def leases(cluster):
    return cluster.server.all("leases", labels=f"{keys.HOLD_LABEL}=troubles")


def remembered(cluster):
    """(domain, times) of what refused, and domain -> number of failures."""
    bodies = [json.loads(x["metadata"]["annotations"][keys.TROUBLES]) for x in leases(cluster)]
    refused = [(r["domain"], r["times"]) for body in bodies for r in body["refused"]]
    return refused, {f["domain"]: len(f["at"]) for body in bodies for f in body["failed"]}


async def a_group_that_waits():
    """Its only domain was refused."""
    cluster = await a_cluster("a")
    refuse(cluster, "a")
    cluster.add_lws()
    while not cluster.said("WaitingForDomain"):
        await cluster.round()
    return cluster


def test_a_group_is_tried_no_more_often_when_the_planner_changes_each_time():
    async def story():
        cluster = await a_cluster("a")
        refuse(cluster, "a")
        cluster.add_lws()
        tries, held = 0, False
        for _ in range(120):
            await cluster.round()
            tries += not held and bool(cluster.holds())
            if held and not cluster.holds():
                await next_planner(cluster)
            held = bool(cluster.holds())
        assert 2 <= tries <= 5, "5, 10, 20, 40 s apart and more, as with one planner"
        await cluster.stop()

    run(story())


def test_the_next_planner_tells_why_it_passes_a_domain_over():
    async def story():
        cluster = await a_group_that_waits()
        await next_planner(cluster)
        await cluster.round()
        assert cluster.holds() == {}
        notes = cluster.said("WaitingForDomain")
        assert all("kube-scheduler refused it lately" in note for note in notes)
        await cluster.stop()

    run(story())


def test_who_asks_why_a_group_waits_is_told_what_the_planner_remembers():
    async def story():
        cluster = await a_group_that_waits()
        (one,) = await FailureStore(cluster.brain.api, namespace=OURS).fetch_all()
        now = one.history.refused[DomainName(KEY, "a")].last_s
        failures = {one.group: FailureHistory(now, one.history)}
        answer = Inquiry(cluster.brain.cache, failures=failures).about(one.group)
        assert answer.standing is Standing.WAITS
        assert answer.note == cluster.said("WaitingForDomain")[-1]
        await cluster.stop()

    run(story())


def test_who_asks_what_would_become_of_a_set_is_told_what_the_planner_remembers():
    """Of that set alone: another one would have the domain."""

    async def story():
        cluster = await a_group_that_waits()
        api = FakeApi(cluster.server)
        cache = ClusterCache(TopologyIndex())
        await read_once(api, cache, namespace=OURS)
        (one,) = await FailureStore(api, namespace=OURS).fetch_all()
        now = one.history.refused[DomainName(KEY, "a")].last_s
        failures = {one.group: FailureHistory(now, one.history)}
        raw = cluster.server.find("leaderworkersets", "llm") | {"kind": "LeaderWorkerSet"}
        other = {**raw, "metadata": {**raw["metadata"], "name": "other", "uid": "another"}}
        simulation = Simulation(cache, namespace=OURS, now_s=now, failures=failures)
        (known,) = simulation.run([raw]).sets
        assert known.groups[0].note == cluster.said("WaitingForDomain")[-1]
        (new,) = simulation.run([other]).sets
        assert new.groups[0].reservation.where == f"{KEY}=a"
        await cluster.stop()

    run(story())


async def refused_twice(cluster):
    """In a, then in b; what is written then does not depend on who was killed on the way."""
    cluster.add_slice("a")
    cluster.add_slice("b")
    refuse(cluster, "a", "b")
    cluster.add_lws()
    await cluster.rest()
    assert cluster.holds() == {}
    assert remembered(cluster) == ([("a", 1), ("b", 1)], {})
    cluster.binds = lambda name: True
    await cluster.rest(quiet=2 * PASS_OVER_S)


async def fail_until_it_moves(cluster):
    """How often."""
    cluster.add_slice("a")
    cluster.add_slice("b")
    cluster.add_lws()
    await cluster.rest()
    failures = 0
    while set(cluster.places().values()) == {"a-0", "a-1"}:
        await fail_a_node(cluster)
        failures += 1
    return failures


async def failed_again_and_again(cluster):
    """Only a failure that the planner did not live to write down may have to come once more."""
    failures = await fail_until_it_moves(cluster)
    assert failures in ((FAILURES, FAILURES + 1) if cluster.kills else (FAILURES,))
    assert remembered(cluster) == ([], {"a": FAILURES})


async def failed_before_two(cluster):
    """All count. The group comes back where it was if nobody leads just then, and once more."""
    failures = await fail_until_it_moves(cluster)
    assert FAILURES <= failures <= FAILURES + 1
    assert remembered(cluster) == ([], {"a": failures})


class TwoReplicas(FakeCluster):
    """One watches while the other one leads."""

    other = None

    async def lead(self, *, prepare=lambda api: None):
        self.brain = self.other or self.new_brain(self.server)
        self.other = self.new_brain(self.server)
        await self.other.stand_by()
        prepare(self.brain.api)
        await self.brain.ready()

    async def stop(self):
        await self.other.stop()
        await super().stop()


@pytest.fixture
def slow(monkeypatch):
    """No second try while planners come and go."""
    policy = replace(POLICY, pass_over_s=PASS_OVER_S, failures=FAILURES)
    monkeypatch.setattr(Brain, "policy", policy)


STORIES = pytest.mark.parametrize(
    "story", [refused_twice, failed_again_and_again], ids=lambda s: s.__name__
)


@STORIES
def test_nothing_is_forgotten_nor_counted_twice_wherever_the_planner_is_killed(story, slow):
    assert kill_at_every_write(story, brain_away=0) >= 5


@pytest.mark.parametrize("brain_away", [0, 3], ids=["at once", "later"])
def test_a_failure_that_a_dead_planner_did_not_write_down_has_been_seen_by_the_next(
    brain_away, slow
):
    story, more = failed_before_two, {"new_cluster": TwoReplicas}
    assert kill_at_every_write(story, brain_away=brain_away, **more) >= 5


@STORIES
@pytest.mark.parametrize(("status", "took_effect"), [(409, False), (429, False), (0, True)])
def test_nothing_is_counted_twice_whatever_a_write_is_answered(story, slow, status, took_effect):
    assert answer_every_write(story, status=status, took_effect=took_effect) >= 2


def test_failures_that_different_planners_saw_count_together():
    async def story():
        cluster = await a_cluster("a", "b")
        cluster.add_lws()
        await cluster.rest()
        await fail_a_node(cluster)
        assert set(cluster.places().values()) == {"a-0", "a-1"}
        await next_planner(cluster)
        await fail_a_node(cluster)
        assert set(cluster.places().values()) == {"b-0", "b-1"}
        await cluster.stop()

    run(story())


def test_a_group_that_is_whole_where_it_was_refused_leaves_nothing_to_remember():
    async def story():
        cluster = await a_cluster("a")
        refuse(cluster, "a")
        cluster.add_lws()
        while cluster.said("Moving") == []:
            await cluster.round()
        assert remembered(cluster)[0] == [("a", 1)]
        await next_planner(cluster)
        cluster.binds = lambda name: True
        await cluster.rest(quiet=30)
        assert cluster.not_whole() == []
        assert leases(cluster) == []
        await cluster.stop()

    run(story())


def test_what_is_too_old_to_matter_is_forgotten_by_whoever_leads_then():
    async def story():
        cluster = await a_cluster("a")
        cluster.add_lws()
        await cluster.rest()
        await fail_a_node(cluster)
        await next_planner(cluster)
        assert remembered(cluster)[1] == {"a": 1}
        await cluster.rest(quiet=1900)
        assert leases(cluster) == []
        await cluster.stop()

    run(story())


def test_what_went_wrong_for_a_group_that_is_no_more_is_forgotten_at_once():
    async def story():
        cluster = await a_cluster("a")
        cluster.add_lws()
        await cluster.rest()
        await fail_a_node(cluster)
        assert len(leases(cluster)) == 1
        cluster.delete("leaderworkersets", "llm")
        await cluster.rest()
        assert leases(cluster) == []
        await cluster.stop()

    run(story())


BROKEN = ["", "{}", "null", '{"version": "v2"}']


@pytest.mark.parametrize("text", BROKEN)
def test_what_cannot_be_read_stops_no_planner_and_is_written_anew(text):
    async def story():
        cluster = await a_cluster("a", "b")
        cluster.add_lws()
        await cluster.rest()
        await fail_a_node(cluster)
        (lease,) = leases(cluster)
        lease["metadata"]["annotations"] = {keys.TROUBLES: text}
        cluster.server.put("leases", lease)
        await next_planner(cluster)
        await fail_a_node(cluster)
        assert cluster.not_whole() == []
        assert set(cluster.places().values()) == {"a-0", "a-1"}, "the first is forgotten"
        await fail_a_node(cluster)
        assert set(cluster.places().values()) == {"b-0", "b-1"}
        await cluster.stop()

    run(story())


def test_a_memory_that_cannot_be_written_holds_up_no_repair():
    async def story():
        cluster = await a_cluster("a", "b")
        cluster.add_lws()
        await cluster.rest()
        api = cluster.brain.api
        api.answer_at(len(api.writes), 422)
        await fail_a_node(cluster)
        await fail_a_node(cluster)
        assert set(cluster.places().values()) == {"b-0", "b-1"}
        assert remembered(cluster)[1] == {"a": 2}
        assert cluster.not_whole() == []
        await cluster.stop()

    run(story())
