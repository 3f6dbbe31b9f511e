"""What keeps a placed group from being or staying whole besides the fit of its hold, and its
repair. Rules that depend on time say when to look again.

Dead nodes: a pod that stays Terminating on a node that is not ready keeps its group from coming
back, since it may still run. Only a person can rule that out, with the out-of-service taint or by
deleting the Node; kube-controller-manager's pod garbage collector then force-deletes the pod, so we
do not. With the opt-in `force-delete-after` we do, after that time.
"""

from dataclasses import dataclass, replace

from lws_placement.engine.base.keys import SECOND_SCHEDULER
from lws_placement.engine.messages import (
    outside_note,
    stuck_note,
    surplus_note,
    unlike_note,
    unserved_note,
)
from lws_placement.engine.model.groups import Group
from lws_placement.engine.model.pods import DEFAULT_SCHEDULER, MemberInfo, Pod, Rank
from lws_placement.engine.model.snapshot import ClusterSnapshot
from lws_placement.engine.model.verdicts import Placed
from lws_placement.engine.objects.nodes import DomainName, NodeName
from lws_placement.engine.reconcile.actions import (
    Action,
    DeletePod,
    ForceDelete,
    LeaveHold,
    LookAgain,
    Tell,
    Topic,
)
from lws_placement.engine.reconcile.context import Context
from lws_placement.engine.reconcile.group_state import (
    GroupState,
    MembersState,
    newest_members,
)
from lws_placement.engine.reconcile.placement import has_shape, is_outside, plan_anywhere

_SERVED = (DEFAULT_SCHEDULER, SECOND_SCHEDULER)
_OUT_OF_SERVICE = "node.kubernetes.io/out-of-service"


@dataclass(frozen=True, slots=True)
class Refusal:
    """kube-scheduler has refused a member for longer than a passing lack of room lasts."""

    rank: Rank
    words: str
    """kube-scheduler's message."""
    why: str
    node: NodeName = ""
    everywhere: bool = False
    """It is not about the member's domain."""
    missing: bool = False
    """No scheduler has refused a member: it does not exist."""


def is_left_alone(pod: Pod) -> bool:
    """Whether the pod is free to be bound where it is pinned, and no scheduler has said anything.
    Only for a pod that names another scheduler: the cluster's own comes back.
    """
    free = pod.node is None and pod.pinned is not None and not pod.gates
    return free and not pod.unschedulable and pod.scheduler not in _SERVED


def refusal(current: MembersState) -> Refusal | LookAgain | None:
    """The longest refusal of a member that by our model fits where it is pinned. None while old
    pods of the group are Terminating: refusals for volumes and affinity then pass with time.
    """
    failures = current.observed.failures
    since = failures.refused_since
    refused = [
        (since[pod.uid], rank, pod)
        for rank, pod in current.members.items()
        if pod.node is None and pod.pinned is not None and not pod.gated and pod.uid in since
    ]
    if not refused or current.going:
        return None
    since_s, rank, pod = min(refused, key=lambda found: found[:2])
    policy, alone = failures.policy, is_left_alone(pod)
    after_s = policy.unserved_after_s if alone else policy.refused_after_s
    left_s = since_s + after_s - failures.now_s
    if left_s > 0:
        return LookAgain(left_s)
    if alone:
        words = unserved_note(pod.name, pod.scheduler)
        return Refusal(rank, words, words, everywhere=True)
    if not _names_nodes(pod.unschedulable):
        words = f"kube-scheduler refuses {pod.name} wherever it is: {pod.unschedulable}"
        return Refusal(rank, words, words, everywhere=True)
    why = f"kube-scheduler refuses {pod.name} on {pod.pinned}: {pod.unschedulable}"
    return Refusal(rank, pod.unschedulable, why, pod.pinned or "")


def _names_nodes(message: str) -> bool:
    """Whether the message counts nodes for some reason, as "0/8 nodes are available: 1 Insufficient
    cpu, 7 node(s) ..." does. Without, a plugin has refused the pod before it asked for any node:
    "0/8 nodes are available: pod has unbound immediate PersistentVolumeClaims." (kube-scheduler
    1.37, FitError in pkg/scheduler/framework/types.go). A message of another form may be about a
    node.
    """
    _, available, reasons = message.partition("nodes are available: ")
    reasons, *_ = reasons.split("preemption: ")
    return not available or any(part.strip()[:1].isdigit() for part in reasons.split(","))


def leave_for_a_better(observed: GroupState, context: Context) -> list[Action]:
    """Leaves a domain whose nodes failed too often, between two incarnations and if there is a
    better one. Only for groups of one domain; subgroups stay where they are.
    """
    reservations = observed.reservations
    members = observed.members
    leader = members.get(0)
    between = leader is None or all(p.node is None for p in members.values())
    if len(reservations) != 1 or len(reservations[0].holds) != 1 or not between:
        return []
    (hold,) = reservations[0].holds
    if hold.domain not in observed.failures.last_choice or not _has_better(
        observed, hold.domain, context
    ):
        return []
    why = f"its nodes failed {observed.failures.failures_in(hold.domain)} times lately"
    loose = [p for p in members.values() if p.node is None and not p.gated]
    return [LeaveHold(hold, why), *(DeletePod(p, why) for p in loose)]


