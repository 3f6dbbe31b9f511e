"""Who is told what the planner does for groups, by one interface."""

from collections.abc import Sequence
from typing import Protocol

from lws_placement.engine.model.groups import GroupId
from lws_placement.engine.reconcile.actions import Action
from lws_placement.engine.reconcile.group_state import GroupState


class Observer(Protocol):
    """Called on the event loop, must not wait. One that is derived from this heeds what it
    overrides.
    """

    def decided(self, observed: GroupState, actions: Sequence[Action]) -> None:
        """What comes of the group now: without actions that `Pace` has wait."""
        return

    def done(self, group: GroupId, actions: Sequence[Action]) -> None:
        """All of these actions were taken."""
        return
