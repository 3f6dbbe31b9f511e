"""SIGTERM and SIGINT: the first stops a process gracefully, the second ends it at once."""

import asyncio
import os
import signal
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

_NUMBERS = (signal.SIGTERM, signal.SIGINT)


def asked_to_stop() -> asyncio.Event:
    """An event that the first signal sets. Call it on the main thread's running event loop.

    The second signal needs a handler too: a container's first process has no default actions
    (pid_namespaces(7)).
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def first() -> None:
        stop.set()
        for number in _NUMBERS:
            loop.remove_signal_handler(number)
            signal.signal(number, lambda number, _: os._exit(128 + number))

    for number in _NUMBERS:
        loop.add_signal_handler(number, first)
    return stop


async def unless(stop: asyncio.Event, call: Coroutine[Any, Any, T]) -> T | None:
    """The result of `call`; None if `stop` is set first, which cancels the call."""
    calling, stopping = asyncio.create_task(call), asyncio.create_task(stop.wait())
    await asyncio.wait({calling, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if calling.done():
        return calling.result()
    calling.cancel()
    await asyncio.wait([calling])
    return None
