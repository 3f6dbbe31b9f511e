"""List, watch, resume, list again: keeps one resource kind in step with the API server.

The list is a quorum read, taken page by page, so that no whole list is ever in memory as JSON. A
known object that is on no page is reported DELETED after the last page; one whose name now belongs
to another object, just before that object. If the pages of a list expire, the next list is read
whole. A watch starts at the list's version. A watch that ends or breaks resumes where it stopped
(bookmarks keep that point fresh); one that expired (410) starts over with a list. Callbacks run on
the event loop, never concurrently. A watch that brought nothing backs off, however it ended: lists
of a large cluster are dear.

No single object ends a watch: an object without a name or a UID is skipped, and an exception of a
callback is logged with its traceback; the next object is reported.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from lws_placement import metrics
from lws_placement.backoff import Backoff
from lws_placement.cluster.api.client import Api
from lws_placement.engine.base.raw import Raw, RawList
from lws_placement.errors import ApiError, ExpiredError, NotFoundError
from lws_placement.metrics import Reconnect, Retry

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
_BACKOFF = Backoff(first_s=0.2, most_s=5.0)
_UNSERVED_S = 60.0


def shielded(on_event: OnEvent, *, path: str) -> OnEvent:
    """Logs exceptions of `on_event`: one object must not stop reports of the others."""

    def tell(kind: str, raw: Raw) -> None:
        try:
            on_event(kind, raw)
        except Exception:  # the boundary for whatever one object causes
            log.exception("event not taken", extra={"path": path, "object": _said_of(raw)})

    return tell


class Watcher:
    """`on_event` gets (ADDED | MODIFIED | DELETED, object), also for the objects of lists.

    For an object that a list no longer shows it gets only namespace, name, UID and resourceVersion.
    While the API server is away the last state stays; the first list sets `synced`, which stays
    set.

    `optional`: if the API server does not serve the kind, it counts as listed, without objects, and
    is asked for again now and then.
    """

    def __init__(
        self,
        api: Api,
        path: str,
        *,
        on_event: OnEvent,
        params: Mapping[str, str] | None = None,
        optional: bool = False,
    ) -> None:
        self._api = api
        self.path = path
        self._params = dict(params or {})
        self._optional = optional
        self._on_event = shielded(on_event, path=path)
        self._known: dict[_Name, tuple[str, str]] = {}
        self._version = ""
        """Where the watch resumes; empty: it needs a list."""
        self._whole = False
        self.synced = asyncio.Event()
        self.problem = ""
        """Why the last attempt failed."""
        self._watch: asyncio.Task[None] | None = None
        self._stale = False
        self._told = 0
        """Events that watches brought."""

    def list_again(self) -> None:
        """Reads and reports all objects once more, because their meaning has changed."""
        self._stale = True
        if self._watch is not None:
            self._watch.cancel()

    async def run(self) -> None:
        """Runs until cancelled."""
        failures = 0
        while True:
            before, at_least_s = self._told, 0.0
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
                if self._optional and isinstance(e, NotFoundError):
                    await self._wait_until_served()
                    continue
                metrics.RECONNECTS.labels(Reconnect.FAILED).inc()
                self.problem = e.summary
                at_least_s = e.retry_after_s
                log.warning("watch failed", extra={"path": self.path, "error": str(e)})
            if self._told > before:
                failures = 0
            else:
                metrics.RETRIES.labels(Retry.WATCH).inc()
            if not self._stale:
                await asyncio.sleep(_BACKOFF.delay_s(failures, at_least_s=at_least_s))
                failures += 1

    async def _wait_until_served(self) -> None:
        self._version = ""
        self._forget_all_but(set())
        self.synced.set()
        await asyncio.sleep(_UNSERVED_S)

    def take_list(self, items: RawList) -> None:
        """Takes a quorum list that the caller has read; it replaces the known objects."""
        self._forget_all_but(self._tell_all(items))

    async def _list(self) -> str:
        """Lists all objects; returns the version to watch from."""
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
        """Returns the names of the objects that have one."""
        names = (self._tell("MODIFIED", raw) for raw in items)
        return {name for name in names if name is not None}

    def _tell(self, kind: str, raw: Raw) -> _Name | None:
        """Returns the object's name, if it has one."""
        found = _identity(raw)
        if found is None:
            log.error("passed over: no name or UID", extra={"path": self.path})
            return None
        uid, _ = self._known.get(found.name, (found.uid, ""))
        if kind == "DELETED":
            if uid != found.uid:
                return found.name  # reported when its successor came
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
        """Follows one watch. Raises ExpiredError when it needs a list."""
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
            self._told += 1
            self._version = _version(obj) or self._version
            if kind != "BOOKMARK":
                self._tell(kind, obj)


def _identity(raw: object) -> _Identity | None:
    """None if `raw` is not an object, or has no name or UID."""
    meta = raw.get("metadata") if isinstance(raw, dict) else None
    if not isinstance(meta, dict):
        return None
    namespace, name, uid = meta.get("namespace") or "", meta.get("name"), meta.get("uid")
    if not (isinstance(namespace, str) and isinstance(name, str) and isinstance(uid, str)):
        return None
    return _Identity((namespace, name), uid, _version(raw)) if name and uid else None


def _version(raw: Any) -> str:
    """The object's resourceVersion; empty if it has none."""
    meta = raw.get("metadata")
    found = meta.get("resourceVersion") if isinstance(meta, dict) else ""
    return found if isinstance(found, str) else ""


def _said_of(raw: object) -> str:
    found = _identity(raw)
    return "/".join(found.name) if found is not None else "without a name"
