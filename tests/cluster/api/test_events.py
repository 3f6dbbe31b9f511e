"""Events are said once, and not again for numbers alone (`cluster/api/events.py`)."""

import pytest
from support.fake_server import FakeServer
from support.fakes import FakeApi

from lws_placement.cluster.api.events import Event, EventRecorder

POD = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "ns", "uid": "u"}}


class Clock:
    now_s = 0.0

    def __call__(self):
        return self.now_s


@pytest.fixture
def server():
    return FakeServer()


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def say(server, clock):
    recorder = EventRecorder(FakeApi(server), instance="test", clock=clock)

    async def say(note, gist=""):
        await recorder.emit(POD, Event("Waiting", note, "Plan", gist=gist))
        return [e["note"] for e in server.all("events")]

    return say


async def test_the_same_words_are_said_once(say):
    await say("waits")
    assert await say("waits") == ["waits"]
    assert sorted(await say("waits longer")) == ["waits", "waits longer"]


async def test_other_numbers_are_no_news_until_some_minutes_have_passed(say, clock):
    await say("3 domains lack a node", gist="node")
    assert await say("4 domains lack a node", gist="node") == ["3 domains lack a node"]
    clock.now_s = 301.0
    assert len(await say("4 domains lack a node", gist="node")) == 2


async def test_another_gist_is_said_at_once(say):
    await say("3 domains lack a node", gist="node")
    assert len(await say("3 domains held", gist="held")) == 2
    assert len(await say("3 domains lack a node", gist="node")) == 3
