"""Limits the pace: moves of one group are at least a minute apart, and a group without pods keeps
its domain for a while after another group or pod could use it.

Both are courtesies kept in memory. A new planner counts from zero, which is the safe direction.
"""

from collections.abc import Callable, Sequence

from lws_placement.engine.model.groups import GroupId
from lws_placement.engine.reconcile.actions import Action, DeletePod, EndHold, KeepHold, LeaveHold


class Pace:
    """`clock`: monotonic seconds. `hold_s`: how long a group without pods keeps its domain though
    others wait. `move_every_s`: between two moves of one group.
    """

    def __init__(
        self, *, clock: Callable[[], float], hold_s: float, move_every_s: float = 60.0
    ) -> None:
        self._clock = clock
        self._hold_s = hold_s
        self._move_every_s = move_every_s
        self._moved: dict[GroupId, float] = {}
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
            wait = max(wait, self._moved[group] + self._move_every_s - now)
        return max(wait, 0.0)

    def moved(self, group: GroupId) -> None:
        """A move has begun: the API server has accepted the deletion of a pod for it."""
        now = self._clock()
        self._moved = {g: t for g, t in self._moved.items() if now - t < self._move_every_s}
        self._moved[group] = now


def is_move(actions: Sequence[Action]) -> bool:
    """True if pods are deleted so that the group moves. Leaving a hold before a pod was pinned
    deletes none and costs nothing.
    """
    leaves = any(isinstance(a, LeaveHold) for a in actions)
    return any(isinstance(a, DeletePod) and (a.whole or leaves) for a in actions)
