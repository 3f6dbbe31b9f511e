"""Passes over the placeholder pods, on a cache that changes meanwhile."""

import asyncio
from types import SimpleNamespace

from support.virtual_time import run

from lws_placement.cluster.api.timestamps import encode_time
from lws_placement.cluster.cache.cluster_cache import ClusterCache
from lws_placement.cluster.cache.topology_index import TopologyIndex
from lws_placement.engine.base import keys
from lws_placement.engine.model.groups import Group, GroupId, Member
from lws_placement.engine.model.pods import Demand
from lws_placement.engine.model.verdicts import NoFit
from lws_placement.engine.objects.placement_request import TopologyRequest
from lws_placement.engine.preemption.search import NoPreemption, WhyNoPreemption
from lws_placement.engine.reconcile.actions import Wait
from lws_placement.engine.reconcile.group_state import GroupState
from lws_placement.errors import AlreadyExistsError, ApiError
from lws_placement.planner.scale_up.answers import Answers
from lws_placement.planner.scale_up.candidates import Candidates
from lws_placement.planner.scale_up.means import Means, by_pods
from lws_placement.planner.scale_up.placeholder_pods import PlaceholderPods
from lws_placement.planner.scale_up.provisioning_requests import ProvisioningRequests

OURS = "lws-placement-system"


PODS = f"/api/v1/namespaces/{OURS}/pods"
REQUESTS = f"/apis/autoscaling.x-k8s.io/v1/namespaces/{OURS}/provisioningrequests"
TEMPLATES = f"/api/v1/namespaces/{OURS}/podtemplates"
CLASS = "some-class"


class Api:
    """`objects`: by their path, but for pods. `refused`: a path that no object is created at."""

    def __init__(self):
        self.made, self.deleted, self.events, self.patched = [], [], [], []
        self.objects = {}
        self.refused = ""
        self.meanwhile = lambda: None

    async def create(self, path, body):
        name = body["metadata"]["name"]
        if path == self.refused:
            raise ApiError("no", status=422)
        if path != PODS:
            if f"{path}/{name}" in self.objects:
                raise AlreadyExistsError("there", status=409)
            self.objects[f"{path}/{name}"] = body
            return body
        self.made.append(name)
        self.meanwhile()
        meta = body["metadata"] | {"uid": f"uid-{len(self.made)}", "resourceVersion": "1"}
        now_s = asyncio.get_running_loop().time()
        meta["creationTimestamp"] = encode_time(now_s)
        return body | {"metadata": meta}

    async def delete(self, path, options=None):
        if path.startswith(PODS):
            self.deleted.append(path.rsplit("/", 1)[1])
        else:
            del self.objects[path]

    async def patch(self, path, body):
        self.patched.append((path.rsplit("/", 1)[1], body["metadata"]["annotations"]))
        return {"metadata": {"uid": "gone"}}

    async def list_all(self, path, **params):
        return [o for p, o in self.objects.items() if p.startswith(f"{path}/")], "1"

    async def list(self, path, *, fieldSelector, limit):
        reason, name = (part.partition("=")[2] for part in fieldSelector.split(","))
        return {"items": [e for e in self.events if (e["reason"], e["name"]) == (reason, name)]}


def a_leader(cache, name):
    """Gated, so that its group waits; returns the group's id."""
    labels = {
        keys.LWS_NAME: name,
        keys.LWS_GROUP_KEY: f"key-{name}",
        keys.LWS_WORKER_INDEX: "0",
        keys.LWS_GROUP_INDEX: "0",
    }
    annotations = {
        keys.LWS_SIZE: "2",
        keys.LWS_UID: f"uid-{name}",
        keys.LWS_EXCLUSIVE_TOPOLOGY: "slice",
    }
    owner = {"kind": "StatefulSet", "name": name, "uid": "owner", "controller": True}
    meta = {
        "name": f"{name}-0",
        "namespace": "ns",
        "uid": f"leader-{name}",
        "resourceVersion": "1",
        "labels": labels,
        "annotations": annotations,
        "ownerReferences": [owner],
    }
    spec = {"schedulingGates": [{"name": keys.GATE}], "containers": []}
    cache.put_pod({"metadata": meta, "spec": spec})
    (found,) = (group for group in cache.groups() if group.lws == name)
    return found


def a_group(id_: GroupId):
    demand = Demand((("cpu", 1000),))
    members = (Member(0, demand), Member(1, demand))
    return Group(id=id_, request=TopologyRequest(outer="slice"), members=members)


def started(api, cache, candidates, reporter, means=None, *, on_means=lambda means: None):
    """The task of its passes."""
    provisioning = ProvisioningRequests(api, namespace=OURS, class_name=CLASS)
    now = asyncio.get_running_loop().time
    answers = Answers(api, cache, provisioning, gives_up_after_s=600.0, clock=now)
    pods = PlaceholderPods(
        api,
        cache,
        candidates,
        provisioning=provisioning,
        answers=answers,
        reporter=reporter,
        namespace=OURS,
    )
    return asyncio.create_task(pods.run(means or by_pods(), on_means=on_means))


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


# -- by ProvisioningRequests -----------------------------------------------------------------------

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
