"""The life of a hold: its states, and the transitions between them.

`COMING`: victims leave for the group; no other group gets the domain. `ACTIVE`: the group's pods
may be pinned and bound there. `LEAVING`: the group was moved away and may still have pods there.

`TRANSITIONS` lists every legal write of one group's hold on one domain; `None` means no hold.
`check_transition` precedes each write, so no other is possible. Two rules follow from the table. No
group gets a domain while a pod of another group may be in it: `ACTIVE` never ends at once, but
becomes `LEAVING` first, which ends when a quorum list shows no pod. A `COMING` hold lets no pod in,
but may stand where the group had another hold before, so it ends by such a list as well.

Each transition is decided in the turn of the hold's own group: a victim makes its hold `LEAVING`
when it sees another hold that names it. Only the leading planner writes holds.
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
    """Raises ValueError for a transition that `TRANSITIONS` lacks."""
    if (before, after) not in TRANSITIONS:
        raise ValueError(f"a hold that is {before} cannot become {after}")
