"""Runs a long computation in turns with the event loop.

The computation has a thread of its own, but only one of the two runs at any time: the loop stands
still during a turn, and the computation between turns. So the computation may read what the loop
changes, without a lock, and nothing that it calls has to be a coroutine. What it has read before a
pause may be out of date after it.
"""

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")

_TURN_S = 0.02


class _Abandoned(BaseException):
    """Ends the computation at its next pause. No `except Exception` may catch it."""


class Turns(Generic[T]):
    """`work`: the computation; it calls its argument often, which pauses it when its turn is over.
    `turn_s`: length of a turn; longer if `work` does not pause.
    """

    def __init__(self, work: Callable[[Callable[[], None]], T], *, turn_s: float = _TURN_S) -> None:
        self._work = work
        self._turn_s = turn_s
        self._until = 0.0
        self._begin = threading.Semaphore(0)
        self._over = threading.Semaphore(0)
        self._abandoned = self._ended = False
        self._result: list[T] = []
        self._error: BaseException | None = None
        self.spent_s = 0.0
        """Seconds of all turns."""

    async def run(self) -> T:
        """The result; raises what `work` raises. Nothing of it runs after a cancellation."""
        thread = threading.Thread(target=self._run, name="turns", daemon=True)
        thread.start()
        now = asyncio.get_running_loop().time
        try:
            while not self._ended:
                begun = now()
                self._turn()
                self.spent_s += now() - begun
                await asyncio.sleep(0)
        finally:
            if not self._ended:
                self._abandoned = True
                self._turn()
            thread.join()
        if self._error is not None:
            raise self._error
        return self._result[0]

    def _turn(self) -> None:
        self._until = time.monotonic() + self._turn_s
        self._begin.release()
        self._over.acquire()

    def _run(self) -> None:
        self._begin.acquire()
        try:
            self._result.append(self._work(self._pause))
        except BaseException as e:
            self._error = e
        finally:
            self._ended = True
            self._over.release()

    def _pause(self) -> None:
        if time.monotonic() < self._until:
            return
        self._over.release()
        self._begin.acquire()
        if self._abandoned:
            raise _Abandoned
