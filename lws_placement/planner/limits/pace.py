"""Limits the pace: moves of one group back off, and a group without pods keeps its domain for a
while after another group or pod could use it.

A group that is to be moved is bound in part, so the first moves in a row follow each other quickly:
a second node may fail while the group comes up elsewhere. If that goes on, moves end up
`move_every_s` apart.

Both are courtesies kept in memory. A new planner counts from zero, which is the safe direction.
"""

from collections.abc import Callable, Sequence

from lws_placement.engine.model.groups import GroupId
from lws_placement.engine.reconcile.actions import Action, DeletePod, EndHold, KeepHold, LeaveHold

_FIRST_S = 1.0
"""Between the first two moves in a row; doubles with each."""


class Pace:
    """`clock`: monotonic seconds. `hold_s`: how long a group without pods keeps its domain though
    others wait. `move_every_s`: most between two moves of one group; twice as long without one
    ends a row.
    """

    def __init__(
        self, *, clock: Callable[[], float], hold_s: float, move_every_s: float = 60.0
    ) -> None:
        self._clock = clock
        self._hold_s = hold_s
        self._move_every_s = move_every_s
        self._moved: dict[GroupId, tuple[float, int]] = {}
        """When a group moved last, and how often in a row."""
        self._empty_since: dict[GroupId, float] = {}

    def wait_s(self, group: GroupId, actions: Sequence[Action]) -> float:
        """Seconds until these actions may be taken; 0: now."""
        now = self._clock()
        wait = 0.0
        ends = any(isinstance(a, EndHold) and a.returning for a in actions)
        if ends or any(isinstance(a, KeepHold) for a in actions):
            since = self._empty_since.setdefault(group, now)
            wait = since + self._hold_s - now if ends else 0.0
        else:
            self._empty_since.pop(group, None)
        if is_move(actions) and group in self._moved:
            last, number = self._moved[group]
            after = min(_FIRST_S * 2.0 ** min(number - 1, 30), self._move_every_s)
            wait = max(wait, last + after - now)
        return max(wait, 0.0)

    def moved(self, group: GroupId) -> None:
        """A move has begun: the API server has accepted the deletion of a pod for it."""
        now = self._clock()
        row_s = 2 * self._move_every_s
        self._moved = {g: moved for g, moved in self._moved.items() if now - moved[0] < row_s}
        _, number = self._moved.get(group, (now, 0))
        self._moved[group] = (now, number + 1)


def is_move(actions: Sequence[Action]) -> bool:
    """True if pods are deleted so that the group moves. Leaving a hold before a pod was pinned
    deletes none and costs nothing.
    """
    leaves = any(isinstance(a, LeaveHold) for a in actions)
    return any(isinstance(a, DeletePod) and (a.whole or leaves) for a in actions)
