"""Limits victim searches for multi-domain groups to a tenth of the planner's time.

In a large cluster one search may take seconds (`engine/preemption/multi_domain_search.py`), and the
planner decides nothing meanwhile. So the answer of a search that found no victims stands for a
while. The planner still looks for free room with every event. The answers are kept in memory: a new
planner searches at once.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from lws_placement.engine.model.groups import GroupId
from lws_placement.engine.preemption.search import NoPreemption
from lws_placement.engine.reconcile.actions import Action, LookAgain, Wait
from lws_placement.engine.reconcile.context import Context

_PAUSE = 10.0
"""Multiple of the search's duration, for each group that is searched for."""


class VictimSearches:
    """Call `with_answer` before a group is decided and `decided` after, on the event loop."""

    def __init__(self) -> None:
        self._found: dict[GroupId, tuple[float, NoPreemption]] = {}
        """Group -> (loop time at which the answer expires, answer)."""
        self._begun = 0.0

    def with_answer(self, context: Context, group: GroupId) -> Context:
        """`context` with the answer of the last search, if it still stands."""
        self._begun = _now()
        until, nobody = self._found.get(group, (0.0, None))
        return replace(context, nobody=nobody) if self._begun < until else context

    def decided(
        self, group: GroupId, context: Context, actions: Sequence[Action]
    ) -> Sequence[Action]:
        """`actions`; with a LookAgain if the group used a standing answer in place of a search."""
        waits = (a for a in actions if isinstance(a, Wait))
        nobody = next((a.nobody for a in waits if not a.group.request.in_one_domain), None)
        if nobody is None:
            self._found.pop(group, None)
            return actions
        if context.nobody is not None:
            return [*actions, LookAgain(self._found[group][0] - self._begun)]
        groups = len(self._found.keys() | {group})
        now = _now()
        self._found[group] = now + _PAUSE * groups * (now - self._begun), nobody
        return actions


def _now() -> float:
    return asyncio.get_running_loop().time()
