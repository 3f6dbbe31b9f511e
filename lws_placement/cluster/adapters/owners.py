"""A pod's owner, found through its controllers: from the cache if known there, else live.

Admission stamps the UID of the LeaderWorkerSet on the pod. A name is not enough: a set that was
deleted and created again is a different set.
"""

import asyncio
from collections.abc import Mapping

from lws_placement.cluster.api.client import Api, object_path
from lws_placement.cluster.cache.cluster_cache import ClusterCache
from lws_placement.cluster.codec.objects import controlling_owner, decode_member
from lws_placement.cluster.codec.workloads import annotations_for_pods
from lws_placement.engine.admission.membership import LWS, Controller, first_of, leads_on
from lws_placement.engine.admission.pod_gating import Owner
from lws_placement.engine.base import keys
from lws_placement.engine.base.lru import LruCache
from lws_placement.engine.base.raw import Raw
from lws_placement.engine.model.pods import MemberInfo
from lws_placement.errors import ApiError, NotFoundError

_LIVE_S = 1.5  # of the webhook's 5 s
_LWS_PATH = "/apis/leaderworkerset.x-k8s.io/v1/namespaces/{}/leaderworkersets"
_PATHS = {
    "StatefulSet": "/apis/apps/v1/namespaces/{}/statefulsets",
    "Pod": "/api/v1/namespaces/{}/pods",
    "ReplicaSet": "/apis/apps/v1/namespaces/{}/replicasets",
    "Deployment": "/apis/apps/v1/namespaces/{}/deployments",
}
_HAVE_OWNERS = {
    "ReplicaSet": _PATHS["ReplicaSet"],
    "Job": "/apis/batch/v1/namespaces/{}/jobs",
}
"""Kinds that control pods and usually have a controller of their own (Deployment, JobSet, CronJob).
"""
_MOST_ABOVE = 8
"""Controllers above a pod that are looked at, as users may let them control each other in a ring.
LeaderWorkerSet makes five: StatefulSet, leader pod, ReplicaSet, Deployment, LeaderWorkerSet.
"""
_NO_OBJECT: Raw = {"metadata": {}}


class Owners:
    def __init__(self, api: Api, cache: ClusterCache) -> None:
        self._api = api
        self._cache = cache
        self._above_replica_sets: LruCache[str, str] = LruCache()
        """UID of a ReplicaSet -> UID of the LeaderWorkerSet above its Deployment: each revision
        brings a new ReplicaSet, which creates many leaders.
        """

    async def of_member(self, pod: Raw, namespace: str) -> Owner | None:
        """The pod's LeaderWorkerSet with its annotations for pods; None if the pod is not a member.
        Raises ApiError if there is no answer in time.
        """
        member = decode_member({**pod["metadata"], "namespace": namespace})
        if member is None:
            return None
        try:
            async with asyncio.timeout(_LIVE_S):
                uid = await self._lws_above(pod, member, namespace)
                if not uid:
                    return None
                return Owner(uid, await self._annotations_of(namespace, member.lws, uid))
        except TimeoutError as e:
            raise ApiError(f"no answer within {_LIVE_S} s", status=0) from e

    async def of_group_pod(self, pod: Raw, namespace: str) -> Owner:
        """The topmost controller of the pod, followed through `_HAVE_OWNERS`. Raises ApiError if
        there is no answer in time.
        """
        owner = controlling_owner(pod)
        try:
            async with asyncio.timeout(_LIVE_S):
                for _ in range(_MOST_ABOVE):
                    if owner.get("kind") not in _HAVE_OWNERS:
                        break
                    folder = _HAVE_OWNERS[owner["kind"]].format(namespace)
                    found = await self._fetch(folder, owner["name"], owner["uid"])
                    above = controlling_owner(found or _NO_OBJECT)
                    if not above:
                        break
                    owner = above
        except TimeoutError as e:
            raise ApiError(f"no answer within {_LIVE_S} s", status=0) from e
        return Owner(owner.get("uid", ""), uid_note=keys.OWNER_UID)

    async def _lws_above(self, pod: Raw, member: MemberInfo, namespace: str) -> str:
        """UID of the LeaderWorkerSet at the top of a member's controller chain; empty if the chain
        leads elsewhere.
        """
        below, above, replica_set = first_of(member), controller_of(pod), ""
        for _ in range(_MOST_ABOVE):
            if not leads_on(below, above, member):
                break
            known = self._known(above, member)
            if known:
                return known
            if above.kind == LWS:
                if replica_set:
                    self._above_replica_sets.put(replica_set, above.uid)
                return above.uid
            if above.kind == "ReplicaSet":
                replica_set = above.uid
            below, above = above.kind, await self._above(above, namespace)
        return ""

    def _known(self, above: Controller, member: MemberInfo) -> str:
        """The UID that an earlier search found from this controller; empty if there was none."""
        if above.kind == "Pod":
            return self._stamped(above.uid, member)
        if above.kind == "ReplicaSet":
            return self._above_replica_sets.get(above.uid) or ""
        return ""

    def _stamped(self, leader: str, member: MemberInfo) -> str:
        """The UID that was stamped on the leader at its admission; empty if unknown."""
        known = self._cache.pod(leader)
        if known is None or known.member is None or known.member.lws != member.lws:
            return ""
        return "" if known.member.foreign else known.member.lws_uid

    async def _above(self, one: Controller, namespace: str) -> Controller:
        """The controller of `one`; an empty one if `one` no longer exists."""
        if one.kind == "StatefulSet":
            known = self._cache.workloads.stateful_sets.get(one.uid)
            if known is not None:
                return controller_of(known)
        pod = self._cache.pod(one.uid)
        if pod is not None:
            return Controller(pod.owner_kind, pod.owner_name, pod.owner_uid)
        folder = _PATHS[one.kind].format(namespace)
        return controller_of(await self._fetch(folder, one.name, one.uid) or _NO_OBJECT)

    async def _annotations_of(self, namespace: str, name: str, uid: str) -> Mapping[str, str]:
        """The annotations of the LeaderWorkerSet for its pods; none if it is gone."""
        known = self._cache.workloads.lws.get((namespace, name))
        if known is not None and known.uid == uid:
            return known.annotations
        raw = await self._fetch(_LWS_PATH.format(namespace), name, uid)
        if raw is None:
            return {}
        spec = raw.get("spec") or {}
        annotations = raw["metadata"].get("annotations") or {}
        return annotations_for_pods(annotations, spec.get("leaderWorkerTemplate") or {})

    async def _fetch(self, folder: str, name: str, uid: str) -> Raw | None:
        """The object of that name; None if there is none, or its UID is no longer `uid`."""
        try:
            raw = await self._api.get(object_path(folder, name))
        except NotFoundError:
            return None
        return raw if raw["metadata"]["uid"] == uid else None


def controller_of(raw: Raw) -> Controller:
    owner = controlling_owner(raw)
    return Controller(*(str(owner.get(part) or "") for part in ("kind", "name", "uid")))
