"""Waiting groups and their wait times: the planner's share of /metrics.

A group is *seen* when the planner first observes gated pods of it and no hold, and *placed* when
its hold has been written. Kept in memory: a new planner counts from its start.
"""

import time
from collections.abc import Callable, Sequence

from lws_placement import metrics
from lws_placement.engine.model.groups import GroupId
from lws_placement.engine.model.hold_states import HoldState
from lws_placement.engine.reconcile.actions import Action, Blocked, Pin, Wait, WriteHold
from lws_placement.engine.reconcile.group_state import GroupState
from lws_placement.metrics import Waiting
from lws_placement.planner.observer import Observer


class WaitingGroups(Observer):
    """`clock`: monotonic seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._since: dict[GroupId, float] = {}
        self._waits: dict[GroupId, Waiting] = {}

    def decided(self, observed: GroupState, actions: Sequence[Action]) -> None:
        if not observed.active and any(pod.gated for pod in observed.pods):
            self._since.setdefault(observed.id, self._clock())
        elif not observed.active:
            self._since.pop(observed.id, None)
        self._set(observed.id, Waiting.EVICTING if observed.coming else _why(actions))

    def done(self, group: GroupId, actions: Sequence[Action]) -> None:
        if any(_places(action) for action in actions):
            since = self._since.pop(group, None)
            if since is not None:
                metrics.WAIT_SECONDS.observe(self._clock() - since)

    def clear(self) -> None:
        """Resets the metrics when this planner ends; the next one counts afresh."""
        for group in list(self._waits):
            self._set(group, None)
        self._since.clear()

    def _set(self, group: GroupId, why: Waiting | None) -> None:
        old = self._waits.pop(group, None)
        if old is not None:
            metrics.WAITING_GROUPS.labels(old).dec()
        if why is not None:
            self._waits[group] = why
            metrics.WAITING_GROUPS.labels(why).inc()


def _places(action: Action) -> bool:
    """True for a pin too: `done` does not see a hold whose write was followed by a conflict."""
    match action:
        case WriteHold(hold):
            return hold.state is HoldState.ACTIVE
        case Pin():
            return True
    return False


def _why(actions: Sequence[Action]) -> Waiting | None:
    for action in actions:
        if isinstance(action, Wait):
            return metrics.waiting_for(action.verdict)
        if isinstance(action, Blocked):
            return Waiting.BLOCKED
    return None
