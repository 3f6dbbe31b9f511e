"""A group's name for users: namespace and name of its leader pod, not the hash in its id."""

from lws_placement.cluster.cache.cluster_cache import ClusterCache
from lws_placement.engine.model.groups import GroupId, GroupKind


def name_of(cache: ClusterCache, group: GroupId) -> str:
    if group.kind is GroupKind.LEASE:
        return f"Lease {group.group_key}, which cannot be read"
    for hold in cache.holds_of(group):
        return hold.owner
    for pod in cache.group_pods(group) or cache.pods_that_say(group):
        if pod.member is not None and pod.member.leader_name:
            return f"{group.namespace}/{pod.member.leader_name}"
    return f"a group of {group.namespace}/{group.lws}"
