"""Maximum matching in a bipartite graph (Kuhn's algorithm)."""

from collections.abc import Collection, Sequence
from typing import TypeVar

T = TypeVar("T")


def maximum_matching(options: Sequence[Collection[T]]) -> dict[T, int]:
    """Which of the parts, by index, has each of its options; no option is had twice, and as many
    parts have one as is possible. Earlier options are preferred where that costs no other part one.

    O(parts x options of all).
    """
    owner: dict[T, int] = {}

    def place(part: int, seen: set[T]) -> bool:
        for option in options[part]:
            if option in seen:
                continue
            seen.add(option)
            if option not in owner or place(owner[option], seen):
                owner[option] = part
                return True
        return False

    for part in range(len(options)):
        place(part, set())
    return owner
