"""Why each domain refuses a group, worked out when somebody reads it.

Most verdicts are never read domain by domain: a group that waits is asked about again and again,
and what users are told is a summary. So a verdict keeps the views it was made on, which never
change, and the same verdict is shared by all groups that ask the same.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import cached_property

from lws_placement.engine.model import Reason
from lws_placement.engine.snapshot import DomainView


class Refusals(Mapping[str, Reason]):
    """Domain value -> reason, for views in all of which the group does not fit."""

    def __init__(
        self, views: Mapping[str, DomainView], why: Callable[[DomainView], Reason]
    ) -> None:
        self._views = views
        self._why = why

    def __getitem__(self, value: str) -> Reason:
        return self._why(self._views[value])

    def __iter__(self) -> Iterator[str]:
        return iter(self._views)

    def __len__(self) -> int:
        return len(self._views)

    def __repr__(self) -> str:
        return repr(dict(self))

    @cached_property
    def classes(self) -> Mapping[Reason, int]:
        """How many domains refuse for the same reason, whoever holds them."""
        return classes(self.values())


def classes(reasons: Iterable[Reason]) -> Mapping[Reason, int]:
    """Equal reasons counted, without what tells apart domains that are refused alike: who holds
    them, and how much exactly is left in each (the class has the most that is left in any).
    """
    found: dict[tuple[object, ...], tuple[Reason, int]] = {}
    for reason in reasons:
        lacks = reason.shortfall
        what = None if lacks is None else (lacks.rank, lacks.resource, lacks.asked, lacks.rule)
        alike = (reason.why, reason.fit, reason.nodes, what)
        best, number = found.get(alike, (reason, 0))
        if lacks is not None and best.shortfall is not None:
            best = reason if lacks.largest_free > best.shortfall.largest_free else best
        found[alike] = (best, number + 1)
    return {replace(best, holder=None): number for best, number in found.values()}
