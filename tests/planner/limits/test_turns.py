"""A long computation takes turns with the event loop, and never runs beside it."""

import asyncio
import threading

import pytest

from lws_placement.planner.limits.turns import Turns


async def count_turns(turns):
    """How often the loop had a turn before the computation ended."""
    number = 0
    task = asyncio.create_task(turns.run())
    while not task.done():
        number += 1
        await asyncio.sleep(0)
    return number, await task


async def test_the_loop_runs_between_the_pauses():
    def work(pause):
        for _ in range(50):
            pause()
        return "done"

    number, result = await count_turns(Turns(work, turn_s=0.0))
    assert result == "done"
    assert number >= 50


async def test_within_a_turn_pauses_cost_nothing():
    def work(pause):
        for _ in range(1000):
            pause()

    number, _ = await count_turns(Turns(work, turn_s=3600.0))
    assert number < 10


async def test_what_the_loop_changes_is_seen_after_a_pause_and_not_before():
    shown = []

    def work(pause):
        seen = []
        for _ in range(20):
            first = len(shown)
            sum(range(10_000))
            seen.append((first, len(shown)))
            pause()
        return seen

    task = asyncio.create_task(Turns(work, turn_s=0.0).run())
    while not task.done():
        shown.append(None)
        await asyncio.sleep(0)
    seen = await task
    assert all(before == after for before, after in seen)
    assert seen[-1][0] > seen[0][0]


async def test_an_error_of_the_computation_is_raised():
    def work(pause):
        pause()
        raise KeyError("gone")

    with pytest.raises(KeyError, match="gone"):
        await Turns(work, turn_s=0.0).run()


async def test_nothing_runs_after_a_cancellation():
    steps = []

    def work(pause):
        while True:
            steps.append(None)
            pause()

    task = asyncio.create_task(Turns(work, turn_s=0.0).run())
    while not steps:
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    number = len(steps)
    await asyncio.sleep(0)
    assert len(steps) == number
    assert not [t for t in threading.enumerate() if t.name == "turns"]
