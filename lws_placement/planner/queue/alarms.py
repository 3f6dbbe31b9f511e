"""Timers that make a group active without an event: one per group, the earliest that is due."""

import asyncio
from collections.abc import Callable

from lws_placement.engine.model.groups import GroupId


class Alarms:
    """`ring` is called on the event loop."""

    def __init__(self, ring: Callable[[GroupId], None]) -> None:
        self._ring = ring
        self._set: dict[GroupId, asyncio.TimerHandle] = {}

    def set(self, group: GroupId, delay_s: float) -> None:
        """Keeps the group's current alarm if that is due earlier."""
        loop = asyncio.get_running_loop()
        known = self._set.get(group)
        if known is not None:
            if known.when() <= loop.time() + delay_s:
                return
            known.cancel()
        self._set[group] = loop.call_later(delay_s, self._due, group)

    def clear(self) -> None:
        for alarm in self._set.values():
            alarm.cancel()
        self._set.clear()

    def _due(self, group: GroupId) -> None:
        del self._set[group]
        self._ring(group)
