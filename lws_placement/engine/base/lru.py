"""A bounded map that evicts the least recently used entry."""

from collections.abc import Callable, Hashable, Iterator
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class LruCache(Generic[K, V]):
    """Each call costs O(1). `functools.lru_cache` cannot replace or drop an entry."""

    def __init__(self, most: int = 64) -> None:
        self._most = most
        self._entries: dict[K, V] = {}

    def get(self, key: K) -> V | None:
        if key not in self._entries:
            return None
        value = self._entries[key] = self._entries.pop(key)
        return value

    def get_or_make(self, key: K, make: Callable[[], V]) -> V:
        """Return the cached value, or make and cache one."""
        known = self.get(key)
        if known is None:
            known = make()
            self.put(key, known)
        return known

    def put(self, key: K, value: V) -> None:
        self._entries.pop(key, None)
        self._entries[key] = value
        if len(self._entries) > self._most:
            del self._entries[next(iter(self._entries))]

    def drop(self, key: K) -> None:
        self._entries.pop(key, None)

    def __iter__(self) -> Iterator[K]:
        """Keys, least recently used first."""
        return iter(self._entries)

    def values(self) -> Iterator[V]:
        return iter(self._entries.values())
