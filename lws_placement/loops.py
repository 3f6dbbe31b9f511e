"""The two event loops of a `serve` process: the main loop, and one in a thread of its own.

Everything that decides runs on the main loop, and nothing else runs there meanwhile. What must not
wait for a plan runs on the side loop: renewal of the leader Lease, and the health server. Neither
may hide that the main loop hangs, so the main loop beats: once its last beat is older than
`stall_s`, it counts as stalled, /healthz fails, and the Lease is not renewed any more.

The loops share nothing but what is safe across threads: the heartbeat, `Leadership`, and plain
attributes that are read in one step.
"""

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import uvloop

T = TypeVar("T")

_BEAT_S = 0.5


class Heartbeat:
    """The main loop's sign of life. `clock`: monotonic seconds."""

    def __init__(self, *, stall_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._stall_s = stall_s
        self._clock = clock
        self._last = clock()

    def beat(self) -> None:
        self._last = self._clock()

    @property
    def age_s(self) -> float:
        return self._clock() - self._last

    @property
    def is_stalled(self) -> bool:
        return self.age_s > self._stall_s

    async def run(self) -> None:
        """Beats until cancelled. Runs on the main loop."""
        while True:
            self.beat()
            await asyncio.sleep(_BEAT_S)


class SideLoop:
    """Started at once; `close()` ends its thread. `heartbeat`: the main loop's."""

    def __init__(self, heartbeat: Heartbeat) -> None:
        self.heartbeat = heartbeat
        self._loop = uvloop.new_event_loop()
        # A process whose main thread ends must not wait for this one.
        self._thread = threading.Thread(target=self._loop.run_forever, name="side", daemon=True)
        self._thread.start()

    async def run(self, call: Coroutine[Any, Any, T]) -> T:
        """The result of `call`, which runs on the side loop. Cancelling this cancels `call`, and
        does not wait for its end.
        """
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(call, self._loop))

    async def close(self) -> None:
        """Cancels what still runs there."""
        await self.run(_cancel_others())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


async def _cancel_others() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
