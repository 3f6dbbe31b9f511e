"""A queue of keys with per-key back-off: the controller's outer loop.

A key that is added while it waits is handled once. A key that is added while it is handled is
handled again afterwards, never concurrently with itself. After an exception the key is retried with
exponential back-off. Meanwhile an event brings the retry forward, but not to less than a second
after several failures: a handler that writes and then fails causes such events itself.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

from lws_placement import metrics
from lws_placement.backoff import Backoff
from lws_placement.errors import (
    ApiError,
    ConflictError,
    LwsPlacementError,
    NotLeaderError,
    retry_after_s,
)

log = logging.getLogger(__name__)

K = TypeVar("K", bound=Hashable)

_BACKOFF = Backoff(first_s=0.05, most_s=30.0)
_AT_LEAST_S = 1.0
"""The longest time for which a key that failed waits in spite of events."""
_TICK_S = 0.001
"""Timers are no more exact than that."""


class WorkQueue(Generic[K]):
    """Keys waiting to be handled. For one event loop."""

    def __init__(self) -> None:
        self._ready: asyncio.Queue[K] = asyncio.Queue()
        self._waiting: set[K] = set()
        self._running: set[K] = set()
        self._again: set[K] = set()
        self._timers: dict[K, asyncio.TimerHandle] = {}
        self._failures: dict[K, int] = {}
        self._not_before: dict[K, float] = {}
        """Keys that failed -> the event loop's time."""

    def add(self, key: K, *, delay_s: float = 0.0) -> None:
        """Queues `key`, now or after `delay_s`; the earlier of two requests wins."""
        loop = asyncio.get_running_loop()
        delay_s = max(delay_s, self._not_before.get(key, 0.0) - loop.time())
        if delay_s > _TICK_S:
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

    def done(self, key: K, *, failed: bool, at_least_s: float = 0.0) -> None:
        """The handler of `key` has returned. `at_least_s`: not before, whatever event comes."""
        self._running.discard(key)
        again = key in self._again
        self._again.discard(key)
        if failed:
            failures = self._failures.get(key, 0)
            self._failures[key] = failures + 1
            metrics.RETRIES.labels(metrics.Retry.CONTROLLER).inc()
            delay_s = _BACKOFF.delay_s(failures, at_least_s=at_least_s)
            now = asyncio.get_running_loop().time()
            self._not_before[key] = now + max(min(delay_s, _AT_LEAST_S), at_least_s)
            self.add(key, delay_s=delay_s)
        else:
            self._failures.pop(key, None)
            self._not_before.pop(key, None)
            if again:
                self.add(key)


async def run_queue(
    queue: WorkQueue[K], handle: Callable[[K], Awaitable[None]], *, workers: int = 1
) -> None:
    """Handles keys until cancelled, or until `handle` raises NotLeaderError, which propagates."""

    async def work() -> None:
        while True:
            key = await queue.take()
            failed, at_least_s = True, 0.0
            try:
                await handle(key)
                failed = False
            except NotLeaderError:
                raise
            except ConflictError as e:
                log.debug("conflict, observing again", extra={"key": str(key), "error": str(e)})
            except (ApiError, LwsPlacementError) as e:
                at_least_s = retry_after_s(e)
                log.warning("failed, will retry", extra={"key": str(key), "error": str(e)})
            except Exception:
                log.exception("failed unexpectedly, will retry", extra={"key": str(key)})
            finally:
                queue.done(key, failed=failed, at_least_s=at_least_s)

    async with asyncio.TaskGroup() as group:
        for _ in range(workers):
            group.create_task(work())
