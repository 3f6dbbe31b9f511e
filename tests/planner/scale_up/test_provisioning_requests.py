"""Passes over placeholder pods that consume ProvisioningRequests."""

import asyncio
from types import SimpleNamespace

from support.scale_up import CLASS, OURS, REQUESTS, TEMPLATES, Api, a_group, a_leader, started
from support.virtual_time import run

from lws_placement.cluster.cache.cluster_cache import ClusterCache
from lws_placement.cluster.cache.topology_index import TopologyIndex
from lws_placement.engine.base import keys
from lws_placement.engine.model.verdicts import NoFit
from lws_placement.engine.preemption.search import NoPreemption, WhyNoPreemption
from lws_placement.engine.reconcile.actions import Wait
from lws_placement.engine.reconcile.group_state import GroupState
from lws_placement.planner.scale_up.candidates import Candidates
from lws_placement.planner.scale_up.means import Means, by_pods

BY_REQUESTS = Means(requests=True, provisioning=True, falls_back=False, words="by requests")
FALLS_BACK = Means(requests=True, provisioning=True, falls_back=True, words="by requests")


class Story:
    """One group that waits, and nodes that are requested for it by ProvisioningRequests."""

    def __init__(self, means=BY_REQUESTS, api=None):
        self.cache, self.api = ClusterCache(TopologyIndex(), namespace=OURS), api or Api()
        self.said, self.used = [], []
        reporter = SimpleNamespace(
            scale_up=lambda _, note: self.said.append(note),
            scale_up_failed=lambda _, note: self.said.append(note),
        )
        self.candidates = Candidates(after_s=0, most=2)
        self.id = a_leader(self.cache, "a")
        self.task = started(
            self.api, self.cache, self.candidates, reporter, means, on_means=self.used.append
        )
        self.decided(Wait(NoFit("slice"), a_group(self.id), NoPreemption(WhyNoPreemption.NO_HELP)))

    def decided(self, *actions):
        pods = tuple(self.cache.group_pods(self.id))
        seen = GroupState(self.id, pods, (), None, {}, plan_id="plan")
        self.candidates.decided(seen, actions)

    @property
    def requests(self):
        return [o for path, o in self.api.objects.items() if path.startswith(REQUESTS)]

    @property
    def templates(self):
        return [o for path, o in self.api.objects.items() if path.startswith(TEMPLATES)]

    def answers(self, *conditions):
        (request,) = self.requests
        names = ("type", "status", "message")
        request["status"] = {"conditions": [dict(zip(names, c, strict=True)) for c in conditions]}


def story(told):
    """Runs the coroutine function."""

    async def whole():
        await told()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()

    run(whole())


def test_a_request_counts_alike_members_and_goes_with_the_group():
    async def told():
        it = Story()
        await asyncio.sleep(1)
        (request,), (template,) = it.requests, it.templates
        name = template["metadata"]["name"]
        assert request["spec"] == {
            "provisioningClassName": CLASS,
            "podSets": [{"podTemplateRef": {"name": name}, "count": 2}],
        }
        assert len(it.api.made) == 2
        it.cache.drop_pod("leader-a")
        it.decided()
        await asyncio.sleep(1)
        assert sorted(it.api.deleted) == sorted(it.api.made)
        assert it.api.objects == {}

    story(told)


def test_a_request_that_is_lost_is_made_again_as_its_placeholders_are_there():
    async def told():
        it = Story()
        await asyncio.sleep(1)
        before = dict(it.api.objects)
        it.api.objects.clear()
        await asyncio.sleep(10)
        assert it.api.objects == before
        assert len(it.api.made) == 2

    story(told)


def test_what_an_earlier_planner_left_goes_though_nodes_are_not_requested_any_more():
    async def told():
        it = Story()
        await asyncio.sleep(1)
        off = Means(requests=False, provisioning=False, falls_back=False, words="off")
        heir = Story(off, api=it.api)
        it.task.cancel()
        await asyncio.sleep(1)
        assert heir.api.objects == {}

    story(told)


def test_its_answer_is_noted_once():
    async def told():
        it = Story()
        await asyncio.sleep(1)
        it.answers(("Accepted", "True", "yes"), ("Provisioned", "False", "none so far"))
        await asyncio.sleep(6)
        first = min(it.api.made)
        assert it.api.patched == [(first, {keys.SCALE_UP_ANSWER: "none so far"})]

    story(told)


def test_a_request_that_failed_is_given_up_at_once_with_its_words():
    async def told():
        it = Story()
        await asyncio.sleep(1)
        it.answers(("Accepted", "True", "yes"), ("Failed", "True", "no quota"))
        await asyncio.sleep(6)
        assert it.said[-1] == "0 of 2 nodes came: the ProvisioningRequest failed: no quota"
        assert it.requests == it.templates == []
        assert sorted(it.api.deleted) == sorted(it.api.made)

    story(told)


def test_one_whose_booking_is_over_before_all_nodes_came_is_given_up():
    async def told():
        it = Story()
        await asyncio.sleep(1)
        it.answers(("Provisioned", "True", "made"), ("BookingExpired", "True", "10 minutes"))
        await asyncio.sleep(6)
        assert it.said[-1] == "0 of 2 nodes came: the ProvisioningRequest is over: 10 minutes"

    story(told)


def test_one_that_nobody_accepts_is_given_up_with_what_to_look_at():
    async def told():
        it = Story()
        await asyncio.sleep(640)
        assert "--enable-provisioning-requests, and does it know class some-class?" in it.said[-1]
        assert it.requests == []

    story(told)


def test_where_nobody_accepts_it_placeholders_alone_request_nodes_if_that_was_not_asked_for():
    async def told():
        it = Story(FALLS_BACK)
        await asyncio.sleep(1)
        consuming = list(it.api.made)
        await asyncio.sleep(200)
        assert it.used == [FALLS_BACK, by_pods()]
        assert it.requests == it.templates == []
        assert sorted(it.api.deleted) == sorted(consuming)
        known = it.cache.placeholders.of_group(it.id).values()
        assert [p.consumes for p in known] == ["", ""]

    story(told)


def test_one_that_was_accepted_keeps_its_means():
    async def told():
        it = Story(FALLS_BACK)
        await asyncio.sleep(1)
        it.answers(("Accepted", "True", "yes"))
        await asyncio.sleep(300)
        assert it.used == [FALLS_BACK]
        assert len(it.requests) == 1

    story(told)


def test_a_cluster_that_does_not_take_requests_is_told_and_keeps_no_placeholders():
    async def told():
        api = Api()
        api.refused = REQUESTS
        it = Story(api=api)
        await asyncio.sleep(1)
        assert it.said == ["the API server refuses its objects: no"]
        assert sorted(api.deleted) == sorted(api.made)
        await asyncio.sleep(40)
        assert api.objects == {}

    story(told)
