"""Whose member a pod is, from what is known of its owners."""

from collections.abc import Mapping

from lws_placement.cluster.codec.objects import controlling_owner
from lws_placement.engine.base.raw import Raw
from lws_placement.engine.model.groups import GroupId
from lws_placement.engine.model.membership import Controller, is_where_members_are
from lws_placement.engine.model.pods import MemberInfo, Pod
from lws_placement.engine.model.workload import LwsInfo

Sets = Mapping[tuple[str, str], LwsInfo]


def identify(pod: Pod, sets: Sets, stateful_sets: Mapping[str, Raw]) -> GroupId | None:
    """The group a pod is to be placed with; None for pods that ask for nothing or lie about their
    owner. `sets`: by namespace and name; `stateful_sets`: by UID.

    The rule is that of `engine/model/membership.py`.
    """
    member = pod.member
    if member is None or member.foreign or not member.request.places:
        return None
    if not member.of_lws:
        return GroupId.read(pod.namespace, member.lws, member.lws_uid, "")
    if not is_where_members_are(member, Controller(pod.owner_kind, pod.owner_name)):
        return None
    uid = _lws_uid(pod, member, sets, stateful_sets=stateful_sets)
    return GroupId(pod.namespace, member.lws, uid, member.group_key)


def leader_uid(pod: Pod, stateful_set: Raw | None) -> str:
    """Tells apart the incarnations of a group: UID of the leader pod that this member belongs to.
    `stateful_set`: the member's.
    """
    if pod.member is None or pod.member.rank == 0:
        return pod.uid
    found = controlling_owner(stateful_set).get("uid", "") if stateful_set is not None else ""
    return str(found or pod.owner_uid)


def _lws_uid(pod: Pod, member: MemberInfo, sets: Sets, *, stateful_sets: Mapping[str, Raw]) -> str:
    """Stamped at admission; else through the leader StatefulSet's owner; else by name, as that of a
    ReplicaSet of its Deployment.
    """
    if member.lws_uid:
        return member.lws_uid
    if member.rank == 0 and pod.owner_uid in stateful_sets:
        return str(controlling_owner(stateful_sets[pod.owner_uid]).get("uid", ""))
    lws = sets.get((pod.namespace, member.lws))
    return lws.uid if lws is not None else ""
