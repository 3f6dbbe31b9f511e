"""Things that are for some nodes, found by the nodes' labels."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Generic, TypeVar

from lws_placement.engine.objects.nodes import Operator, Requirement

T = TypeVar("T")


class LabelIndex(Generic[T]):
    """`requirements_of`: what a node's labels must meet, if that is one conjunction; else None.
    Things for one value, or some values, of one label cost nothing to the other nodes; whether
    others are for a node is asked of `is_for`. Keeps the order of `things`, of each kind.
    """

    def __init__(
        self,
        things: Iterable[T],
        requirements_of: Callable[[T], Collection[Requirement] | None],
        is_for: Callable[[T, Mapping[str, str]], bool],
    ) -> None:
        self._by_label: dict[str, dict[str, list[T]]] = {}
        self._others: list[T] = []
        self._is_for = is_for
        for thing in things:
            one = _one_label(requirements_of(thing))
            if one is None:
                self._others.append(thing)
                continue
            by_value = self._by_label.setdefault(one.key, {})
            for value in frozenset(one.values):
                by_value.setdefault(value, []).append(thing)

    def __bool__(self) -> bool:
        return bool(self._others or self._by_label)

    def at(self, labels: Mapping[str, str]) -> Iterator[T]:
        """Those for a node with these labels."""
        for key, by_value in self._by_label.items():
            value = labels.get(key)
            if value is not None:
                yield from by_value.get(value, ())
        yield from (thing for thing in self._others if self._is_for(thing, labels))


def _one_label(requirements: Collection[Requirement] | None) -> Requirement | None:
    if requirements is None or len(requirements) != 1:
        return None
    (one,) = requirements
    return one if one.operator is Operator.IN else None
