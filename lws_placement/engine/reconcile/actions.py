"""The planner's actions for a group: values, decided in pure code and applied in order.

A failed action ends the list, and the group is observed again. Each action is safe to repeat.
"""

from dataclasses import dataclass
from enum import StrEnum

from lws_placement.engine.model.groups import Group, GroupId
from lws_placement.engine.model.pods import Pod, Rank
from lws_placement.engine.model.reservation import Hold
from lws_placement.engine.model.verdicts import NoFit
from lws_placement.engine.objects.nodes import NodeName
from lws_placement.engine.preemption.search import NoPreemption
from lws_placement.engine.preemption.victims import Victim


@dataclass(frozen=True, slots=True)
class WriteHold:
    """Create the hold, or replace the version it carries."""

    hold: Hold


@dataclass(frozen=True, slots=True)
class LeaveHold:
    """The group goes elsewhere: nothing more is bound there, but the domain stays closed."""

    hold: Hold
    why: str
    preempted_by: GroupId | None = None
    refused: str = ""
    """kube-scheduler's message, if it refused the group there for something we do not model."""
    node: NodeName = ""
    """The node that it refused."""
    everywhere: bool = False
    """The refusal is not about this domain."""


@dataclass(frozen=True, slots=True)
class EndHold:
    """No pod of the group is known in the domain: end the hold if a quorum list confirms it.

    `returning`: the group is expected (back), so its domain is kept for the hold time.
    """

    hold: Hold
    returning: bool = False


@dataclass(frozen=True, slots=True)
class KeepHold:
    """Do nothing: the group has no pod, is expected, and nothing else waits for what it holds."""

    hold: Hold


@dataclass(frozen=True, slots=True)
class Pin:
    """Pin a gated pod to its node and remove our gate."""

    pod: Pod
    rank: Rank
    node: NodeName
    plan: str


@dataclass(frozen=True, slots=True)
class Release:
    """Remove our gate without a plan: the pod is kube-scheduler's alone."""

    pod: Pod


@dataclass(frozen=True, slots=True)
class DeletePod:
    """Delete a pod by UID; its controller recreates it. `whole`: a leader and all that it owns."""

    pod: Pod
    why: str
    whole: bool = False


@dataclass(frozen=True, slots=True)
class TryEvictions:
    """Dry-run the evictions of all victims of holds to be written; if one is refused, no action
    follows.
    """

    holds: tuple[Hold, ...]
    victims: tuple[Victim, ...]


@dataclass(frozen=True, slots=True)
class Evict:
    """Evict through the eviction API, so budgets are kept; a refusal ends the list."""

    pod: Pod
    by: Hold
    """The hold that the eviction makes room for."""


@dataclass(frozen=True, slots=True)
class ForceDelete:
    """Remove a Terminating pod of a dead node from the API server, though it may still run."""

    pod: Pod
    why: str


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing fits now; events and users read the verdict. `group`: as planned. `nobody`: why the
    group evicts nothing.
    """

    verdict: NoFit
    group: Group
    nobody: NoPreemption
    besides: tuple[str, ...] = ()
    """What else a user should know, in words: what its members are expected to request beyond their
    template, nodes that lack the label.
    """

    @property
    def asked(self) -> Group | None:
        """The group, to be planned again when a domain would take it; None: to be planned again
        whenever room may have become free.
        """
        return None if self.group.excluded or self.group.refused else self.group


class Hindrance(StrEnum):
    """The kind of obstacle to planning a group; the value is the Event's reason."""

    CANNOT_PLAN = "CannotPlan"
    GATED = "WaitingForGate"
    FORBIDDEN = "MembersForbidden"
    NOT_ALLOWED = "DomainsNotAllowed"


@dataclass(frozen=True, slots=True)
class Blocked:
    """The group cannot be planned until a user or another controller acts; `why` says what to do.
    `gist`: blocks with an equal gist tell a user the same; default: `why`.
    """

    why: str
    hindrance: Hindrance = Hindrance.CANNOT_PLAN
    gist: str = ""


class Topic(StrEnum):
    """What users are told besides the plan; the value is the Event's reason."""

    STUCK = "StuckTerminating"
    OUTSIDE = "OutsideDomain"
    LARGER = "LargerThanTemplate"
    MISSING = "MembersMissing"
    SURPLUS = "SurplusPods"
    UNLIKE = "UnlikePods"


@dataclass(frozen=True, slots=True)
class Tell:
    """Report something that a user should know, and perhaps act on."""

    topic: Topic
    note: str


@dataclass(frozen=True, slots=True)
class LookAgain:
    """Time changes the decision: decide again after this delay, unless an event comes first."""

    after_s: float


Action = (
    WriteHold
    | LeaveHold
    | EndHold
    | KeepHold
    | Pin
    | Release
    | DeletePod
    | TryEvictions
    | Evict
    | ForceDelete
    | Wait
    | Blocked
    | Tell
    | LookAgain
)
