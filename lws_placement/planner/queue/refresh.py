"""Refreshes the verdicts of waiting groups, a few groups at a time.

A change of room outdates all their verdicts at once, but planning groups again for that alone must
not delay placements. The group that was not planned for the longest time comes first.
"""

import asyncio
from collections.abc import Callable, Iterable

from lws_placement.engine.model.exclusivity import Question
from lws_placement.engine.model.groups import GroupId
from lws_placement.engine.planning.waiting import WaitingClasses

_EVERY_S = 2.0
_SOME = 50
_FEW = 4
"""At most, of groups that ask for more than one domain."""


class Refresh:
    """`due(groups)` is called a while after `later()`, and repeatedly while groups are left."""

    def __init__(self, questions: WaitingClasses, *, due: Callable[[list[GroupId]], None]) -> None:
        self._questions = questions
        self._due = due
        self._stale: dict[GroupId, None] = {}
        self._waits = False

    def __bool__(self) -> bool:
        """True if groups are left."""
        return bool(self._stale)

    def add(self, groups: Iterable[GroupId]) -> None:
        self._stale.update((group, None) for group in groups if group not in self._stale)

    def discard(self, group: GroupId) -> None:
        self._stale.pop(group, None)

    def later(self) -> None:
        if not self._waits:
            self._waits = True
            asyncio.get_running_loop().call_later(_EVERY_S, self._now)

    def _now(self) -> None:
        self._waits = False
        some = self._some()
        for group in some:
            self.discard(group)
        self._due(some)
        if self._stale:
            self.later()

    def _some(self) -> list[GroupId]:
        """The next batch. Its multi-domain groups are of one equivalence class: their verdict may
        take a look at the whole cluster, and is the same for all of them.
        """
        some: list[GroupId] = []
        asked: Question | None = None
        few = 0
        for group in self._stale:
            question = self._questions.multi_domain_question(group)
            if question is not None:
                if few == _FEW or asked not in (None, question):
                    continue
                asked = question
                few += 1
            some.append(group)
            if len(some) == _SOME:
                break
        return some
