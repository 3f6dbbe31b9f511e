"""A pod's group, from what is known of its owners."""

from collections.abc import Mapping

from lws_placement.cluster.codec.objects import controlling_owner
from lws_placement.engine.admission.membership import Controller, is_where_members_are
from lws_placement.engine.base.raw import Raw
from lws_placement.engine.model.groups import GroupId
from lws_placement.engine.model.pods import MemberInfo, Pod
from lws_placement.engine.model.workload import LwsInfo

Sets = Mapping[tuple[str, str], LwsInfo]


def identify(pod: Pod, sets: Sets, stateful_sets: Mapping[str, Raw]) -> GroupId | None:
    """The group that a pod is placed with; None if the pod requests no placement, or if its labels
    contradict its owner. `sets`: by namespace and name; `stateful_sets`: by UID.

    The rule is in `engine/admission/membership.py`.
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
    """UID of the leader pod of this member; it distinguishes the incarnations of a group.
    `stateful_set`: the member's.
    """
    if pod.member is None or pod.member.rank == 0:
        return pod.uid
    found = controlling_owner(stateful_set).get("uid", "") if stateful_set is not None else ""
    return str(found or pod.owner_uid)


def _lws_uid(pod: Pod, member: MemberInfo, sets: Sets, *, stateful_sets: Mapping[str, Raw]) -> str:
    """The UID stamped at admission; else the one of the leader StatefulSet's owner; else by the
    set's name, as for a leader that a Deployment's ReplicaSet owns.
    """
    if member.lws_uid:
        return member.lws_uid
    if member.rank == 0 and pod.owner_uid in stateful_sets:
        return str(controlling_owner(stateful_sets[pod.owner_uid]).get("uid", ""))
    lws = sets.get((pod.namespace, member.lws))
    return lws.uid if lws is not None else ""
