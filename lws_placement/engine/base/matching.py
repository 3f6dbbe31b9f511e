"""Maximum matching in a bipartite graph (Kuhn's algorithm)."""

from collections.abc import Collection, Iterator, Sequence
from typing import TypeVar

from lws_placement.engine.base.effort import Effort

T = TypeVar("T")

_EDGES_PER_LOOK = 16


def maximum_matching(options: Sequence[Collection[T]], effort: Effort) -> dict[T, int]:
    """Map options to parts (by index): a part has one option at most, and as many parts as possible
    have one. Earlier options are preferred where that costs no other part its option. May be too
    small once `effort` is spent.

    O(parts x options of all).
    """
    owner: dict[T, int] = {}
    for part in range(len(options)):
        seen: set[T] = set()
        path: list[tuple[int, Iterator[T]]] = [(part, iter(options[part]))]
        taken: list[T] = []
        while path:
            option = next((o for o in path[-1][1] if o not in seen), None)
            if option is None:
                path.pop()
                del taken[-1:]
                continue
            seen.add(option)
            taken.append(option)
            if option in owner:
                path.append((owner[option], iter(options[owner[option]])))
                continue
            owner |= {o: p for o, (p, _) in zip(taken, path, strict=True)}
            break
        if not effort.spend(1 + len(seen) * len(path) // _EDGES_PER_LOOK):
            break
    return owner
