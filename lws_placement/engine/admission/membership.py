"""The group that a pod is a member of: one rule for admission, planner, extender and CLI.

Labels alone make no pod a member, as every copy of a template has them. A pod is a member of a
group if its labels say so *and* the controllers above it are those that LeaderWorkerSet makes for a
pod of its rank, up to the LeaderWorkerSet of its name label:

    leader:  StatefulSet <lws> -> LeaderWorkerSet <lws>
    worker:  StatefulSet <leader pod> -> its leader pod -> as above

and where groups have keys instead of ordinals (`MemberInfo.keyed`):

    leader:  ReplicaSet <lws>-<hash> -> Deployment <lws> -> LeaderWorkerSet <lws>

Admission follows the whole chain, live where it must, and records the result: the UID of the
LeaderWorkerSet on a member, `admitted: foreign` on a pod that is none. That decision is final,
whatever is deleted above the pod later. For a pod older than our installation the planner knows the
first controller, and assumes the LeaderWorkerSet of that name above it.
"""

from dataclasses import dataclass

from lws_placement.engine.model.pods import MemberInfo, Pod

LWS = "LeaderWorkerSet"


@dataclass(frozen=True, slots=True)
class Controller:
    """The controlling owner of an object; all fields empty: it has none."""

    kind: str = ""
    name: str = ""
    uid: str = ""

    def __str__(self) -> str:
        return f"{self.kind} {self.name}" if self.kind else "nothing"


def leads_on(below: str, above: Controller, member: MemberInfo) -> bool:
    """True if `above` may control an object of kind `below` that belongs to the member's group. For
    the pod itself, `below` is "leader" or "worker": see `first_of`.
    """
    match below:
        case "leader" | "Pod":
            return _makes_leaders(above, member)
        case "worker":
            return _same(above, Controller("StatefulSet", member.leader_name))
        case "StatefulSet":
            leader = Controller("Pod", member.leader_name)
            return _same(above, Controller(LWS, member.lws)) or _same(above, leader)
        case "ReplicaSet":
            return _same(above, Controller("Deployment", member.lws))
        case "Deployment":
            return _same(above, Controller(LWS, member.lws))
        case _:
            return False


def first_of(member: MemberInfo) -> str:
    """The first `below` for `leads_on`: the kind of the pod itself."""
    return "leader" if member.rank == 0 else "worker"


def is_where_members_are(member: MemberInfo, above: Controller) -> bool:
    """True if `above` is the controller that LeaderWorkerSet makes for a pod of that rank."""
    return leads_on(first_of(member), above, member)


def why_no_member(pod: Pod) -> str:
    """Why a pod with LeaderWorkerSet's labels is no member; empty for members and other pods."""
    member = pod.member
    if member is None or not member.of_lws:
        return ""
    above = Controller(pod.owner_kind, pod.owner_name)
    if is_where_members_are(member, above):
        if not member.foreign:
            return ""
        return f"{above} does not belong to LeaderWorkerSet {member.lws}"
    wanted = f"StatefulSet {member.lws if member.rank == 0 else member.leader_name}"
    if member.keyed and member.rank == 0:
        wanted = f"a ReplicaSet of Deployment {member.lws}"
    return f"it is controlled by {above}, not by {wanted}"


def _makes_leaders(above: Controller, member: MemberInfo) -> bool:
    if not member.keyed:
        return _same(above, Controller("StatefulSet", member.lws))
    name, _, template = above.name.rpartition("-")
    return above.kind == "ReplicaSet" and name == member.lws and bool(template)


def _same(one: Controller, other: Controller) -> bool:
    return (one.kind, one.name) == (other.kind, other.name)
