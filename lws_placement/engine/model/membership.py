"""Whose member a pod is: one rule, for admission, planner, extender and the verbs that explain.

Labels make nobody a member, as they are copied with every template. A pod is a member of a group if
its labels say so *and* the controllers above it are those that LeaderWorkerSet makes for a pod of
its rank, up to the LeaderWorkerSet of its name label:

    leader:  StatefulSet <lws> -> LeaderWorkerSet <lws>
    worker:  StatefulSet <leader pod> -> its leader pod -> as above

and where groups have keys in place of ordinals (`MemberInfo.keyed`):

    leader:  ReplicaSet <lws>-<hash> -> Deployment <lws> -> LeaderWorkerSet <lws>

Admission looks through all of them, live where it must, and writes down what it found: the UID of
the LeaderWorkerSet on a member, `admitted: foreign` on a pod that is none. So nobody decides again
for that pod, whatever is deleted above it later. Of a pod that was there before us the planner
knows the first controller, and takes the LeaderWorkerSet of that name for the one above.
"""

from dataclasses import dataclass

from lws_placement.engine.model.pods import MemberInfo, Pod

LWS = "LeaderWorkerSet"


@dataclass(frozen=True, slots=True)
class Controller:
    """The controlling owner of an object; all empty: it has none."""

    kind: str = ""
    name: str = ""
    uid: str = ""

    def __str__(self) -> str:
        return f"{self.kind} {self.name}" if self.kind else "nothing"


def leads_on(below: str, above: Controller, member: MemberInfo) -> bool:
    """May an object of kind `below` that belongs to the member's group be controlled by `above`?
    The first one below is the pod itself, of which there are two kinds: see `first_of`.
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
    """What to begin with, for `leads_on`."""
    return "leader" if member.rank == 0 else "worker"


def is_where_members_are(member: MemberInfo, above: Controller) -> bool:
    """Is it the controller that LeaderWorkerSet makes for a pod of that rank?"""
    return leads_on(first_of(member), above, member)


def why_no_member(pod: Pod) -> str:
    """Of a pod that carries LeaderWorkerSet's labels; empty if it is one, or carries none."""
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
