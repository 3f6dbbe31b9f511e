"""Passes over the placeholder pods, on a cache that changes meanwhile."""

import asyncio
from types import SimpleNamespace

from support.scale_up import OURS, Api, a_group, a_leader, started
from support.virtual_time import run

from lws_placement.cluster.cache.cluster_cache import ClusterCache
from lws_placement.cluster.cache.topology_index import TopologyIndex
from lws_placement.engine.model.verdicts import NoFit
from lws_placement.engine.preemption.search import NoPreemption, WhyNoPreemption
from lws_placement.engine.reconcile.actions import Wait
from lws_placement.engine.reconcile.group_state import GroupState
from lws_placement.planner.scale_up.candidates import Candidates


def test_placeholders_that_others_delete_are_made_again_and_end_nothing():
    async def story():
        cache, api = ClusterCache(TopologyIndex(), namespace=OURS), Api()
        candidates = Candidates(after_s=0, most=2)
        reporter = SimpleNamespace(scale_up=lambda *_: None)
        running = started(api, cache, candidates, reporter)
        ids = [a_leader(cache, name) for name in ("a", "b")]

        def waits(id_):
            wait = Wait(NoFit("slice"), a_group(id_), NoPreemption(WhyNoPreemption.NO_HELP))
            leader = (cache.pod(f"leader-{id_.lws}"),)
            candidates.decided(GroupState(id_, leader, (), None, {}, plan_id="plan"), [wait])

        waits(ids[0])
        await asyncio.sleep(1)
        first = list(api.made)
        assert len(first) == 2

        def they_go():
            for pod in cache.placeholders_of(ids[0]):
                cache.drop_pod(pod.uid, version=2)

        api.meanwhile = they_go
        waits(ids[1])
        await asyncio.sleep(100)
        assert api.made[:2] == first
        assert sorted(api.made[2:4])[0] != first[0], "the other group's come in the same pass"
        assert first[0] in api.made[4:]
        assert not running.done()
        assert api.deleted == []
        running.cancel()

    run(story())


CAPACITY = "pod didn't trigger scale-up: 1 max node group size reached"


def an_event(name, reason, note, *, by, at="2026-01-01T00:00:00Z"):
    """As events.k8s.io shows one that was written in the core API, as autoscalers do."""
    return {
        "metadata": {"creationTimestamp": at},
        "name": name,
        "reason": reason,
        "note": note,
        "deprecatedSource": {"component": by},
    }


def given_up(events_of):
    """What is said of a request that is given up. `events_of`: those of a pod of this name."""
    said = []

    async def story():
        cache, api = ClusterCache(TopologyIndex(), namespace=OURS), Api()
        candidates = Candidates(after_s=0, most=2)
        reporter = SimpleNamespace(
            scale_up=lambda *_: None, scale_up_failed=lambda _, note: said.append(note)
        )
        running = started(api, cache, candidates, reporter)
        id_ = a_leader(cache, "a")
        wait = Wait(NoFit("slice"), a_group(id_), NoPreemption(WhyNoPreemption.NO_HELP))
        seen = GroupState(id_, (cache.pod("leader-a"),), (), None, {}, plan_id="plan")
        candidates.decided(seen, [wait])
        await asyncio.sleep(1)
        api.events = [event for name in api.made for event in events_of(name)]
        while not said:
            await asyncio.sleep(10)
        assert sorted(api.deleted) == sorted(api.made)
        running.cancel()

    run(story())
    return said


def test_a_request_that_is_given_up_is_told_with_the_autoscalers_latest_words():
    def events_of(name):
        yield an_event(name, "NotTriggerScaleUp", "an earlier word", by="cluster-autoscaler")
        later = "2026-01-01T00:05:00Z"
        yield an_event(name, "NotTriggerScaleUp", CAPACITY, by="cluster-autoscaler", at=later)
        yield an_event(name, "FailedScheduling", "0/3 nodes are available", by="default-scheduler")

    assert given_up(events_of) == [f"0 of 2 nodes came in 600 s: {CAPACITY}"]


def test_karpenters_words_count_and_kube_schedulers_of_the_same_reason_do_not():
    def events_of(name):
        yield an_event(name, "FailedScheduling", "no instance type", by="karpenter")
        later = "2026-01-01T00:05:00Z"
        yield an_event(name, "FailedScheduling", "0/3 nodes", by="default-scheduler", at=later)

    assert given_up(events_of) == ["0 of 2 nodes came in 600 s: no instance type"]


def test_without_any_words_the_numbers_are_told():
    assert given_up(lambda name: ()) == ["0 of 2 nodes came in 600 s"]
