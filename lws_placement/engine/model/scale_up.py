"""Scale-up: how a cluster autoscaler is made to create the nodes of a whole domain for a group.

A *placeholder* is a pod of ours that stands for one member of a group that waits. It has the
member's requests, so an autoscaler that acts on unschedulable pods makes a node for it. Once bound
it keeps that node for the group: the group's own plan counts it as gone, all other plans count it
as a pod of that group.
"""

from dataclasses import dataclass, field

from lws_placement.engine.model.groups import GroupId
from lws_placement.engine.model.pods import Rank
from lws_placement.engine.model.what_if import PodsByNode
from lws_placement.engine.objects.placement_request import Scope


@dataclass(frozen=True, slots=True)
class Placeholder:
    """What a placeholder pod stands for. `request`: the id of all that were made together, equal as
    long as the group asks for the same nodes. `scope`: the group's claim on its domain.
    """

    request: str
    group: GroupId
    rank: Rank
    scope: Scope


@dataclass(frozen=True, slots=True)
class NodesRequested:
    """The placeholders of one group: how many there are, and those that are bound."""

    asked: int = 0
    bound: PodsByNode = field(default_factory=dict)

    @property
    def note(self) -> str:
        """In words; empty if nothing was requested."""
        if not self.asked:
            return ""
        number = sum(map(len, self.bound.values()))
        return (
            f"new nodes were requested for it: {number} of {self.asked} placeholder pods have one"
        )
