"""How often it is looked for who could be evicted for a group of several domains.

In a large cluster one such search may take seconds (`engine/preemption/multi_domain_search.py`),
and the planner decides nothing meanwhile. So all of them together get a tenth of its time: where
one found nobody, that answer stands for a while. Whether there is room is still asked with every
event. In memory: a new planner looks at once.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from lws_placement.engine.model.groups import GroupId
from lws_placement.engine.preemption.search import NoPreemption
from lws_placement.engine.reconcile.actions import Action, LookAgain, Wait
from lws_placement.engine.reconcile.context import Context

_PAUSE = 10.0
"""Times as long as the search took, for each group that is searched for."""


class VictimSearches:
    """`with_answer` before a group is decided about and `decided` after it, on the event loop."""

    def __init__(self) -> None:
        self._found: dict[GroupId, tuple[float, NoPreemption]] = {}
        """Until when the answer stands."""
        self._begun = 0.0

    def with_answer(self, context: Context, group: GroupId) -> Context:
        """With the answer that still stands."""
        self._begun = _now()
        until, nobody = self._found.get(group, (0.0, None))
        return replace(context, nobody=nobody) if self._begun < until else context

    def decided(
        self, group: GroupId, context: Context, actions: Sequence[Action]
    ) -> Sequence[Action]:
        """The same; a group for which it might have been looked again is looked at later."""
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
