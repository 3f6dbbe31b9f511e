"""Why a group waits, on its leader pod itself: an annotation that reads like a condition.

Events end after an hour; a pod that waits for days should still say why. The annotation is for
people and their tools (`kubectl get pod -o yaml`); nobody decides on it.

A pod's every change costs all who watch it, so only groups that still wait after a while get one,
a few at a time, and a new one only when they have something new to hear (`explain.gist`). The patch
that takes the gate off takes it away. It carries the version that was seen: if anything else
happened to the pod, the annotation is what has to wait.
"""

import asyncio
import json
import logging

from lws_placement.cluster.api.client import Api
from lws_placement.cluster.api.timestamps import encode_now
from lws_placement.cluster.cache.cluster_cache import ClusterCache
from lws_placement.engine.base import keys
from lws_placement.engine.base.lru import LruCache
from lws_placement.engine.base.raw import Raw
from lws_placement.engine.model.groups import GroupId
from lws_placement.engine.model.pods import Pod
from lws_placement.errors import ApiError, NotLeaderError

log = logging.getLogger(__name__)

_EVERY_S = 2.0
_MOST = 20
_REMEMBERED = 20_000


class LeaderAnnotations:
    def __init__(self, api: Api, cache: ClusterCache) -> None:
        self._api = api
        self._cache = cache
        self._pending: dict[GroupId, Raw] = {}
        self._written: LruCache[str, str] = LruCache(_REMEMBERED)
        """UID of a leader -> gist of what it carries."""
        self._task: asyncio.Task[None] | None = None

    def waits(self, group: GroupId, *, reason: str, message: str, gist: str) -> None:
        """To be written if the group still waits in a moment."""
        self._pending[group] = {"reason": reason, "message": message, "gist": gist}
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._write_all())

    def placed(self, group: GroupId) -> None:
        self._pending.pop(group, None)

    async def _write_all(self) -> None:
        """Until nothing is pending."""
        while self._pending:
            await asyncio.sleep(_EVERY_S)
            for group in list(self._pending)[:_MOST]:
                condition = self._pending.pop(group)
                leader = self._leader_of(group)
                if leader is None or self._written.get(leader.uid) == condition["gist"]:
                    continue
                try:
                    await self._write(leader, condition)
                except NotLeaderError:
                    return
                except ApiError as e:
                    log.debug("condition not written", extra={"pod": leader.key, "error": str(e)})
                    if not e.is_refusal:  # there may be nothing else that brings us back
                        self._pending.setdefault(group, condition)

    def _leader_of(self, group: GroupId) -> Pod | None:
        for pod in self._cache.group_pods(group):
            if pod.gated and pod.member is not None and pod.member.rank == 0:
                return None if pod.terminating else pod
        return None

    async def _write(self, leader: Pod, condition: Raw) -> None:
        now = encode_now()
        value = {
            "type": "Placed",
            "status": "False",
            "reason": condition["reason"],
            "message": condition["message"],
            "lastTransitionTime": now,
        }
        body: Raw = {
            "metadata": {
                "uid": leader.uid,
                "resourceVersion": leader.resource_version,
                "annotations": {keys.CONDITION: json.dumps(value)},
            }
        }
        path = f"/api/v1/namespaces/{leader.namespace}/pods/{leader.name}"
        self._cache.put_written_pod(await self._api.patch(path, body))
        self._written.put(leader.uid, condition["gist"])
