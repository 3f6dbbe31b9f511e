"""Which waiting groups nodes are requested for, and when.

A group qualifies once it has waited for a while and nothing that exists, or is about to be free,
can serve it. In order of the queue, a few groups at a time: a group whose request was in vain makes
way for the next one, and comes back later, each time after a longer delay.
"""

import asyncio
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from lws_placement.backoff import Backoff
from lws_placement.engine.model.groups import Group, GroupId
from lws_placement.engine.model.queue_order import turn_of
from lws_placement.engine.preemption.search import WhyNoPreemption
from lws_placement.engine.reconcile.actions import Action, Wait
from lws_placement.engine.reconcile.group_state import GroupState
from lws_placement.planner.observer import Observer

_IN_VAIN = Backoff(first_s=60.0, most_s=1800.0)


@dataclass(slots=True)
class _Waiting:
    group: Group
    since_s: float
    """Loop time."""
    freeing: bool
    """A domain that it fits in is about to be free."""


_MAY_FREE = (WhyNoPreemption.FREEING, WhyNoPreemption.SEARCHING)


class Candidates(Observer):
    """`after_s`: how long a group waits first. `most`: groups at a time."""

    def __init__(self, *, after_s: float, most: int) -> None:
        self._after_s = after_s
        self._most = most
        self._waiting: dict[GroupId, _Waiting] = {}
        self._in_vain: dict[GroupId, tuple[int, float]] = {}
        """Requests in a row, and the loop time of the next."""
        self.changed = asyncio.Event()

    def decided(self, observed: GroupState, actions: Sequence[Action]) -> None:
        wait = next((a for a in actions if isinstance(a, Wait)), None)
        if not observed.pods:
            self._in_vain.pop(observed.id, None)
        if wait is None:
            if self._waiting.pop(observed.id, None) is not None or observed.requested.asked:
                self.changed.set()
            return
        known = self._waiting.get(observed.id)
        since_s = known.since_s if known is not None else _now()
        freeing = wait.nobody.why in _MAY_FREE
        self._waiting[observed.id] = _Waiting(wait.group, since_s, freeing)
        self.changed.set()

    def waiting(self, group: GroupId) -> Group | None:
        """The group as it was planned last, in vain; None if it does not wait."""
        known = self._waiting.get(group)
        return known.group if known is not None else None

    def due(
        self, asked: Collection[GroupId], *, one_by_one: bool = False
    ) -> tuple[list[Group], float | None]:
        """The groups to request nodes for, besides those in `asked`, in order; and the seconds
        until another one may qualify.
        """
        now, free = _now(), (1 if one_by_one else self._most) - len(asked)
        found: list[Group] = []
        later: list[float] = []
        for it in self._in_order(asked):
            at = max(it.since_s + self._after_s, self._in_vain.get(it.group.id, (0, 0.0))[1])
            if at > now:
                later.append(at - now)
            elif not it.freeing and len(found) < free:
                found.append(it.group)
        return found, min(later, default=None)

    def was_in_vain(self, group: GroupId) -> None:
        times, _ = self._in_vain.get(group, (0, 0.0))
        self._in_vain[group] = times + 1, _now() + _IN_VAIN.delay_s(times)

    def placed(self, group: GroupId) -> None:
        self._in_vain.pop(group, None)

    def _in_order(self, asked: Collection[GroupId]) -> Iterable[_Waiting]:
        others = (it for group, it in self._waiting.items() if group not in asked)
        return sorted(others, key=lambda it: turn_of(it.group))


def _now() -> float:
    return asyncio.get_running_loop().time()
