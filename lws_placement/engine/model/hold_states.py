"""The life of a hold: its states, and the law of who may make which of which.

`COMING`: others go for the group; nobody else gets the domain. `ACTIVE`: the group's pods may be
pinned and bound there. `LEAVING`: the group was moved away and may still have pods there.

`TRANSITIONS` has every write that the planner may make of one group's hold on one domain; `None` is
a hold that does not exist. Two rules follow from it. Nobody gets a domain while a pod of another
group may be in it: `ACTIVE` never ends at once, but becomes `LEAVING` first, which ends when a
quorum list shows no pod. A hold that is `COMING` promises nothing to pods, so it may end at once.
The stories of the planner's tests check each write against the table.
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
    (HoldState.COMING, HoldState.ACTIVE): "all who had to go are gone",
    (HoldState.COMING, None): "not wanted any more, or in vain",
    (HoldState.ACTIVE, HoldState.ACTIVE): "members assigned again in the domain",
    (HoldState.ACTIVE, HoldState.LEAVING): "the group cannot stay, or ended",
    (HoldState.LEAVING, HoldState.ACTIVE): "planned again in the domain",
    (HoldState.LEAVING, None): "no pod of the group is there, by a quorum list",
}
