"""Dicts of dicts, of sets and of counts that keep no empty one and no 0, so that they stay as large
as what they hold. Reading an unknown key gives an empty one, or 0, and adds nothing.
"""

from collections import Counter
from typing import TypeVar

K = TypeVar("K")
N = TypeVar("N")
V = TypeVar("V")


class DictOfDicts(dict[K, dict[N, V]]):
    """Change it by `put` and `drop` alone."""

    def __missing__(self, key: K) -> dict[N, V]:
        return {}

    def put(self, key: K, name: N, value: V) -> V | None:
        """Returns the value that it replaces."""
        inner = self.setdefault(key, {})
        old = inner.get(name)
        inner[name] = value
        return old

    def drop(self, key: K, name: N) -> V | None:
        """Returns the dropped value, if there was one."""
        old = self[key].pop(name, None)
        if not self[key]:
            self.pop(key, None)
        return old


class DictOfSets(dict[K, set[V]]):
    """Change it by `add` and `discard` alone."""

    def __missing__(self, key: K) -> set[V]:
        return set()

    def add(self, key: K, value: V) -> None:
        self.setdefault(key, set()).add(value)

    def discard(self, key: K, value: V) -> None:
        self[key].discard(value)
        if not self[key]:
            self.pop(key, None)


class Tally(Counter[K]):
    """Change it by `change` alone."""

    def change(self, key: K, number: int) -> None:
        """`number` may be negative."""
        self[key] += number
        if not self[key]:
            del self[key]
