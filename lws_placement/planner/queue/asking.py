"""Selects the waiting groups that are worth planning again when there may be room.

For a shape that wants one domain this is a look-up (`engine/planning/waiting.py`). For others it is
a plan on candidate nodes (`engine/planning/candidates.py`): mostly below a millisecond, but tens of
milliseconds for a shape with many candidates. So these plans get a fifth of the planner's time, and
one plan covers all changes since the last.
"""

import asyncio
from collections.abc import Callable

from lws_placement.cluster.cache.topology_index import TopologyIndex
from lws_placement.engine.model.groups import GroupId
from lws_placement.engine.planning.single_domain import PlanMemo
from lws_placement.engine.planning.waiting import WaitingClasses
from lws_placement.engine.reconcile.placement import is_room_for

_PAUSE = 4.0
"""Multiple of the time that the last plans took."""
_MOST = 64
"""At most so many groups of a shape are planned again if its first fits, until one does not."""


class Asking:
    """`again()` is called when `worth_asking` should be called once more."""

    def __init__(
        self,
        questions: WaitingClasses,
        views: TopologyIndex,
        memo: PlanMemo,
        *,
        again: Callable[[], None],
    ) -> None:
        self._questions = questions
        self._views = views
        self._memo = memo
        self._again = again
        self._asked: set[GroupId] = set()
        self._until = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def worth_asking(self, *, besides: set[GroupId]) -> set[GroupId]:
        """`besides`: groups that are planned anyway."""
        found = self._questions.worth_asking(self._views.domains, self._memo)
        self._asked |= (found | self._of_several_domains()) - besides
        return found | self._asked

    def changed(self, group: GroupId) -> None:
        """The group changed, so it is planned anyway."""
        self._asked.discard(group)

    def is_in_vain(self, group: GroupId) -> bool:
        """True if a group that was worth asking has lost its room to others since: it has that
        verdict already. Call it once, before the group is planned.
        """
        if group not in self._asked:
            return False
        self._asked.discard(group)
        asked = self._questions.multi_domain_group(group)
        return asked is not None and not is_room_for(asked, self._views, self._memo)

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _of_several_domains(self) -> set[GroupId]:
        examples = self._questions.multi_domain_examples()
        if not examples or self._timer is not None:
            return set()
        loop = asyncio.get_running_loop()
        begun = loop.time()
        if begun < self._until:
            self._timer = loop.call_at(self._until, self._due)
            return set()
        fit = [g for g in examples if is_room_for(g, self._views, self._memo)]
        ended = loop.time()
        self._until = ended + _PAUSE * (ended - begun)
        return {group for g in fit for group in self._questions.first_like(g, _MOST)}

    def _due(self) -> None:
        self._timer = None
        self._again()
