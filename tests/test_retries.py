"""Nothing repeats a request often that the API server refuses, whatever is refused and for how
long; and each says so in the metric `lws_placement_retries_total`. Ten minutes of virtual time.
"""

import asyncio
import logging

import pytest
from prometheus_client import generate_latest
from support.fake_cluster import FakeCluster
from support.fake_server import FakeServer, refused
from support.fakes import FakeApi, parse
from support.rollout_cluster import RolloutCluster
from support.same_loop import SameLoop
from support.scrape import moved, samples
from support.virtual_time import run

from lws_placement.cluster.api.events import Event, EventRecorder
from lws_placement.cluster.api.leader_election import Elector, Leadership, Timing
from lws_placement.cluster.api.watch import Watcher
from lws_placement.errors import ApiError, InvalidObjectError
from lws_placement.retried import retried

LONG_S = 600.0
MOST = 200
"""Requests in that time, if one is made every 2.5 to 5 s."""
MOST_REFUSED = 30
"""If they are as far apart as half a minute to a minute."""
STATUSES = [403, 422, 429, 500, 409, 0]


class Refusing(FakeApi):
    """Refuses the writes of some kind, and counts them."""

    def __init__(self, server):
        super().__init__(server)
        self.refuses = None
        self.refused = 0
        self.asks_for_s = 0.0

    def refuse(self, verb, resource, status, *, asks_for_s=0.0):
        """`asks_for_s`: by `Retry-After`."""
        self.refuses = (verb, resource), status
        self.asks_for_s = asks_for_s

    async def _write(self, verb, resource, effect):
        if self.refuses is not None and (verb, resource) == self.refuses[0]:
            self.refused += 1
            await self._alive()
            raise refused(self.refuses[1], "as the test wants it", retry_after_s=self.asks_for_s)
        return await super()._write(verb, resource, effect)


def counted(part, story):
    """What the story returns; the metric has moved."""
    before = samples(generate_latest().decode())
    result = run(story)
    after = samples(generate_latest().decode())
    assert moved(before, after).get(("lws_placement_retries_total", part), 0) > 0
    return result


class Watched:
    """`how`: what a list or watch raises, or does."""

    def __init__(self, *, lists=None, watches=None):
        self._lists, self._watches = lists, watches
        self.calls = 0

    async def pages(self, path, **params):
        self.calls += 1
        if self._lists is not None:
            raise refused(self._lists, "no list")
        yield [], "50"

    async def watch(self, path, **params):
        self.calls += 1
        if self._watches is not None:
            raise refused(self._watches, "no watch")
        for _ in ():
            yield


@pytest.mark.parametrize(
    "how",
    [
        *({"lists": status} for status in (*STATUSES, 410)),
        *({"watches": status} for status in (*STATUSES, 410)),
        {},
    ],
    ids=str,
)
def test_a_watch_that_brings_nothing_is_begun_again_less_and_less_often(how):
    async def story():
        api = Watched(**how)
        task = asyncio.create_task(Watcher(api, "/x", on_event=lambda *_: None).run())
        await asyncio.sleep(LONG_S)
        task.cancel()
        return api.calls

    assert 2 < counted("watch", story()) < 2 * MOST


@pytest.mark.parametrize("status", STATUSES)
def test_a_term_that_fails_at_once_is_not_begun_at_once(status):
    async def story():
        api, terms = FakeApi(FakeServer()), []
        timing = Timing(duration_s=15, renew_deadline_s=10, retry_s=2)
        elector = Elector(
            api, Leadership(), namespace="ns", identity="me", timing=timing, side=SameLoop()
        )

        async def lead():
            terms.append(1)
            raise refused(status, "no list of holds")

        task = asyncio.create_task(elector.run(lead))
        await asyncio.sleep(LONG_S)
        task.cancel()
        await asyncio.wait([task])
        return len(terms)

    assert 2 < counted("leading", story()) < MOST_REFUSED + 20


@pytest.mark.parametrize("error", [ApiError("no", status=403), InvalidObjectError("half a Secret")])
def test_what_a_process_needs_to_start_is_asked_for_again_after_a_while(error):
    async def story():
        calls = []

        async def call():
            calls.append(1)
            raise error

        task = asyncio.create_task(retried(call))
        await asyncio.sleep(LONG_S)
        task.cancel()
        return len(calls)

    assert 2 < counted("start", story()) < MOST + 20


ASKED_FOR_S = 50.0


def at_most_in(long_s, *, each=1):
    """So many requests of one object, if each comes when the API server wants it, or later."""
    return each * (long_s / ASKED_FOR_S + 1)


@pytest.mark.parametrize("write", [("patch", "pods"), ("create", "leases")])
def test_the_planner_comes_back_when_the_api_server_wants_it(write):
    async def story():
        cluster = FakeCluster()
        await cluster.start()
        api = brain_of(cluster)
        api.refuse(*write, 429, asks_for_s=ASKED_FOR_S)
        cluster.add_slice("a")
        cluster.add_lws()
        return await refusals(cluster, api, rounds=8)

    conditions = at_most_in(LONG_S)  # on the leader, by a part of its own
    assert 2 < counted("planner", story()) <= at_most_in(LONG_S) + conditions


def test_the_controller_comes_back_when_the_api_server_wants_it():
    async def story():
        cluster = RolloutCluster()
        await cluster.start()
        api = brain_of(cluster)
        api.refuse("create", "controllerrevisions", 429, asks_for_s=ASKED_FOR_S)
        cluster.add_lws()
        return await refusals(cluster, api)

    assert 2 < counted("controller", story()) <= at_most_in(LONG_S)


