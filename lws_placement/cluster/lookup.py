"""What the webhook asks of the cluster when a pod is admitted.

Whose pod it is, is read through its owners (StatefulSet, leader pod), from the cache if it is
there, else live: the LeaderWorkerSet's UID is stamped on the pod and must not be guessed from a
name, as a set that was deleted and made again is another one. A pin comes from the cached hold
alone; a stale answer is caught by the extender, which reads the Lease live before it binds, so
pinning here needs an extender.
"""

import asyncio
import logging
from typing import Any

from lws_placement import keys
from lws_placement.cluster.cache import ClusterCache
from lws_placement.cluster.client import Api, Raw
from lws_placement.cluster.decode import controlling_owner, decode_member
from lws_placement.cluster.decode_demand import decode_demand
from lws_placement.cluster.mirror import Mirror
from lws_placement.engine.fit import why_not_static
from lws_placement.engine.model import GroupId
from lws_placement.engine.pod_admission import Pin
from lws_placement.engine.resources import first_lack
from lws_placement.errors import ApiError, NotFoundError

log = logging.getLogger(__name__)

_LIVE_S = 1.5  # of the webhook's 5 s


class ClusterLookup:
    def __init__(
        self, api: Api, cache: ClusterCache, *, mirror: Mirror, extender_configured: bool
    ) -> None:
        self._api = api
        self._cache = cache
        self._mirror = mirror
        self._extender_configured = extender_configured

    def ready(self) -> bool:
        return self._mirror.synced

    def topology_key_known(self, key: str) -> bool | None:
        """Does any node carry the label? None: not known yet."""
        return self._cache.domains.label_known(key) if self._mirror.synced else None

    async def lws_uid_of(self, pod: Raw, namespace: str) -> str | None:
        """UID of the LeaderWorkerSet that the pod's owners lead to; None: no such owners, or no
        answer in time.
        """
        owner = controlling_owner(pod)
        if owner.get("kind") != "StatefulSet":
            return None
        try:
            async with asyncio.timeout(_LIVE_S):
                return await self._uid_through(owner, namespace)
        except (ApiError, TimeoutError) as e:
            log.warning("owner of a pod not read", extra={"error": str(e)})
            return None

    async def _uid_through(self, owner: Raw, namespace: str) -> str | None:
        """StatefulSet -> LeaderWorkerSet, or StatefulSet -> leader pod, which carries the UID
        already.
        """
        stateful_set = self._cache.stateful_set(owner["uid"]) or await self._fetch(
            f"/apis/apps/v1/namespaces/{namespace}/statefulsets/{owner['name']}", owner["uid"]
        )
        above = controlling_owner(stateful_set) if stateful_set else {}
        if above.get("kind") == "LeaderWorkerSet":
            return str(above["uid"])
        if above.get("kind") != "Pod":
            return None
        leader = self._cache.pod(above["uid"])
        if leader is not None and leader.member is not None and leader.member.lws_uid:
            return leader.member.lws_uid
        raw = await self._fetch(
            f"/api/v1/namespaces/{namespace}/pods/{above['name']}", above["uid"]
        )
        if raw is None:
            return None
        stamped = (raw["metadata"].get("annotations") or {}).get(keys.LWS_UID)
        if stamped:
            return str(stamped)
        return await self._uid_through(controlling_owner(raw), namespace)

    async def _fetch(self, path: str, uid: str) -> Raw | None:
        """The object at `path`, if it still is the one with `uid`."""
        try:
            raw = await self._api.get(path)
        except NotFoundError:
            return None
        return raw if raw["metadata"]["uid"] == uid else None

    def pin_for(self, pod: Raw, *, namespace: str, lws_uid: str) -> Pin | None:
        """The node that the group's hold keeps for this member, if nothing at all is in doubt."""
        if not self._extender_configured or not self._mirror.synced:
            return None
        meta: dict[str, Any] = {**pod["metadata"], "namespace": namespace}
        member = decode_member(meta)
        if member is None or not member.topology_key:
            return None
        hold = self._cache.active_hold(GroupId(namespace, member.lws, lws_uid, member.group_key))
        if hold is None or not hold.resource_version or hold.domain.key != member.topology_key:
            return None
        if (hold.revision, hold.size) != (member.revision, member.size):
            return None
        there = self._cache.domains.nodes_of(hold.domain)
        if any(
            p.node is not None and p.node not in there for p in self._cache.group_pods(hold.group)
        ):
            return None  # old pods of a group that moves: the planner waits until they are gone
        node = hold.nodes.get(member.rank)
        demand = decode_demand(pod["spec"])
        view = self._cache.domains.node_view(node) if node is not None else None
        if view is None or node is None or not hold.covers(member.rank, demand):
            return None
        if why_not_static(demand, view.node) or first_lack(dict(demand.resources), view.free):
            return None
        return Pin(node=node, plan=hold.plan)
