"""What changed, in order, for readers that come back."""

from collections import deque
from collections.abc import Iterator
from itertools import islice
from typing import Generic, TypeVar

K = TypeVar("K")

_MOST = 4096


class ChangeLog(Generic[K]):
    """A reader that remembers its mark gets the changes since then in O(changed). The log keeps the
    latest ones alone: who comes too late reads all anew. `snapshot.Changes` forgets nothing; it is
    for names that come back.
    """

    def __init__(self, most: int = _MOST) -> None:
        self._latest: deque[K] = deque(maxlen=most)
        self.mark = 0
        """Grows with every change."""

    def note(self, key: K) -> None:
        self._latest.append(key)
        self.mark += 1

    def since(self, mark: int | None) -> Iterator[K] | None:
        """Latest first, each once or more; None: that is not known any more. `mark`: None for a
        reader that has not read yet.
        """
        if mark is None or self.mark - mark > len(self._latest):
            return None
        return islice(reversed(self._latest), self.mark - mark)
