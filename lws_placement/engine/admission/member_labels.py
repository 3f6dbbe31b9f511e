"""Labels of a group's members, for rules that select pods by label."""

from collections.abc import Mapping

from lws_placement.engine.base import keys
from lws_placement.engine.base.group_names import member_name, subgroup_index, subgroup_key
from lws_placement.engine.model.pods import MemberInfo, Rank

_POD_INDEX = "apps.kubernetes.io/pod-index"
_POD_NAME = "statefulset.kubernetes.io/pod-name"


def expected_labels(
    template: Mapping[str, str], member: MemberInfo, rank: Rank
) -> Mapping[str, str]:
    """The labels with which LeaderWorkerSet and its StatefulSets make the group's member of this
    rank. `member`: any pod of the group; `template`: the labels in its role's template.
    """
    return {
        **template,
        keys.LWS_NAME: member.lws,
        keys.LWS_GROUP_INDEX: member.group_index,
        keys.LWS_GROUP_KEY: member.group_key,
        keys.LWS_WORKER_INDEX: str(rank),
        keys.LWS_REVISION: member.revision,
        _POD_NAME: member_name(member.leader_name, rank),
        _POD_INDEX: str(rank) if rank else member.group_index,
        **_of_subgroup(member, rank),
    }


def _of_subgroup(member: MemberInfo, rank: Rank) -> Mapping[str, str]:
    request = member.request
    if not request.subgroup_size or (rank == 0 and request.leader_excluded):
        return {}
    index = "0"
    if rank:
        at = subgroup_index(rank, size=member.size, subgroup_size=request.subgroup_size)
        index = str(at)
    key = subgroup_key(member.leader_name, index)
    return {keys.LWS_SUBGROUP_INDEX: index, keys.LWS_SUBGROUP_KEY: key}
