"""Selects the waiting groups that are worth planning again when there may be room.

For a shape that wants one domain this is a look-up (`engine/planning/waiting.py`). For others it is
a plan on candidate nodes (`engine/planning/candidates.py`): mostly below a millisecond, but tens of
milliseconds for a shape with many candidates. So these plans get a fifth of the planner's time, and
one plan covers all changes since the last.
"""

import asyncio
from collections.abc import Callable

from lws_placement.cluster.cache.topology_index import TopologyIndex
from lws_placement.engine.model.exclusivity import Question
from lws_placement.engine.model.groups import GroupId
from lws_placement.engine.planning.single_domain import PlanMemo
from lws_placement.engine.planning.waiting import WaitingClasses
from lws_placement.engine.reconcile.placement import is_room_for

_SLICE_S = 0.05
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
        self._left: dict[Question, None] = {}
        """Single-domain classes that were not asked about since the last change of room."""
        self._several: dict[Question, None] = {}
        """The same of the others."""
        self._until = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def room_changed(self) -> None:
        """There may be room for every class. Those that are still to be asked about come first."""
        self._left |= dict.fromkeys(self._questions.questions(several=False))
        self._several |= dict.fromkeys(self._questions.questions(several=True))

    def worth_asking(self, *, besides: set[GroupId]) -> set[GroupId]:
        """`besides`: groups that are planned anyway."""
        found = self._of_one_domain()
        self._asked |= (found | self._of_several_domains()) - besides
        return found | self._asked

    def _of_one_domain(self) -> set[GroupId]:
        found: set[GroupId] = set()
        until = asyncio.get_running_loop().time() + _SLICE_S
        for question in list(self._left):
            del self._left[question]
            found |= self._questions.worth_asking(question, self._views.domains, self._memo)
            if asyncio.get_running_loop().time() > until:
                break
        if self._left:
            self._again()
        return found

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
        if not self._several or self._timer is not None:
            return set()
        loop = asyncio.get_running_loop()
        begun = loop.time()
        if begun < self._until:
            self._timer = loop.call_at(self._until, self._due)
            return set()
        found: set[GroupId] = set()
        for question in list(self._several):
            del self._several[question]
            example = self._questions.example(question)
            if example is not None and is_room_for(example, self._views, self._memo):
                found.update(self._questions.first_like(example, _MOST))
            if loop.time() > begun + _SLICE_S:
                break
        ended = loop.time()
        self._until = ended + _PAUSE * (ended - begun)
        if self._several:
            self._timer = loop.call_at(self._until, self._due)
        return found

    def _due(self) -> None:
        self._timer = None
        self._again()
