"""A search for victims that takes long must not become all that the planner does."""

import asyncio

from support.evictions import HIGH, forbid_evictions, low_has_the_only_slice, told

from lws_placement.engine.base import keys
from lws_placement.engine.preemption.search import NoPreemption, Preemption
from lws_placement.planner.limits import searches

SEARCH_S = 2.0
HELD_BACK_S = 60.0


def count_slow_searches(monkeypatch):
    """When each was made."""
    times = []

    class Slow(searches.Turns):
        async def run(self):
            loop = asyncio.get_running_loop()
            times.append(loop.now)
            self.spent_s = SEARCH_S
            await asyncio.sleep(SEARCH_S)
            return await super().run()

    monkeypatch.setattr(searches, "Turns", Slow)
    return times


async def a_gang_waits(cluster):
    await low_has_the_only_slice(cluster)
    forbid_evictions(cluster, "low")
    cluster.add_lws("high", notes={keys.GANG: "true"}, priority=HIGH)
    await cluster.rest()


async def time_passes(cluster, *, until):
    """With an event after which there might be room, every second."""
    loop = asyncio.get_running_loop()

    def changed(node):
        node["metadata"]["labels"]["now"] = str(loop.now)

    while loop.now < until:
        cluster.change("nodes", "a-0", changed, namespace="")
        await asyncio.sleep(1)


def test_all_searches_together_take_a_tenth_of_the_time(monkeypatch):
    times = count_slow_searches(monkeypatch)

    async def story(cluster):
        await a_gang_waits(cluster)
        cluster.add_lws("higher", notes={keys.GANG: "true"}, priority=HIGH + 1)
        await cluster.rest()
        begun = asyncio.get_running_loop().now
        times.clear()
        await time_passes(cluster, until=begun + 400)

    told(story)
    assert 15 <= len(times) <= 20, "2 s each in 400 s"


def test_room_is_taken_at_once_and_not_only_when_it_is_searched_again(monkeypatch):
    times = count_slow_searches(monkeypatch)

    async def story(cluster):
        await a_gang_waits(cluster)
        searched = len(times)
        cluster.add_slice("b")
        await cluster.rest()
        assert {"high-0", "high-0-1"} <= set(cluster.places())
        assert len(times) == searched

    told(story)


def test_it_is_searched_again_in_the_end_if_something_changed_meanwhile(monkeypatch):
    times = count_slow_searches(monkeypatch)

    async def story(cluster):
        await a_gang_waits(cluster)
        cluster.change(
            "poddisruptionbudgets", "keep", lambda b: b["status"].update(disruptionsAllowed=2)
        )
        await cluster.rest()
        await asyncio.sleep(10 * SEARCH_S)
        await cluster.rest()
        assert set(cluster.places()) == {"high-0", "high-0-1"}

    told(story)
    assert len(times) >= 2


def hold_back_answers(monkeypatch, found):
    """The answer of a search is put down at once, and known to the planner only later."""

    class Late(searches.Turns):
        async def run(self):
            answer = await super().run()
            found.append(answer)
            await asyncio.sleep(HELD_BACK_S)
            return answer

    monkeypatch.setattr(searches, "Turns", Late)


def test_victims_that_were_found_are_spared_if_the_cluster_has_changed_since(monkeypatch):
    found = []
    hold_back_answers(monkeypatch, found)

    async def story(cluster):
        await low_has_the_only_slice(cluster)
        cluster.add_lws("high", notes={keys.GANG: "true"}, priority=HIGH)
        await cluster.until(lambda: found)
        assert isinstance(found[0], Preemption)
        forbid_evictions(cluster, "low")
        await asyncio.sleep(HELD_BACK_S)
        await cluster.rest()
        assert set(cluster.places()) == {"low-0", "low-0-1"}
        assert isinstance(found[1], NoPreemption), "and it was searched again, in vain"

    told(story)


def test_a_search_that_fails_is_made_again(monkeypatch):
    times = []

    class Failing(searches.Turns):
        async def run(self):
            times.append(asyncio.get_running_loop().now)
            self.spent_s = SEARCH_S
            if len(times) == 1:
                raise KeyError("a node that has gone meanwhile")
            return await super().run()

    monkeypatch.setattr(searches, "Turns", Failing)

    async def story(cluster):
        await low_has_the_only_slice(cluster)
        cluster.add_lws("high", notes={keys.GANG: "true"}, priority=HIGH)
        await cluster.rest()
        await asyncio.sleep(10 * SEARCH_S)
        await cluster.rest()
        assert set(cluster.places()) == {"high-0", "high-0-1"}

    told(story)
    assert len(times) >= 2
