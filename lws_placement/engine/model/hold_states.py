"""The life of a hold: its states, and the law of which may follow which.

`COMING`: others go for the group; nobody else gets the domain. `ACTIVE`: the group's pods may be
pinned and bound there. `LEAVING`: the group was moved away and may still have pods there.

`TRANSITIONS` has every write that may be made of one group's hold on one domain; `None` is a hold
that does not exist. `check_transition` stands before each, so no other can be written. Two rules
follow from the table. Nobody gets a domain while a pod of another group may be in it: `ACTIVE`
never ends at once, but becomes `LEAVING` first, which ends when a quorum list shows no pod. A hold
that is `COMING` lets no pod in; it may stand where the group had another one before, so it ends by
such a list as well.

All are decided in the turn of the group whose hold it is: a victim's hold is made `LEAVING` by the
victim, when it sees that another one names it. Only the leading planner writes them.
"""

from collections.abc import Mapping
from enum import StrEnum


class HoldState(StrEnum):
    ACTIVE = "active"
    LEAVING = "leaving"
    COMING = "coming"


TRANSITIONS: Mapping[tuple[HoldState | None, HoldState | None], str] = {
    (None, HoldState.ACTIVE): "planned, or adopted where it runs",
    (None, HoldState.COMING): "planned; others go for it",
    (HoldState.COMING, HoldState.COMING): "more have to go for it",
    (HoldState.COMING, HoldState.ACTIVE): "all who had to go are gone",
    (HoldState.COMING, None): "not wanted any more, or in vain; no pod of the group is there",
    (HoldState.ACTIVE, HoldState.ACTIVE): "members assigned again in the domain",
    (HoldState.ACTIVE, HoldState.LEAVING): "the group cannot stay, or ended",
    (HoldState.LEAVING, HoldState.ACTIVE): "planned again in the domain",
    (HoldState.LEAVING, HoldState.COMING): "planned again in the domain; others go for it",
    (HoldState.LEAVING, None): "no pod of the group is there, by a quorum list",
}


def check_transition(before: HoldState | None, after: HoldState | None) -> None:
    """Raises ValueError for one that `TRANSITIONS` lacks."""
    if (before, after) not in TRANSITIONS:
        raise ValueError(f"a hold that is {before} cannot become {after}")
