"""List, watch, resume, list again: one resource kind kept in step with the API server.

The list is a quorum read, taken page by page, so that no whole list is ever in memory as JSON; an
object that was known before and is on no page is told as DELETED after the last, and one whose name
another object has now, before that one. A list whose pages expired before they were read is asked
for once more, whole. A watch starts at the list's version.
One that ends or is cut is resumed where it stopped (bookmarks keep that point fresh); one that
expired (410) starts over with a list. Callbacks run on the event loop,
never concurrently, and must not raise.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping

from lws_placement import metrics
from lws_placement.cluster.client import Api, Raw, RawList
from lws_placement.errors import ApiError, ExpiredError
from lws_placement.metrics import Reconnect

log = logging.getLogger(__name__)

OnEvent = Callable[[str, Raw], None]
_Name = tuple[str, str]

_WATCH_S = 290
_NO_LIMIT = "0"
_RETRY_FIRST_S = 0.2
_RETRY_MOST_S = 5.0


class Watcher:
    """`on_event` gets (ADDED | MODIFIED | DELETED, object), for the objects of lists as well.

    Of an object that a list no longer shows only namespace, name, UID and resourceVersion are told.
    When the API server is away the last state stays as it was; `synced` is set by the first list
    and stays set.
    """

    def __init__(
        self, api: Api, path: str, *, on_event: OnEvent, params: Mapping[str, str] | None = None
    ) -> None:
        self._api = api
        self.path = path
        self._params = dict(params or {})
        self._on_event = on_event
        self._known: dict[_Name, tuple[str, str]] = {}
        self._version = ""
        """Where to go on; empty: only a list helps."""
        self._whole = False
        self.synced = asyncio.Event()

    async def run(self) -> None:
        """Until cancelled."""
        retry_s = _RETRY_FIRST_S
        while True:
            before = self._version
            try:
                if not self._version:
                    self._version = await self._list()
                    self.synced.set()
                await self._follow()
                metrics.RECONNECTS.labels(Reconnect.ENDED).inc()
            except ExpiredError:
                metrics.RECONNECTS.labels(Reconnect.EXPIRED).inc()
                self._version = ""
            except ApiError as e:
                metrics.RECONNECTS.labels(Reconnect.FAILED).inc()
                log.warning("watch failed", extra={"path": self.path, "error": str(e)})
                if self._version != before:
                    retry_s = _RETRY_FIRST_S  # it went well for a while
                await asyncio.sleep(retry_s)
                retry_s = min(retry_s * 2, _RETRY_MOST_S)

    def take_list(self, items: RawList) -> None:
        """A quorum list that somebody else has read: it replaces what was known."""
        for raw in items:
            self._tell("MODIFIED", raw)
        self._forget_all_but({_name(raw["metadata"]) for raw in items})

    async def _list(self) -> str:
        """The version to watch from."""
        there: set[_Name] = set()
        version = ""
        params = {**self._params, "limit": _NO_LIMIT} if self._whole else self._params
        try:
            async for items, at in self._api.pages(self.path, **params):
                version = at
                for raw in items:
                    self._tell("MODIFIED", raw)
                there.update(_name(raw["metadata"]) for raw in items)
        except ExpiredError:
            self._whole = True
            raise
        self._whole = False
        self._forget_all_but(there)
        log.debug("listed", extra={"path": self.path, "objects": len(there)})
        return version

    def _forget_all_but(self, there: set[_Name]) -> None:
        for name in [name for name in self._known if name not in there]:
            self._tell_gone(name)

    def _tell(self, kind: str, raw: Raw) -> None:
        meta = raw["metadata"]
        name = _name(meta)
        uid, _ = self._known.get(name, (meta["uid"], ""))
        if kind == "DELETED":
            if uid != meta["uid"]:
                return  # told when its successor came
            self._known.pop(name, None)
        else:
            if uid != meta["uid"]:
                self._tell_gone(name)
            self._known[name] = meta["uid"], meta["resourceVersion"]
        self._on_event(kind, raw)

    def _tell_gone(self, name: _Name) -> None:
        uid, version = self._known.pop(name)
        meta = {"namespace": name[0], "name": name[1], "uid": uid, "resourceVersion": version}
        self._on_event("DELETED", {"metadata": meta})

    async def _follow(self) -> None:
        """One watch. Raises ExpiredError when only a list helps."""
        params = {**self._params, "resourceVersion": self._version}
        stream = self._api.watch(self.path, **params, timeoutSeconds=str(_WATCH_S))
        async for event in stream:
            kind, obj = event.get("type", ""), event.get("object", {})
            if kind == "ERROR":
                if obj.get("code") == 410:
                    raise ExpiredError(f"watch {self.path}: expired", status=410)
                raise ApiError(
                    f"watch {self.path}: {obj.get('message')}", status=obj.get("code", 0)
                )
            self._version = obj["metadata"]["resourceVersion"]
            if kind != "BOOKMARK":
                self._tell(kind, obj)


def _name(meta: Raw) -> _Name:
    return meta.get("namespace", ""), meta["name"]
