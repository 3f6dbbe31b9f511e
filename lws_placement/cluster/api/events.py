"""Events for users (events.k8s.io/v1), said once.

An event whose text was the last said of an object is not written again, so a group that waits does
not flood the cluster. Nor is one whose text differs but whose gist is the same, for some minutes:
that three domains lack a node now, and not four, is no news to a group that waits for one. An event
that cannot be written is logged and forgotten: explaining never stops placing.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol
from uuid import uuid4

from lws_placement.cluster.api.timestamps import encode_now_micro
from lws_placement.engine.base.keys import FIELD_MANAGER
from lws_placement.engine.base.lru import LruCache
from lws_placement.engine.base.raw import Raw
from lws_placement.errors import ApiError

log = logging.getLogger(__name__)

_NOTE_MOST = 1024  # events.k8s.io/v1 refuses longer notes
_REMEMBERED = 20_000
_QUIET_S = 300.0
"""How long a text of the same gist is not said again."""


class Creates(Protocol):
    async def create(self, path: str, body: Raw) -> Raw: ...


@dataclass(frozen=True, slots=True)
class _Said:
    note: str
    gist: str
    at_s: float


class EventRecorder:
    """Writes events; `instance` tells replicas apart. `clock`: monotonic seconds."""

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
        self._said: LruCache[tuple[str, str], _Said] = LruCache(_REMEMBERED)

    async def emit(
        self,
        regarding: Raw,
        *,
        reason: str,
        note: str,
        action: str,
        type: str = "Normal",
        topic: str = "",
        gist: str = "",
    ) -> None:
        """Say `note` of the object `regarding` (apiVersion, kind, metadata).

        Not if it was the last said of that object on this `topic` (default: the reason), nor if
        something of the same `gist` (default: none is) was, lately.
        """
        meta = regarding["metadata"]
        key = (str(meta.get("uid", "")), topic or reason)
        if self._is_known(key, note, gist):
            return
        self._said.put(key, _Said(note, gist, self._clock()))
        namespace = meta.get("namespace") or "default"
        body = {
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": {"name": f"{meta['name']}.{uuid4().hex[:16]}", "namespace": namespace},
            "eventTime": encode_now_micro(),
            "reportingController": f"lws-placement.dev/{self._controller}",
            "reportingInstance": self._instance[:128],
            "action": action,
            "reason": reason,
            "type": type,
            "note": note[:_NOTE_MOST],
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
        except ApiError as e:
            self._said.drop(key)
            log.warning("event not written", extra={"reason": reason, "error": str(e)})

    def _is_known(self, key: tuple[str, str], note: str, gist: str) -> bool:
        last = self._said.get(key)
        if last is None:
            return False
        lately = self._clock() - last.at_s < _QUIET_S
        return last.note == note or (bool(gist) and last.gist == gist and lately)
