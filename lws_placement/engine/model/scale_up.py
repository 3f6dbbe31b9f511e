"""Scale-up: how a cluster autoscaler is made to create the nodes of a whole domain for a group.

A *placeholder* is a pod of ours that stands for one member of a group that waits. It has the
member's requests, so an autoscaler that acts on unschedulable pods makes a node for it; or a
ProvisioningRequest asks for the nodes of all placeholders of the group at once. Once bound it keeps
that node for the group: the group's own plan counts it as gone, all other plans count it as a pod
of that group.
"""

from dataclasses import dataclass, field
from enum import StrEnum

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
    consumes: str = ""
    """Name of the ProvisioningRequest that asks for its node; empty if the pod itself does."""
    answer: str = ""
    """The last words of the cluster autoscaler, on one placeholder of a group."""


@dataclass(frozen=True, slots=True)
class NodesRequested:
    """The placeholders of one group: how many there are, those that are bound, by which
    ProvisioningRequest (if any), since when (RFC 3339), and the cluster autoscaler's last words.
    """

    asked: int = 0
    bound: PodsByNode = field(default_factory=dict)
    consumes: str = ""
    since: str = ""
    answer: str = ""

    @property
    def note(self) -> str:
        """In words; empty if nothing was requested."""
        if not self.asked:
            return ""
        number = sum(map(len, self.bound.values()))
        how = f" by ProvisioningRequest {self.consumes}" if self.consumes else ""
        since = f" since {self.since}" if self.since else ""
        answer = f"; the cluster autoscaler: {self.answer}" if self.answer else ""
        return (
            f"new nodes were requested for it{how}{since}: {number} of {self.asked} placeholder "
            f"pods have one{answer}"
        )


class Provisioning(StrEnum):
    """How far a cluster autoscaler has come with a ProvisioningRequest."""

    UNSEEN = "unseen"
    """None has accepted it."""
    PENDING = "pending"
    PROVISIONED = "provisioned"
    OVER = "over"
    """It was provisioned; its nodes are no longer kept for it."""
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Answer:
    """What the conditions of a ProvisioningRequest say; `words` may be empty."""

    stage: Provisioning
    words: str = ""
