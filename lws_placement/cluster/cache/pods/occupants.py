"""What a pod takes from its node, for which group, and whether an update changes that."""

from dataclasses import replace

from lws_placement.engine.model.groups import GroupId, Occupant
from lws_placement.engine.model.pods import Pod
from lws_placement.engine.model.scale_up import Placeholder
from lws_placement.engine.objects.placement_request import Scope


def occupant_of(pod: Pod, group: GroupId | None, stands_for: Placeholder | None) -> Occupant:
    """`group`: the group that the pod is placed with. `stands_for`: of a placeholder."""
    if stands_for is not None:
        of = stands_for
        return Occupant(pod.uid, pod.demand, of.group, of.scope, of.rank)
    if group is None:
        return Occupant(pod.uid, pod.demand, guest_group(pod), Scope.NOBODY)
    rank = pod.member.rank if pod.member is not None else None
    scope = pod.member.request.claims if pod.member is not None else Scope.NOBODY
    return Occupant(pod.uid, pod.demand, group, scope, rank)


def guest_group(pod: Pod) -> GroupId | None:
    """The group of a pod that we do not place but that carries LeaderWorkerSet's labels. No other
    group may share its domain: these labels make kube-scheduler refuse leaders with the exclusive
    terms there. The labels alone suffice for that.
    """
    member = pod.member
    if member is None or not member.of_lws:
        return None
    return GroupId(pod.namespace, member.lws, member.lws_uid, member.group_key)


def takes_differently(old: Pod | None, pod: Pod) -> bool:
    """True if the pod's share of its node, or how long it lasts, changed. Most updates change only
    status.
    """
    if old is None or old is pod:
        return True
    going = old.finished != pod.finished or old.terminating != pod.terminating
    return going or old.node != pod.node or old.demand != pod.demand


def differs(old: Pod | None, pod: Pod) -> bool:
    """True if placement-relevant fields changed; most status updates change none."""
    return old is None or old is pod or replace(old, resource_version=pod.resource_version) != pod
