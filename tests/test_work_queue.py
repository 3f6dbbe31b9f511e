"""The queue of keys: once while waiting, again if added while handled, back-off after failures."""

import asyncio

import pytest

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


async def test_a_key_that_has_failed_ten_thousand_times_is_retried_still():
    queue = WorkQueue()
    for _ in range(10_000):
        queue.add("a")
        queue.done(await queue.take(), failed=True)
    queue.add("a")
    assert await queue.take() == "a"
