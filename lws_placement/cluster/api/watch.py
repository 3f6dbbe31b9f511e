"""List, watch, resume, list again: one resource kind kept in step with the API server.

The list is a quorum read, taken page by page, so that no whole list is ever in memory as JSON; an
object that was known before and is on no page is told as DELETED after the last, and one whose name
another object has now, before that one. A list whose pages expired before they were read is asked
for once more, whole. A watch starts at the list's version.
One that ends or is cut is resumed where it stopped (bookmarks keep that point fresh); one that
expired (410) starts over with a list. Callbacks run on the event loop,
never concurrently.

No one object ends a watch: one without a name or a UID is passed over, and what a callback raises
is logged with its traceback; the next object is told.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from lws_placement import metrics
from lws_placement.cluster.api.client import Api
from lws_placement.engine.base.raw import Raw, RawList
from lws_placement.errors import ApiError, ExpiredError
from lws_placement.metrics import Reconnect

log = logging.getLogger(__name__)

OnEvent = Callable[[str, Raw], None]
_Name = tuple[str, str]


@dataclass(frozen=True, slots=True)
class _Identity:
    name: _Name
    uid: str
    version: str


_WATCH_S = 290
_NO_LIMIT = "0"
_RETRY_FIRST_S = 0.2
_RETRY_MOST_S = 5.0


def shielded(on_event: OnEvent, *, path: str) -> OnEvent:
    """What it raises is logged: one object must not keep others from being told."""

    def tell(kind: str, raw: Raw) -> None:
        try:
            on_event(kind, raw)
        except Exception:  # whatever an object brings about, here is where it ends
            log.exception("event not taken", extra={"path": path, "object": _said_of(raw)})

    return tell


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
        self._on_event = shielded(on_event, path=path)
        self._known: dict[_Name, tuple[str, str]] = {}
        self._version = ""
        """Where to go on; empty: only a list helps."""
        self._whole = False
        self.synced = asyncio.Event()
        self.trouble = ""
        """Why the last try failed."""
        self._watch: asyncio.Task[None] | None = None
        self._stale = False

    def list_again(self) -> None:
        """What the objects mean has changed: all are read and told once more."""
        self._stale = True
        if self._watch is not None:
            self._watch.cancel()

    async def run(self) -> None:
        """Until cancelled."""
        retry_s = _RETRY_FIRST_S
        while True:
            before = self._version
            try:
                if not self._version or self._stale:
                    self._stale = False
                    self._version = await self._list()
                    self.synced.set()
                await self._follow_until_stale()
                metrics.RECONNECTS.labels(Reconnect.ENDED).inc()
            except ExpiredError:
                metrics.RECONNECTS.labels(Reconnect.EXPIRED).inc()
                self._version = ""
            except ApiError as e:
                metrics.RECONNECTS.labels(Reconnect.FAILED).inc()
                self.trouble = e.summary
                log.warning("watch failed", extra={"path": self.path, "error": str(e)})
                if self._version != before:
                    retry_s = _RETRY_FIRST_S  # it went well for a while
                await asyncio.sleep(retry_s)
                retry_s = min(retry_s * 2, _RETRY_MOST_S)

    def take_list(self, items: RawList) -> None:
        """A quorum list that somebody else has read: it replaces what was known."""
        self._forget_all_but(self._tell_all(items))

    async def _list(self) -> str:
        """The version to watch from."""
        there: set[_Name] = set()
        version = ""
        params = {**self._params, "limit": _NO_LIMIT} if self._whole else self._params
        try:
            async for items, at in self._api.pages(self.path, **params):
                version = at
                there |= self._tell_all(items)
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

    def _tell_all(self, items: RawList) -> set[_Name]:
        """Names of those that have one."""
        names = (self._tell("MODIFIED", raw) for raw in items)
        return {name for name in names if name is not None}

    def _tell(self, kind: str, raw: Raw) -> _Name | None:
        """Its name, if it has one."""
        found = _identity(raw)
        if found is None:
            log.error("passed over: no name or UID", extra={"path": self.path})
            return None
        uid, _ = self._known.get(found.name, (found.uid, ""))
        if kind == "DELETED":
            if uid != found.uid:
                return found.name  # told when its successor came
            self._known.pop(found.name, None)
        else:
            if uid != found.uid:
                self._tell_gone(found.name)
            self._known[found.name] = found.uid, found.version
        self._on_event(kind, raw)
        return found.name

    def _tell_gone(self, name: _Name) -> None:
        uid, version = self._known.pop(name)
        meta = {"namespace": name[0], "name": name[1], "uid": uid, "resourceVersion": version}
        self._on_event("DELETED", {"metadata": meta})

    async def _follow_until_stale(self) -> None:
        if self._stale:
            return
        self._watch = watch = asyncio.create_task(self._follow())
        try:
            await asyncio.wait([watch])
        finally:
            self._watch = None
            watch.cancel()
            await asyncio.gather(watch, return_exceptions=True)
        if not watch.cancelled():
            watch.result()

    async def _follow(self) -> None:
        """One watch. Raises ExpiredError when only a list helps."""
        params = {**self._params, "resourceVersion": self._version}
        stream = self._api.watch(self.path, **params, timeoutSeconds=str(_WATCH_S))
        async for event in stream:
            kind, obj = event.get("type", ""), event.get("object")
            if not isinstance(obj, dict):
                raise ApiError(f"watch {self.path}: an event without an object")
            if kind == "ERROR":
                if obj.get("code") == 410:
                    raise ExpiredError(f"watch {self.path}: expired", status=410)
                raise ApiError(
                    f"watch {self.path}: {obj.get('message')}", status=obj.get("code", 0)
                )
            self._version = _version(obj) or self._version
            if kind != "BOOKMARK":
                self._tell(kind, obj)


def _identity(raw: object) -> _Identity | None:
    """None for what is no object, or has no name or UID."""
    meta = raw.get("metadata") if isinstance(raw, dict) else None
    if not isinstance(meta, dict):
        return None
    namespace, name, uid = meta.get("namespace") or "", meta.get("name"), meta.get("uid")
    if not (isinstance(namespace, str) and isinstance(name, str) and isinstance(uid, str)):
        return None
    return _Identity((namespace, name), uid, _version(raw)) if name and uid else None


def _version(raw: Any) -> str:
    """Empty if it has none."""
    meta = raw.get("metadata")
    found = meta.get("resourceVersion") if isinstance(meta, dict) else ""
    return found if isinstance(found, str) else ""


def _said_of(raw: object) -> str:
    found = _identity(raw)
    return "/".join(found.name) if found is not None else "without a name"
