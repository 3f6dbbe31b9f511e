"""Annotations on the leader pod of a group that waits.

One has the form of a condition and says why the group waits: events expire after an hour, but a pod
may wait for days. It is for people and their tools (`kubectl get pod -o yaml`); no decision depends
on it.

Every change of a pod costs all its watchers. So only a group that still waits after a while gets
the annotation, a few groups at a time, and a new text only if its gist changes (`messages.gist`).
The patch that removes the gate removes it. Its own patch carries the observed resourceVersion: if
the pod has changed since, the annotation waits.

The other one is set once on the leader of a surge group that waits for room. It tells the
controller of the LeaderWorkerSet, which wants the group only as an extra one during an update and
can go on without it, but cannot see our verdicts; an Event is nothing to act on.
"""

import asyncio
import json
import logging
from contextlib import suppress

from lws_placement import metrics
from lws_placement.backoff import Backoff
from lws_placement.cluster.api.client import Api, pod_path
from lws_placement.cluster.api.timestamps import encode_now
from lws_placement.cluster.cache.cluster_cache import ClusterCache
from lws_placement.engine.base import keys
from lws_placement.engine.base.lru import LruCache
from lws_placement.engine.base.raw import Raw
from lws_placement.engine.model.groups import GroupId
from lws_placement.engine.model.pods import Pod
from lws_placement.errors import ApiError, ConflictError, NotFoundError, NotLeaderError

log = logging.getLogger(__name__)

_EVERY_S = 2.0
_BACKOFF = Backoff(first_s=_EVERY_S, most_s=60.0)
_MOST = 20
_REMEMBERED = 20_000


class LeaderAnnotations:
    def __init__(self, api: Api, cache: ClusterCache) -> None:
        self._api = api
        self._cache = cache
        self._pending: dict[GroupId, Raw] = {}
        self._written: LruCache[str, str] = LruCache(_REMEMBERED)
        """UID of a leader -> gist of what it carries."""
        self._surges: dict[GroupId, str] = {}
        """UIDs of leaders that carry the no-room annotation."""
        self._task: asyncio.Task[None] | None = None

    def waits(self, group: GroupId, *, reason: str, message: str, gist: str) -> None:
        """Schedules the annotation; it is written if the group still waits then."""
        self._pending[group] = {"reason": reason, "message": message, "gist": gist}
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._write_all())

    def placed(self, group: GroupId) -> None:
        self._pending.pop(group, None)

    async def tell_surge(self, group: GroupId) -> None:
        """Annotates the leader of a waiting surge group: one whose index is `replicas` or more."""
        leader, lws = self._leader_of(group), self._cache.workloads.lws_of(group)
        if leader is None or lws is None or self._surges.get(group) == leader.uid:
            return
        index = leader.member.group_index if leader.member is not None else ""
        if not index.isdecimal() or int(index) < lws.replicas:
            return
        annotations = {keys.NO_ROOM: "waits for a domain"}
        body = {"metadata": {"uid": leader.uid, "annotations": annotations}}
        with suppress(NotFoundError, ConflictError):
            await self._api.patch(pod_path(leader.namespace, leader.name), body)
            self._surges[group] = leader.uid

    async def _write_all(self) -> None:
        """Writes until nothing is pending."""
        failures, at_least_s = 0, 0.0
        while self._pending:
            delay_s = _BACKOFF.delay_s(failures, at_least_s=at_least_s)
            await asyncio.sleep(delay_s if failures else _EVERY_S)
            failed, at_least_s = False, 0.0
            for group in list(self._pending)[:_MOST]:
                condition = self._pending.pop(group, None)
                leader = self._leader_of(group)
                if condition is None or leader is None:  # placed, or gone, during another's write
                    continue
                if self._written.get(leader.uid) == condition["gist"]:
                    continue
                try:
                    await self._write(leader, condition)
                except NotLeaderError:
                    return
                except ApiError as e:
                    log.debug("condition not written", extra={"pod": leader.key, "error": str(e)})
                    if not e.is_refusal:  # no other event may bring us back
                        self._pending.setdefault(group, condition)
                        failed = failed or not isinstance(e, ConflictError)
                        at_least_s = max(at_least_s, e.retry_after_s)
            failures = failures + 1 if failed else 0
            metrics.RETRIES.labels(metrics.Retry.ANNOTATION).inc(failed)

    def _leader_of(self, group: GroupId) -> Pod | None:
        """The group's leader, if it is gated and not terminating."""
        for pod in self._cache.group_pods(group):
            if pod.gated and pod.member is not None and pod.member.rank == 0:
                return None if pod.terminating else pod
        return None

    async def _write(self, leader: Pod, condition: Raw) -> None:
        value = {
            "type": "Placed",
            "status": "False",
            "reason": condition["reason"],
            "message": condition["message"],
            "lastTransitionTime": encode_now(),
        }
        body: Raw = {
            "metadata": {
                "uid": leader.uid,
                "resourceVersion": leader.resource_version,
                "annotations": {keys.CONDITION: json.dumps(value)},
            }
        }
        self._cache.put_written_pod(
            await self._api.patch(pod_path(leader.namespace, leader.name), body)
        )
        self._written.put(leader.uid, condition["gist"])
