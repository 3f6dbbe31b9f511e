"""The interface through which parts of the planner learn what it decides and does for groups."""

from collections.abc import Sequence
from typing import Protocol

from lws_placement.engine.model.groups import GroupId
from lws_placement.engine.reconcile.actions import Action
from lws_placement.engine.reconcile.group_state import GroupState


class Observer(Protocol):
    """Called on the event loop; must not wait. The methods do nothing by default."""

    def decided(self, observed: GroupState, actions: Sequence[Action]) -> None:
        """The planner decided `actions`, without those that `Pace` delays."""
        return

    def done(self, group: GroupId, actions: Sequence[Action]) -> None:
        """All of `actions` were carried out."""
        return
