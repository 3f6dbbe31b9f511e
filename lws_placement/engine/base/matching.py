"""Maximum matching in a bipartite graph (Kuhn's algorithm)."""

from collections.abc import Collection, Sequence
from typing import TypeVar

T = TypeVar("T")


def maximum_matching(options: Sequence[Collection[T]]) -> dict[T, int]:
    """Map options to parts (by index): a part has one option at most, and as many parts as possible
    have one. Earlier options are preferred where that costs no other part its option.

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
