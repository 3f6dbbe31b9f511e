"""One read for concurrent requests of the same key; each answer is read after its request.

A read that is already running may show the state before a new request, so the new request waits for
the next read, which serves all that arrive meanwhile. Four binds of a group cost two reads.
"""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class CoalescedReads(Generic[K, V]):
    """`read(key)` on one event loop. Its exception goes to every request that shares the read."""

    def __init__(self, read: Callable[[K], Awaitable[V]], *, gather_s: float) -> None:
        """A read starts `gather_s` after its first request."""
        self._read = read
        self._gather_s = gather_s
        self._running: dict[K, asyncio.Task[V]] = {}
        self._next: dict[K, asyncio.Task[V]] = {}

    async def fetch(self, key: K) -> V:
        task = self._next.get(key)
        if task is None:
            task = asyncio.create_task(self._fetch(key, self._running.get(key)))
            self._next[key] = task
        return await asyncio.shield(task)

    async def _fetch(self, key: K, before: asyncio.Task[V] | None) -> V:
        await asyncio.sleep(self._gather_s)
        if before is not None:
            await asyncio.wait([before])
        task = self._next.pop(key)
        self._running[key] = task
        try:
            return await self._read(key)
        finally:
            if self._running[key] is task:
                del self._running[key]
