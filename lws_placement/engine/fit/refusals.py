"""Each domain's refusal of a group, computed when it is read.

Most verdicts are never read domain by domain: a waiting group is planned again and again, and users
get a summary. So a verdict keeps the immutable views it was made on, and all groups with equal
requests share it.

The summary counts domains with the same refusal, whoever holds them and however much exactly each
has left (a class shows the most that any of them has left). A `Tally` updates it domain by domain,
so the next verdict's summary costs only the changes since the last one.
"""

from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from lws_placement.engine.model.snapshot import DomainView
from lws_placement.engine.model.verdicts import Reason

Classes = Mapping[Reason, int]
"""How many domains refuse for the same reason."""


class Refusals(Mapping[str, Reason]):
    """Domain value -> reason, for views none of which fits the group.

    `count`: a faster way to the classes; it returns None once it cannot tell any more.
    """

    def __init__(
        self,
        views: Mapping[str, DomainView],
        why: Callable[[DomainView], Reason],
        *,
        count: Callable[[], Classes | None] = lambda: None,
    ) -> None:
        self._views = views
        self._why = why
        self._count = count

    def __getitem__(self, value: str) -> Reason:
        return self._why(self._views[value])

    def __iter__(self) -> Iterator[str]:
        return iter(self._views)

    def __len__(self) -> int:
        return len(self._views)

    def __repr__(self) -> str:
        return repr(dict(self))

    @cached_property
    def classes(self) -> Classes:
        counted = self._count()
        return counted if counted is not None else _counted(self)


def classes_of(reasons: Mapping[str, Reason]) -> Classes:
    return reasons.classes if isinstance(reasons, Refusals) else _counted(reasons)


@dataclass(slots=True)
class _Class:
    reasons: dict[str, Reason] = field(default_factory=dict)
    best: Reason | None = None
    """The reason with the most left; None: to be recomputed."""


class Tally:
    """Reasons by domain value, counted by class; a change mostly costs O(1)."""

    def __init__(self) -> None:
        self._of: dict[str, Hashable] = {}
        self._classes: dict[Hashable, _Class] = {}

    def put(self, value: str, reason: Reason) -> None:
        self.drop(value)
        alike = _alike(reason)
        found = self._classes.setdefault(alike, _Class())
        if not found.reasons or (found.best is not None and _left(reason) > _left(found.best)):
            found.best = reason
        found.reasons[value] = reason
        self._of[value] = alike

    def drop(self, value: str) -> None:
        alike = self._of.pop(value, None)
        if alike is None:
            return
        found = self._classes[alike]
        gone = found.reasons.pop(value)
        if not found.reasons:
            del self._classes[alike]
        elif found.best is not None and _left(gone) >= _left(found.best):
            found.best = None if gone.shortfall is not None else found.best

    def classes(self) -> Classes:
        counted = {}
        for found in self._classes.values():
            if found.best is None:
                found.best = max(found.reasons.values(), key=_left)
            counted[replace(found.best, holder=None)] = len(found.reasons)
        return counted


def _counted(reasons: Mapping[str, Reason]) -> Classes:
    tally = Tally()
    for value, reason in reasons.items():
        tally.put(value, reason)
    return tally.classes()


def _alike(reason: Reason) -> Hashable:
    lacks = reason.shortfall
    what = None if lacks is None else (lacks.rank, lacks.resource, lacks.asked, lacks.rule)
    return reason.why, reason.fit, reason.nodes, what


def _left(reason: Reason) -> int:
    return reason.shortfall.largest_free if reason.shortfall is not None else 0
