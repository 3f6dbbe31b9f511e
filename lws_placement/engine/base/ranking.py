"""Names sorted by rank, updated one by one while few change."""

from bisect import bisect_left, insort
from collections.abc import Mapping
from typing import Any, Generic, TypeVar

R = TypeVar("R", bound=tuple[Any, ...])
_FEW = 64
"""Up to this many changes are inserted one by one; beyond it, sorting all is cheaper."""


class Ranking(Generic[R]):
    """A rank ends with the name, so no two are equal."""

    def __init__(self) -> None:
        self._of: dict[str, R] = {}
        self.in_order: list[R] = []

    def put(self, changed: Mapping[str, R | None]) -> None:
        """None removes a name. O(log n) per name, besides moving the list."""
        one_by_one = len(changed) <= _FEW
        for name, rank in changed.items():
            old = self._of.pop(name, None)
            if old is not None and one_by_one:
                del self.in_order[bisect_left(self.in_order, old)]
            if rank is not None:
                self._of[name] = rank
                if one_by_one:
                    insort(self.in_order, rank)
        if not one_by_one:
            self.in_order = sorted(self._of.values())
