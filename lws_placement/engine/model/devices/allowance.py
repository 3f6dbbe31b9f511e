"""How many devices are tried for one question asked of many nodes: cheap answers are never short of
it, and dear ones end as not proven, so that no claim keeps the planner busy.
"""

from collections.abc import Callable
from typing import TypeVar

from lws_placement.engine.base.effort import Effort

MOST_TRIES = 1_000
"""For one answer; a try takes some 10 microseconds."""

T = TypeVar("T")


class Allowance:
    """`most`: tries that may be saved up; each answer adds `each`."""

    def __init__(self, most: int, each: int) -> None:
        self._most = most
        self._each = each
        self._left = most

    def spend(self, find: Callable[[Effort], T]) -> T:
        self._left = min(max(self._left, 0) + self._each, self._most)
        effort = Effort(min(MOST_TRIES, self._left))
        before = effort.left
        try:
            return find(effort)
        finally:
            self._left -= before - max(effort.left, 0)
