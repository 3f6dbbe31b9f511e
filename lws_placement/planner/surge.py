"""Tells the leader of a surge group that it waits for room.

Whoever controls the LeaderWorkerSet asked for the group only to have one more during an update, and
can do without it; it cannot see our verdicts, and an Event is nothing to act on. So the gated
leader gets an annotation, once, and only where the group's index shows that it is a surge group.
"""

from lws_placement.cluster.api.client import Api
from lws_placement.cluster.cache.cluster_cache import ClusterCache
from lws_placement.engine.base import keys
from lws_placement.engine.model.groups import GroupId
from lws_placement.engine.model.pods import Pod
from lws_placement.errors import ConflictError, NotFoundError


class SurgeNotes:
    def __init__(self, api: Api, cache: ClusterCache) -> None:
        self._api = api
        self._cache = cache
        self._told: dict[GroupId, str] = {}

    async def tell(self, group: GroupId) -> None:
        """`group` waits. Nothing is said to leaders of other groups."""
        leader = self._surge_leader(group)
        if leader is None or self._told.get(group) == leader.uid:
            return
        note = {keys.NO_ROOM: "waits for a domain"}
        path = f"/api/v1/namespaces/{leader.namespace}/pods/{leader.name}"
        try:
            await self._api.patch(path, {"metadata": {"uid": leader.uid, "annotations": note}})
        except (NotFoundError, ConflictError):
            return
        self._told[group] = leader.uid

    def _surge_leader(self, group: GroupId) -> Pod | None:
        lws = self._cache.lws_of(group)
        for pod in self._cache.group_pods(group):
            info = pod.member
            if lws is None or info is None or info.rank != 0 or pod.terminating or not pod.gated:
                continue
            if info.group_index.isdecimal() and int(info.group_index) >= lws.replicas:
                return pod
        return None
