"""One read for all who ask for the same at the same time, none of them answered from before it
asked.

A read that is under way when somebody asks may show the state from before that, so who comes then
waits for the next one, which serves all who came meanwhile. Four binds of a group cost two reads.
"""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class CoalescedReads(Generic[K, V]):
    """`read(key)` for one event loop. What it raises is raised to all whom it was for."""

    def __init__(self, read: Callable[[K], Awaitable[V]], *, gather_s: float) -> None:
        """A read begins `gather_s` after it was first asked for."""
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
