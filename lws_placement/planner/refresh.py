"""What waiting groups are told of their domains is brought up to date a few at a time.

A change of room makes what all of them were told old at once; who is planned again for that alone
should not keep others from being placed.
"""

import asyncio
from collections.abc import Callable, Iterable

from lws_placement.engine.model import GroupId
from lws_placement.engine.questions import Questions
from lws_placement.engine.turn import Turn

_EVERY_S = 2.0
_SOME = 50
_FEW = 2
"""Of those whose plan is one over the whole cluster."""


class Refresh:
    """`due(groups)`: called a while after `later()`, and again as long as groups are left, in the
    order of `turn`.
    """

    def __init__(
        self,
        questions: Questions,
        *,
        turn: Callable[[GroupId], Turn],
        due: Callable[[list[GroupId]], None],
    ) -> None:
        self._questions = questions
        self._turn = turn
        self._due = due
        self._stale: set[GroupId] = set()
        self._waits = False

    def __bool__(self) -> bool:
        """Are groups left?"""
        return bool(self._stale)

    def add(self, groups: Iterable[GroupId]) -> None:
        self._stale.update(groups)

    def discard(self, group: GroupId) -> None:
        self._stale.discard(group)

    def later(self) -> None:
        if not self._waits:
            self._waits = True
            asyncio.get_running_loop().call_later(_EVERY_S, self._now)

    def _now(self) -> None:
        self._waits = False
        some = self._some()
        self._stale.difference_update(some)
        self._due(some)
        if self._stale:
            self.later()

    def _some(self) -> list[GroupId]:
        long: list[GroupId] = []
        short: list[GroupId] = []
        for group in sorted(self._stale, key=self._turn):
            (long if self._questions.asks_for_several(group) else short).append(group)
        return [*long[:_FEW], *short[: _SOME - len(long[:_FEW])]]
