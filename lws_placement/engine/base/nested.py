"""Dicts of dicts and of sets that keep no empty inner one, so that they stay as large as what they
hold.
"""

from collections.abc import Collection, Iterator, KeysView, Mapping, Set
from typing import Any, Generic, TypeVar

K = TypeVar("K")
N = TypeVar("N")
V = TypeVar("V")
_NOTHING: Mapping[Any, Any] = {}


class DictOfDicts(Generic[K, N, V]):
    """Values by key and name. Each change costs O(1)."""

    def __init__(self) -> None:
        self._of: dict[K, dict[N, V]] = {}

    def put(self, key: K, name: N, value: V) -> V | None:
        """Returns the value that it replaces."""
        inner = self._of.setdefault(key, {})
        old = inner.get(name)
        inner[name] = value
        return old

    def drop(self, key: K, name: N) -> V | None:
        """Returns the dropped value, if there was one."""
        inner = self._of.get(key)
        if inner is None:
            return None
        old = inner.pop(name, None)
        if not inner:
            del self._of[key]
        return old

    def __getitem__(self, key: K) -> Mapping[N, V]:
        """Empty for an unknown key."""
        return self._of.get(key, _NOTHING)

    def keys(self) -> KeysView[K]:
        return self._of.keys()

    def __iter__(self) -> Iterator[K]:
        return iter(self._of.keys())

    def values(self) -> Collection[Mapping[N, V]]:
        return self._of.values()

    def __contains__(self, key: object) -> bool:
        return key in self._of


class DictOfSets(Generic[K, V]):
    """Values by key. Each change costs O(1)."""

    def __init__(self) -> None:
        self._of = DictOfDicts[K, V, None]()

    def add(self, key: K, value: V) -> None:
        self._of.put(key, value, None)

    def discard(self, key: K, value: V) -> None:
        self._of.drop(key, value)

    def __getitem__(self, key: K) -> Set[V]:
        """Empty for an unknown key."""
        return self._of[key].keys()

    def keys(self) -> KeysView[K]:
        return self._of.keys()

    def __iter__(self) -> Iterator[K]:
        return iter(self._of.keys())

    def __contains__(self, key: object) -> bool:
        return key in self._of
