"""Events for users (events.k8s.io/v1), without repetition.

The recorder skips an event whose text equals the last one on that object, so that a waiting group
does not flood the cluster. For some minutes it also skips a different text with the same gist: that
three domains lack a node now, and not four, is no news to a group that waits for one. A failed
write is logged and dropped: explaining never stops placing. After it, events of that namespace are
dropped for a while, longer after each failure in a row but the first: a quota or a missing right
refuses all.
"""

import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol
from uuid import uuid4

from lws_placement import metrics
from lws_placement.backoff import Backoff
from lws_placement.cluster.api.timestamps import encode_now_micro
from lws_placement.engine.base.keys import FIELD_MANAGER
from lws_placement.engine.base.lru import LruCache
from lws_placement.engine.base.raw import Raw
from lws_placement.engine.lws.children import API_VERSION
from lws_placement.engine.model.pods import Pod
from lws_placement.errors import ApiError

log = logging.getLogger(__name__)

Say = Callable[[Raw, "Event"], Awaitable[None]]
"""Emits an event on a LeaderWorkerSet."""

_NOTE_MOST = 1024  # events.k8s.io/v1 refuses longer notes
_REMEMBERED = 20_000
_PAUSED = 10_000
_PAUSE = Backoff(first_s=0.5, most_s=300.0)
_QUIET_S = 300.0
"""How long a new text with the same gist is suppressed."""


class Creates(Protocol):
    async def create(self, path: str, body: Raw) -> Raw: ...


@dataclass(frozen=True, slots=True)
class Event:
    """`topic`: the subject, by default the reason; `gist`: the part that counts as news, by default
    every word.
    """

    reason: str
    note: str
    action: str
    type: str = "Normal"
    topic: str = ""
    gist: str = ""


def about_pod(pod: Pod) -> Raw:
    meta = {"name": pod.name, "namespace": pod.namespace, "uid": pod.uid}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta}


def about_lws(meta: Raw) -> Raw:
    return {"apiVersion": API_VERSION, "kind": "LeaderWorkerSet", "metadata": meta}


class EventRecorder:
    """Writes events; `instance` identifies the replica. `clock`: monotonic seconds."""

    def __init__(
        self,
        api: Creates,
        *,
        instance: str,
        controller: str = FIELD_MANAGER,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._api = api
        self._instance = instance
        self._controller = controller
        self._clock = clock
        self._said: LruCache[tuple[str, str], tuple[Event, float]] = LruCache(_REMEMBERED)
        self._paused: LruCache[str, tuple[int, float]] = LruCache(_PAUSED)
        """Namespace -> failures in a row, and until when nothing is written."""

    async def emit(self, regarding: Raw, event: Event) -> None:
        """Write the event on the object `regarding` (apiVersion, kind, metadata).

        Skips it if its note was the last on that object and topic, or if an event of the same gist
        is recent.
        """
        meta = regarding["metadata"]
        key = (str(meta.get("uid", "")), event.topic or event.reason)
        namespace = meta.get("namespace") or "default"
        failures, until = self._paused.get(namespace) or (0, 0.0)
        if self._is_known(key, event) or self._clock() < until:
            return
        self._said.put(key, (event, self._clock()))
        body = {
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": {"name": f"{meta['name']}.{uuid4().hex[:16]}", "namespace": namespace},
            "eventTime": encode_now_micro(),
            "reportingController": f"lws-placement.dev/{self._controller}",
            "reportingInstance": self._instance[:128],
            "action": event.action,
            "reason": event.reason,
            "type": event.type,
            "note": event.note[:_NOTE_MOST],
            "regarding": {
                "apiVersion": regarding["apiVersion"],
                "kind": regarding["kind"],
                "namespace": meta.get("namespace", ""),
                "name": meta["name"],
                "uid": meta.get("uid", ""),
            },
        }
        try:
            await self._api.create(f"/apis/events.k8s.io/v1/namespaces/{namespace}/events", body)
            self._paused.drop(namespace)
        except ApiError as e:
            self._said.drop(key)
            metrics.RETRIES.labels(metrics.Retry.EVENT).inc()
            pause_s = _PAUSE.delay_s(failures - 1) if failures else 0.0
            pause_s = max(pause_s, e.retry_after_s)
            self._paused.put(namespace, (failures + 1, self._clock() + pause_s))
            log.warning("event not written", extra={"reason": event.reason, "error": str(e)})

    async def say(self, lws: Raw, event: Event) -> None:
        """Emits the event on a LeaderWorkerSet."""
        await self.emit(about_lws(lws["metadata"]), event)

    def _is_known(self, key: tuple[str, str], event: Event) -> bool:
        known = self._said.get(key)
        if known is None:
            return False
        last, at_s = known
        lately = self._clock() - at_s < _QUIET_S
        return last.note == event.note or (bool(event.gist) and last.gist == event.gist and lately)
