"""What the planner may do for a group: values, decided purely, applied in order.

An action that fails ends the list: the group is observed again. Each is safe to repeat.
"""

from dataclasses import dataclass
from enum import StrEnum

from lws_placement.engine.model.groups import Group, GroupId
from lws_placement.engine.model.nodes import NodeName
from lws_placement.engine.model.pods import Pod, Rank
from lws_placement.engine.model.reservation import Hold
from lws_placement.engine.model.verdicts import NoFit
from lws_placement.engine.preemption.search import NoPreemption
from lws_placement.engine.preemption.victims import Victim


@dataclass(frozen=True, slots=True)
class WriteHold:
    """Create the hold, or replace the version it carries."""

    hold: Hold


@dataclass(frozen=True, slots=True)
class LeaveHold:
    """The group goes elsewhere: nothing may be bound there any more, but the domain stays shut."""

    hold: Hold
    why: str
    preempted_by: GroupId | None = None
    refused: str = ""
    """kube-scheduler's words, if it refused the group there for what we do not model."""


@dataclass(frozen=True, slots=True)
class EndHold:
    """No pod of the group is known in the domain: end the hold if a quorum list agrees.

    `returning`: the group is expected (back), so its domain is kept for the hold time.
    """

    hold: Hold
    returning: bool = False


@dataclass(frozen=True, slots=True)
class KeepHold:
    """The group has no pod, is expected, and nobody else waits for what it holds: nothing to do."""

    hold: Hold


@dataclass(frozen=True, slots=True)
class Pin:
    """Pin a gated pod to its node and take our gate off."""

    pod: Pod
    rank: Rank
    node: NodeName
    plan: str


@dataclass(frozen=True, slots=True)
class Release:
    """Take our gate off without a plan: the pod is kube-scheduler's alone."""

    pod: Pod


@dataclass(frozen=True, slots=True)
class DeletePod:
    """Delete a pod by UID; its controller makes a successor. `whole`: a leader, with all that it
    owns.
    """

    pod: Pod
    why: str
    whole: bool = False


@dataclass(frozen=True, slots=True)
class TryEvictions:
    """Dry runs for all victims of holds that are to be written; if one is refused, nothing is done
    at all.
    """

    holds: tuple[Hold, ...]
    victims: tuple[Victim, ...]


@dataclass(frozen=True, slots=True)
class Evict:
    """Through the eviction API, so budgets are kept; if it is refused, the rest is not done."""

    pod: Pod
    by: Hold
    """The hold that it makes room for."""


@dataclass(frozen=True, slots=True)
class ForceDelete:
    """Take a Terminating pod of a dead node off the API server, though nobody has stopped it."""

    pod: Pod
    why: str


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing fits now; the verdict is what events and people read. `group`: as it was planned.
    `nobody`: why others are not evicted for it.
    """

    verdict: NoFit
    group: Group
    nobody: NoPreemption
    larger: str = ""
    """What its members are expected to ask for beyond their template, in words."""

    @property
    def asked(self) -> Group | None:
        """The group, to be planned again when some domain would take it; None: whenever room may
        have become free.
        """
        return None if self.group.excluded else self.group


class Hindrance(StrEnum):
    """What kind of thing keeps a group from being planned; the value is the Event's reason."""

    CANNOT_PLAN = "CannotPlan"
    GATED = "WaitingForGate"


@dataclass(frozen=True, slots=True)
class Blocked:
    """The group cannot be planned until somebody acts; `why` says what to do. `gist`: a person
    learns the same from blocks in which it is equal; default: `why`.
    """

    why: str
    hindrance: Hindrance = Hindrance.CANNOT_PLAN
    gist: str = ""


class Topic(StrEnum):
    """What a person is told of besides the plan; the value is the Event's reason."""

    STUCK = "StuckTerminating"
    OUTSIDE = "OutsideDomain"
    LARGER = "LargerThanTemplate"


@dataclass(frozen=True, slots=True)
class Tell:
    """Something that a person should know, and perhaps act on."""

    topic: Topic
    note: str


@dataclass(frozen=True, slots=True)
class LookAgain:
    """Time will change the decision: take it again then, if nothing happens before."""

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
