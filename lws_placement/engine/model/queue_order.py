"""Whose turn it is: the order in which groups that wait are planned.

Priority first, then age (creation of the group's oldest pod), then identity. This is the only
place that knows it, so that the planner and the verbs that tell a group its place in the queue
cannot differ.
"""

from collections.abc import Iterable, Sequence

from lws_placement.engine.model.groups import Group, GroupId
from lws_placement.engine.model.pods import Pod

Turn = tuple[int, float, GroupId]
"""Sorts first whose turn comes first."""


def turn_of(group: Group) -> Turn:
    return -group.priority, group.since_s, group.id


def turn_of_pods(group: GroupId, pods: Sequence[Pod]) -> Turn:
    """For a group of which no more is known than its pods that exist."""
    priority = max((p.priority for p in pods), default=0)
    return -priority, min((p.created_s for p in pods), default=0.0), group


def earlier_of(group: Group, waiting: Iterable[Turn]) -> frozenset[GroupId]:
    """Those of `waiting` whose turn comes before this group's."""
    turn = turn_of(group)
    return frozenset(other[2] for other in waiting if other < turn)
