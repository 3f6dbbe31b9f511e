"""Where one pod may not be because of other pods, as a rule about nodes."""

from collections.abc import Callable, Set
from dataclasses import dataclass, field

from lws_placement.engine.model.nodes import Node


@dataclass(slots=True, eq=False)
class NodeBans:
    """A `NodeRule` by topology values: some that are forbidden, some of which one is needed."""

    _forbidden: dict[str, dict[str, str]] = field(default_factory=dict)
    _needed: list[tuple[str, Set[str] | None, str]] = field(default_factory=list)
    _checks: list[Callable[[Node], str | None]] = field(default_factory=list)

    def forbid(self, key: str, value: str, why: str) -> None:
        """The first reason for a value stays."""
        self._forbidden.setdefault(key, {}).setdefault(value, why)

    def need(self, key: str, values: Set[str] | None, why: str) -> None:
        """The node's label `key` has one of these values; None: it has the label."""
        self._needed.append((key, values, why))

    def check(self, why_not: Callable[[Node], str | None]) -> None:
        """Asks `why_not` of each node that nothing else excludes."""
        self._checks.append(why_not)

    def __bool__(self) -> bool:
        return bool(self._forbidden or self._needed or self._checks)

    def why_not(self, node: Node) -> str | None:
        for key, values, why in self._needed:
            value = node.labels.get(key)
            if value is None or (values is not None and value not in values):
                return why
        for key, forbidden in self._forbidden.items():
            value = node.labels.get(key)
            found = forbidden.get(value) if value is not None else None
            if found is not None:
                return found
        return next(filter(None, (why_not(node) for why_not in self._checks)), None)
