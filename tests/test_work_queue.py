"""The queue of keys: once while waiting, again if added while handled, back-off after failures."""

import asyncio
from itertools import pairwise

import pytest
from support.virtual_time import run

from lws_placement.errors import ApiError, NotLeaderError
from lws_placement.work_queue import WorkQueue, run_queue


async def test_a_key_that_waits_is_handled_once_and_one_added_meanwhile_again():
    queue = WorkQueue()
    seen = []
    third = asyncio.Event()

    async def handle(key):
        seen.append(key)
        if len(seen) == 1:
            queue.add("a")
            queue.add("a")
        if seen.count("a") == 2 and "b" in seen:
            third.set()

    for key in ("a", "a", "b"):
        queue.add(key)
    task = asyncio.create_task(run_queue(queue, handle, workers=2))
    await asyncio.wait_for(third.wait(), 5)
    task.cancel()
    assert sorted(seen) == ["a", "a", "b"]


async def test_a_failure_is_retried():
    queue = WorkQueue()
    tries = []
    done = asyncio.Event()

    async def handle(key):
        tries.append(key)
        if len(tries) < 3:
            raise ApiError("down")
        done.set()

    queue.add("a")
    task = asyncio.create_task(run_queue(queue, handle))
    await asyncio.wait_for(done.wait(), 5)
    task.cancel()
    assert tries == ["a"] * 3


async def test_being_deposed_ends_the_loop():
    queue = WorkQueue()

    async def handle(key):
        raise NotLeaderError("lapsed")

    queue.add("a")
    with pytest.raises(ExceptionGroup) as raised:
        await asyncio.wait_for(run_queue(queue, handle), 5)
    assert raised.group_contains(NotLeaderError)


def test_a_key_that_has_failed_ten_thousand_times_is_retried_still():
    async def story():
        queue = WorkQueue()
        for _ in range(10_000):
            queue.add("a")
            queue.done(await queue.take(), failed=True)
        assert await queue.take() == "a"

    run(story())


def test_a_handler_that_causes_events_and_then_fails_is_not_called_again_and_again():
    async def story():
        queue, at = WorkQueue(), []
        now = asyncio.get_running_loop().time

        async def handle(key):
            at.append(now())
            queue.add(key)  # as by an event of its own write, told at once
            queue.add(key, delay_s=0.05)  # or after a moment
            asyncio.get_running_loop().call_later(0.01, queue.add, key)  # or once it has failed
            raise ApiError("422", status=422)

        queue.add("a")
        task = asyncio.create_task(run_queue(queue, handle))
        await asyncio.sleep(600)
        task.cancel()
        return at

    at = run(story())
    assert len(at) < 10 + 600 / 0.5
    assert min(b - a for a, b in pairwise(at[10:])) > 0.4


def test_a_failed_key_comes_back_at_the_next_event_and_at_once_after_a_success():
    async def story():
        queue, at = WorkQueue(), []
        now = asyncio.get_running_loop().time

        async def handle(key):
            at.append(now())
            if now() < 1000:
                raise ApiError("403", status=403)

        queue.add("a")
        task = asyncio.create_task(run_queue(queue, handle))
        await asyncio.sleep(1000)
        alone = len(at)
        queue.add("a")
        await asyncio.sleep(1.5)
        after_the_event = len(at)
        queue.add("a")
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        task.cancel()
        return alone, after_the_event - alone, len(at) - after_the_event

    alone, after_the_event, at_once = run(story())
    assert alone < 100
    assert (after_the_event, at_once) == (1, 1)
