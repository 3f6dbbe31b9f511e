"""What the planner may do for a group: values, decided purely, applied in order.

An action that fails ends the list: the group is observed again. Each is safe to repeat.
"""

from dataclasses import dataclass

from lws_placement.engine.holds import Hold
from lws_placement.engine.model import Group, NodeName, NoFit, Pod, Rank


@dataclass(frozen=True, slots=True)
class WriteHold:
    """Create the hold, or replace the version it carries."""

    hold: Hold


@dataclass(frozen=True, slots=True)
class LeaveHold:
    """The group goes elsewhere: nothing may be bound there any more, but the domain stays shut."""

    hold: Hold
    why: str


@dataclass(frozen=True, slots=True)
class EndHold:
    """No pod of the group is known in the domain: end the hold if a quorum list agrees.

    `returning`: the group is expected back (a restart), so its domain is kept for the hold time.
    """

    hold: Hold
    returning: bool


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
class Wait:
    """Nothing fits now; the verdict is what events and people read. `asked`: the group as it was
    planned, so that it is planned again when some domain would take it; None: whenever room may
    have become free.
    """

    verdict: NoFit
    size: int
    asked: Group | None = None


@dataclass(frozen=True, slots=True)
class Blocked:
    """The group cannot be planned until somebody acts; `why` says what to do."""

    why: str


Action = WriteHold | LeaveHold | EndHold | Pin | Release | DeletePod | Wait | Blocked
