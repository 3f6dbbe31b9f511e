"""What Kueue is answered about the Workloads of groups."""

import asyncio
from dataclasses import replace

import pytest
from support.decisions import KEY, a_hold, a_seen
from support.kueue import ASKED, GROUP, a_check, a_workload
from support.virtual_time import run

from lws_placement.cluster.api.client import APPLY_PATCH
from lws_placement.cluster.cache.cluster_cache import ClusterCache
from lws_placement.cluster.cache.topology_index import TopologyIndex
from lws_placement.engine.model.groups import Group, Member
from lws_placement.engine.model.pods import Demand
from lws_placement.engine.model.verdicts import NoFit
from lws_placement.engine.objects.nodes import DomainName
from lws_placement.engine.objects.placement_request import TopologyRequest
from lws_placement.engine.preemption.search import NoPreemption, WhyNoPreemption
from lws_placement.engine.reconcile.actions import Blocked, Hindrance, Wait
from lws_placement.engine.reconcile.quota import Quota, QuotaState
from lws_placement.errors import ConflictError
from lws_placement.planner.admission_checks import AdmissionChecks

PATH = "/apis/kueue.x-k8s.io/v1beta2/namespaces/ns/workloads/leaderworkerset-llm-1/status"
CHECK = "/apis/kueue.x-k8s.io/v1beta2/admissionchecks/room/status"
ACTIVE = a_check(status={"conditions": [{"type": "Active", "status": "True"}]})
SINCE_S = 60.0
"""When the quota of `ASKED` was reserved."""


class Api:
    def __init__(self, cache):
        self._cache = cache
        self.answers, self.paths, self.error = [], [], None

    async def patch(self, path, body, *, content_type, params):
        assert content_type == APPLY_PATCH
        assert params == {"force": "true"}
        self.paths.append(path)
        if self.error is not None:
            raise self.error
        if path == CHECK:
            self._cache.quotas.put_check(ACTIVE)
            return {}
        (entry,) = body["status"]["admissionChecks"]
        self.answers.append((entry["state"], entry["message"]))
        raw = a_workload("QuotaReserved")
        raw["status"]["admissionChecks"] = [entry]
        self._cache.quotas.put_workload(raw)
        return {}


class Story:
    """One group that Kueue asks us about."""

    def __init__(self, *, check=ACTIVE, workload=ASKED, **more):
        self.cache = ClusterCache(TopologyIndex(), namespace="lws-placement-system")
        self.cache.quotas.put_check(check)
        self.cache.quotas.put_workload(workload)
        self.api = Api(self.cache)
        now = asyncio.get_running_loop().time
        self.checks = AdmissionChecks(
            self.api, self.cache, patience_s=600.0, clock=lambda: SINCE_S + now(), **more
        )
        self.task = asyncio.create_task(self.checks.run())

    def decided(self, *actions):
        seen = replace(a_seen(), id=GROUP, quota=self.cache.quotas.of(GROUP))
        self.checks.decided(seen, actions)

    def hold(self):
        self.cache.put_hold(a_hold("s3", group=GROUP, resource_version="3"))
        self.checks.done(GROUP, ())


def story(told):
    async def whole():
        await told()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()

    run(whole())


def waits(topology_key="slice"):
    group = Group(GROUP, TopologyRequest(outer="slice"), (Member(0, Demand(())),))
    return Wait(NoFit(topology_key), group, NoPreemption(WhyNoPreemption.NO_HELP))


NO_NODE = "no node carries the label slice"


def test_our_checks_say_that_we_answer_them():
    async def told():
        it = Story(check=a_check())
        await asyncio.sleep(1)
        assert it.api.paths == [CHECK]

    story(told)


def test_a_group_that_waits_is_pending_with_words_told_once():
    async def told():
        it = Story()
        it.decided(waits())
        await asyncio.sleep(1)
        it.decided(waits())
        await asyncio.sleep(20)
        ((state, words),) = it.api.answers
        assert state == "Pending"
        assert words.startswith(NO_NODE)

    story(told)


def test_it_is_ready_once_its_hold_is_written():
    async def told():
        it = Story()
        it.decided(waits())
        await asyncio.sleep(1)
        it.decided()
        it.hold()
        await asyncio.sleep(1)
        assert it.api.answers[1:] == [("Ready", f"{KEY}=s3 is held for its 2 pods")]
        await asyncio.sleep(2000)
        assert len(it.api.answers) == 2

    story(told)


def test_one_whose_place_is_lost_before_it_is_admitted_is_pending_again():
    async def told():
        it = Story()
        it.decided()
        it.hold()
        await asyncio.sleep(1)
        it.cache.drop_hold(DomainName(KEY, "s3"), GROUP)
        it.decided(waits())
        await asyncio.sleep(1)
        assert [state for state, _ in it.api.answers] == ["Ready", "Pending"]

    story(told)


@pytest.mark.parametrize(("rejects", "state"), [(False, "Retry"), (True, "Rejected")])
def test_after_a_patience_the_quota_is_given_back(rejects, state):
    async def told():
        it = Story(rejects=rejects)
        it.decided(waits())
        await asyncio.sleep(599)
        assert [s for s, _ in it.api.answers] == ["Pending"]
        await asyncio.sleep(10)
        last, words = it.api.answers[-1]
        assert last == state
        assert words.startswith(f"in 600 s no place was found: {NO_NODE}")
        await asyncio.sleep(100)
        assert len(it.api.answers) == 2, "Kueue has its turn"

    story(told)


def test_what_keeps_it_from_being_planned_is_told():
    async def told():
        it = Story()
        it.decided(Blocked("waits for its turn", Hindrance.GATED))
        await asyncio.sleep(1)
        assert it.api.answers == [("Pending", "waits for its turn")]

    story(told)


def test_where_kueue_chooses_the_nodes_it_is_told_what_to_do():
    async def told():
        raw = a_workload("QuotaReserved", checks=[("room", "Pending")])
        delayed = {"name": "main", "delayedTopologyRequest": "Pending"}
        raw["status"]["admission"]["podSetAssignments"] = [delayed]
        it = Story(workload=raw)
        await asyncio.sleep(1)
        ((state, words),) = it.api.answers
        assert state == "Pending"
        assert "use a flavor without topologyName" in words

    story(told)


def test_a_group_that_was_not_looked_at_yet_is_not_answered():
    async def told():
        it = Story()
        await asyncio.sleep(700)
        assert it.api.answers == []

    story(told)


def test_an_answer_that_comes_late_is_given_again():
    async def told():
        it = Story()
        it.api.error = ConflictError("changed", status=409)
        it.decided(waits())
        await asyncio.sleep(1)
        it.api.error = None
        await asyncio.sleep(6)
        assert [state for state, _ in it.api.answers] == ["Pending"]

    story(told)


def test_a_group_that_kueue_does_not_ask_about_is_not_answered():
    async def told():
        it = Story(workload=a_workload("QuotaReserved", "Admitted", checks=[("room", "Ready")]))
        assert it.cache.quotas.of(GROUP) == Quota(QuotaState.GRANTED)
        it.decided(waits())
        await asyncio.sleep(20)
        assert it.api.paths == []

    story(told)
