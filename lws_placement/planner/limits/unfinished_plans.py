"""Gives plans that were given up for their cost a tenth of the planner's time, all together.

Such a plan may find more when it is made again, as indexes go on where they stopped
(`engine/base/effort.py`). But whoever asks for it again and again must not delay other groups.
"""

import asyncio
import time
from collections.abc import Sequence

from lws_placement.engine.model.groups import GroupId
from lws_placement.engine.reconcile.actions import Action, Wait

_PAUSE = 10.0
"""Multiple of the plan's duration, for each group with such a plan."""


class UnfinishedPlans:
    """Call `wait_s` before a group is decided, `begin` then, and `decided` after."""

    def __init__(self) -> None:
        self._until: dict[GroupId, float] = {}
        self._begun = 0.0

    def wait_s(self, group: GroupId) -> float:
        """Seconds until the group may be planned again; 0: now."""
        until = self._until.get(group)
        return 0.0 if until is None else max(until - asyncio.get_running_loop().time(), 0.0)

    def begin(self) -> None:
        self._begun = time.thread_time()

    def decided(self, group: GroupId, actions: Sequence[Action]) -> float:
        """Seconds after which to plan the group again; 0: its plan is finished."""
        if not any(isinstance(a, Wait) and a.group.effort.is_spent for a in actions):
            self._until.pop(group, None)
            return 0.0
        took_s = time.thread_time() - self._begun
        pause_s = _PAUSE * took_s * len(self._until.keys() | {group})
        self._until[group] = asyncio.get_running_loop().time() + pause_s
        return pause_s