def _has_better(observed: GroupState, domain: DomainName, context: Context) -> bool:
    """Uses the group's pods in any state, so that the answer is known before the successors are
    admitted.
    """
    newest = newest_members(observed.pods)
    if not newest:
        return False
    current = MembersState.of(observed, newest)
    group = current.group(observed.active)
    if group is None or group.topology_key != domain.key:
        return False
    plan = plan_anywhere(made_anew(group), current, context.views, memo=context.memo)
    return isinstance(plan, Placed) and plan.domain not in observed.failures.last_choice


def made_anew(group: Group) -> Group:
    """The group as its successors will be: without nodes, and without the node selector by which
    workers carry their leader's domain.
    """
    members = []
    for member in group.members:
        selector = tuple(i for i in member.demand.selector if i[0] != group.topology_key)
        demand = replace(member.demand, selector=selector)
        members.append(replace(member, fixed=None, demand=demand))
    return replace(group, members=tuple(members))


def clear_out(current: MembersState, why: str) -> list[Action]:
    """Deletes pods that cannot stay: all if one is bound (a restart of the whole group)."""
    leader = current.members.get(0)
    if current.bound and not current.info.of_lws:
        return [DeletePod(p, why) for p in current.members.values()]
    if current.bound and leader is not None:
        return [DeletePod(leader, why, whole=True)]
    return [DeletePod(p, why) for p in current.members.values() if not p.gated]


def watch_over(observed: GroupState, views: ClusterSnapshot) -> list[Action]:
    """What a user should know, what to force-delete, and when to look again."""
    stuck = (action for pod in observed.pods for action in _stuck(pod, observed, views))
    return [*stuck, *_outside(observed, views), *_left_out(observed)]


def _left_out(observed: GroupState) -> list[Action]:
    """Reports gated pods that have no place in a group of other pods: they ask for another group
    than its first pod does, or all places are taken.
    """
    members = observed.members
    if not members:
        return []
    info = MembersState.of(observed, members).info
    placed = {pod.uid for pod in members.values()}
    unlike, surplus = [], []
    for pod in observed.pods:
        if pod.living and pod.gated and pod.member is not None:
            if not info.of_lws and not _is_alike(pod.member, info):
                unlike.append(pod.name)
            elif pod.uid not in placed:
                surplus.append(pod.name)
    told: list[Action] = []
    if unlike:
        told.append(Tell(Topic.UNLIKE, unlike_note(unlike)))
    if surplus and len(members) >= info.size:
        told.append(Tell(Topic.SURPLUS, surplus_note(surplus, info.size)))
    return told


def _is_alike(one: MemberInfo, other: MemberInfo) -> bool:
    return (one.size, one.request) == (other.size, other.request)


def failed_by_node(pod: Pod, views: ClusterSnapshot) -> bool:
    """Whether the pod ended because of its node."""
    if pod.node is None:
        return False
    if pod.node_failure:
        return True
    return (pod.terminating or pod.failed) and _is_dead(pod, views)


def _is_dead(pod: Pod, views: ClusterSnapshot) -> bool:
    view = views.node_view(pod.node or "")
    return view is None or not view.node.ready


def _stuck(pod: Pod, observed: GroupState, views: ClusterSnapshot) -> list[Action]:
    if not pod.going or not _is_dead(pod, views):
        return []
    now_s, force_after_s = observed.failures.now_s, observed.failures.policy.force_after_s
    if now_s < pod.deleted_s:
        return [LookAgain(pod.deleted_s - now_s)]
    if force_after_s is not None:
        left_s = pod.deleted_s + force_after_s - now_s
        if left_s <= 0:
            return [ForceDelete(pod, f"node {pod.node} is dead")]
        return [LookAgain(left_s)]
    view = views.node_view(pod.node or "")
    if view is None or any(t.key == _OUT_OF_SERVICE for t in view.node.taints):
        return []
    return [Tell(Topic.STUCK, stuck_note(pod))]


def _outside(observed: GroupState, views: ClusterSnapshot) -> list[Action]:
    """Reports a running group on a relabelled node. It is not stopped, as Kubernetes stops no
    running pod for its affinity.
    """
    reservations = observed.reservations
    members = observed.members
    if len(reservations) != 1 or not members:
        return []
    (reservation,) = reservations
    current = MembersState.of(observed, members)
    if not has_shape(reservation.holds, current.request, current.info.size):
        return []  # it is planned anew
    nodes = set()
    for rank, pod in members.items():
        view = views.node_view(pod.node) if pod.node is not None else None
        if view is not None and is_outside(reservation, current.request, rank, view.node.labels):
            nodes.add(view.node.name)
    return [Tell(Topic.OUTSIDE, outside_note(sorted(nodes), reservation.where))] if nodes else []
