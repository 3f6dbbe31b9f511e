"""What signals do to a program of ours, in a process of its own."""

import asyncio
import signal
import subprocess
import sys

import pytest

from lws_placement.stopping import unless

PROGRAM = """
import asyncio, uvloop
from lws_placement.stopping import asked_to_stop

async def main():
    stop = asked_to_stop()
    print("running", flush=True)
    await stop.wait()
    print("stopping", flush=True)
    await asyncio.Event().wait()

uvloop.run(main())
"""


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("first", [signal.SIGTERM, signal.SIGINT])
def test_the_first_asks_and_the_second_ends_it(first, second):
    command = [sys.executable, "-c", PROGRAM]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "running\n"
        process.send_signal(first)
        assert process.stdout.readline() == "stopping\n"
        process.send_signal(second)
        assert process.wait(60) == 128 + second


async def test_a_call_is_given_up_when_it_is_time_to_stop():
    stop, begun, given_up = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def call():
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            given_up.set()

    waiting = asyncio.create_task(unless(stop, call()))
    await begun.wait()
    stop.set()
    assert await waiting is None
    assert given_up.is_set()


async def test_a_call_that_ends_first_is_what_it_returned_or_raised():
    async def fail():
        raise ValueError("no")

    assert await unless(asyncio.Event(), asyncio.sleep(0, "done")) == "done"
    with pytest.raises(ValueError, match="no"):
        await unless(asyncio.Event(), fail())
