"""A queue of keys with per-key back-off: the controller's outer loop.

A key that is added while it waits is handled once. A key that is added while it is handled is
handled again afterwards, never concurrently with itself. After an exception the key is retried with
exponential back-off.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

from lws_placement.errors import ApiError, ConflictError, LwsPlacementError, NotLeaderError

log = logging.getLogger(__name__)

K = TypeVar("K", bound=Hashable)

_BACKOFF_FIRST_S = 0.05
_BACKOFF_MOST_S = 30.0
_DOUBLINGS = 16
"""Enough to get from the first to the most; 2**1100 would overflow a float."""


class WorkQueue(Generic[K]):
    """Keys waiting to be handled. For one event loop."""

    def __init__(self) -> None:
        self._ready: asyncio.Queue[K] = asyncio.Queue()
        self._waiting: set[K] = set()
        self._running: set[K] = set()
        self._again: set[K] = set()
        self._timers: dict[K, asyncio.TimerHandle] = {}
        self._failures: dict[K, int] = {}

    def add(self, key: K, *, delay_s: float = 0.0) -> None:
        """Queues `key`, now or after `delay_s`; the earlier of two requests wins."""
        if delay_s > 0:
            loop = asyncio.get_running_loop()
            due = loop.time() + delay_s
            timer = self._timers.get(key)
            if timer is not None:
                if timer.when() <= due:
                    return
                timer.cancel()
            self._timers[key] = loop.call_at(due, self._due, key)
            return
        if key in self._running:
            self._again.add(key)
        elif key not in self._waiting:
            self._waiting.add(key)
            self._ready.put_nowait(key)

    def _due(self, key: K) -> None:
        self._timers.pop(key, None)
        self.add(key)

    async def take(self) -> K:
        key = await self._ready.get()
        self._waiting.discard(key)
        self._running.add(key)
        return key

    def done(self, key: K, *, failed: bool) -> None:
        """The handler of `key` has returned."""
        self._running.discard(key)
        again = key in self._again
        self._again.discard(key)
        if failed:
            failures = self._failures.get(key, 0)
            self._failures[key] = failures + 1
            doublings = min(failures, _DOUBLINGS)
            self.add(key, delay_s=min(_BACKOFF_FIRST_S * 2**doublings, _BACKOFF_MOST_S))
        else:
            self._failures.pop(key, None)
            if again:
                self.add(key)


async def run_queue(
    queue: WorkQueue[K], handle: Callable[[K], Awaitable[None]], *, workers: int = 1
) -> None:
    """Handles keys until cancelled, or until `handle` raises NotLeaderError, which propagates."""

    async def work() -> None:
        while True:
            key = await queue.take()
            failed = True
            try:
                await handle(key)
                failed = False
            except NotLeaderError:
                raise
            except ConflictError as e:
                log.debug("conflict, observing again", extra={"key": str(key), "error": str(e)})
            except (ApiError, LwsPlacementError) as e:
                log.warning("failed, will retry", extra={"key": str(key), "error": str(e)})
            except Exception:
                log.exception("failed unexpectedly, will retry", extra={"key": str(key)})
            finally:
                queue.done(key, failed=failed)

    async with asyncio.TaskGroup() as group:
        for _ in range(workers):
            group.create_task(work())