def test_what_a_process_needs_to_start_is_asked_for_when_the_api_server_wants_it():
    async def story():
        calls = []

        async def call():
            calls.append(1)
            raise refused(429, "busy", retry_after_s=ASKED_FOR_S)

        task = asyncio.create_task(retried(call))
        await asyncio.sleep(LONG_S)
        task.cancel()
        return len(calls)

    assert 2 < counted("start", story()) <= at_most_in(LONG_S)


def test_a_watch_is_begun_again_when_the_api_server_wants_it():
    async def story():
        class Busy:
            calls = 0

            async def pages(self, path, **params):
                self.calls += 1
                raise refused(429, "busy", retry_after_s=ASKED_FOR_S)
                yield

        api = Busy()
        task = asyncio.create_task(Watcher(api, "/x", on_event=lambda *_: None).run())
        await asyncio.sleep(LONG_S)
        task.cancel()
        return api.calls

    assert 2 < counted("watch", story()) <= at_most_in(LONG_S)


def test_others_do_not_wait_for_a_group_that_the_api_server_puts_off():
    async def story():
        cluster = FakeCluster()
        await cluster.start()
        api = brain_of(cluster)
        api.refuse("patch", "pods", 429, asks_for_s=ASKED_FOR_S)
        cluster.add_slice("a")
        cluster.add_slice("b")
        cluster.add_lws()
        for _ in range(4):
            await cluster.round()
        before = api.refused
        assert before
        api.refuses = None
        cluster.add_lws("other")
        began = asyncio.get_running_loop().time()
        while not any(h.group.lws == "other" for h in cluster.brain.cache.holds()):
            await cluster.round()
        took_s = asyncio.get_running_loop().time() - began
        await cluster.stop()
        return took_s

    assert run(story()) < ASKED_FOR_S / 2


def brain_of(cluster):
    """Its API server refuses from here on."""
    cluster.brain.api.__class__ = Refusing
    cluster.brain.api.refuses, cluster.brain.api.refused = None, 0
    cluster.brain.api.asks_for_s = 0.0
    return cluster.brain.api


async def refusals(cluster, api, *, rounds=0):
    """How many requests were refused while the cluster goes on for long."""
    for _ in range(rounds):
        await cluster.round()
    await asyncio.sleep(LONG_S)
    await cluster.stop()
    return api.refused


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("write", [("patch", "pods"), ("create", "leases")])
def test_the_planner_backs_off_from_a_group_whose_writes_are_refused(write, status):
    async def story():
        cluster = FakeCluster()
        await cluster.start()
        api = brain_of(cluster)
        api.refuse(*write, status)
        cluster.add_slice("a")
        cluster.add_lws()
        return await refusals(cluster, api, rounds=8)

    found = counted("planner", story())
    assert 2 < found < (MOST_REFUSED if status in (403, 422) else MOST) + 30


def test_the_planner_asks_less_and_less_often_what_became_of_a_hold():
    async def story():
        cluster = FakeCluster()
        await cluster.start()
        api, reads = cluster.brain.api, []
        get = api.get

        async def refused_get(path, **params):
            if parse(path)[0] == "leases":
                reads.append(path)
                raise refused(500, "no lease")
            return await get(path, **params)

        api.get = refused_get
        brain_of(cluster).refuse("create", "leases", 0)
        cluster.add_slice("a")
        cluster.add_lws()
        for _ in range(4):
            await cluster.round()
        await asyncio.sleep(LONG_S)
        await cluster.stop()
        return len(reads)

    assert 2 < counted("hold", story()) < MOST


def test_the_condition_of_waiting_leaders_is_written_less_and_less_often_in_vain():
    async def story():
        cluster = FakeCluster()
        await cluster.start()
        api = brain_of(cluster)
        api.refuse("patch", "pods", 500)
        cluster.add_lws()
        return await refusals(cluster, api, rounds=8)

    assert 2 < counted("annotation", story()) < MOST_REFUSED


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize(
    "write",
    [
        ("create", "controllerrevisions"),
        ("apply", "statefulsets"),
        ("create", "services"),
        ("replace status", "leaderworkersets"),
    ],
)
def test_the_controller_backs_off_from_a_set_whose_writes_are_refused(write, status):
    async def story():
        cluster = RolloutCluster()
        await cluster.start()
        api = brain_of(cluster)
        api.refuse(*write, status)
        cluster.add_lws()
        return await refusals(cluster, api)

    assert 2 < counted("controller", story()) < 2 * MOST_REFUSED


@pytest.mark.parametrize("status", STATUSES)
def test_events_of_a_namespace_that_takes_none_are_dropped(status, caplog):
    caplog.set_level(logging.CRITICAL)

    async def story():
        calls = []

        class Api:
            async def create(self, path, body):
                calls.append(path)
                raise refused(status, "quota")

        now = asyncio.get_running_loop().time
        recorder = EventRecorder(Api(), instance="test", clock=now)
        pod = {"metadata": {"name": "p", "namespace": "ns", "uid": "u"}}
        about = {"apiVersion": "v1", "kind": "Pod", **pod}
        for number in range(int(LONG_S * 10)):
            await recorder.emit(about, Event("Waiting", f"note {number}", "Plan"))
            await asyncio.sleep(0.1)
        return len(calls)

    assert 2 < counted("event", story()) < MOST_REFUSED
