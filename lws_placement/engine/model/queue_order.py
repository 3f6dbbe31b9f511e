"""The order in which waiting groups are planned.

Priority first, then age (creation of the group's oldest pod), then identity. Only this module knows
the order, so that the planner and the verbs that report a group's place in the queue cannot differ.
"""

from collections.abc import Iterable, Sequence

from lws_placement.engine.model.groups import Group, GroupId
from lws_placement.engine.model.pods import Pod

Turn = tuple[int, float, GroupId]
"""An earlier turn sorts first."""


def turn_of(group: Group) -> Turn:
    return -group.priority, group.since_s, group.id


def turn_of_pods(group: GroupId, pods: Sequence[Pod]) -> Turn:
    """For a group known only by its existing pods."""
    priority = max((p.priority for p in pods), default=0)
    return -priority, min((p.created_s for p in pods), default=0.0), group


def earlier_of(group: Group, waiting: Iterable[Turn]) -> frozenset[GroupId]:
    """Groups of `waiting` that precede this group."""
    turn = turn_of(group)
    return frozenset(other[2] for other in waiting if other < turn)
