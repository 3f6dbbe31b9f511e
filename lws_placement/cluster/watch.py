"""List, watch, resume, list again: one resource kind kept in step with the API server.

The list is a quorum read. A watch that ends is resumed where it stopped (bookmarks keep that point
fresh); one that expired (410) or was cut in a way that leaves doubt starts over with a list.
Callbacks run on the event loop, never concurrently, and must not raise.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping

from lws_placement import metrics
from lws_placement.cluster.client import Api, Raw
from lws_placement.errors import ApiError, ExpiredError
from lws_placement.metrics import Reconnect

log = logging.getLogger(__name__)

OnList = Callable[[list[Raw]], None]
OnEvent = Callable[[str, Raw], None]

_WATCH_S = 290
_RETRY_FIRST_S = 0.2
_RETRY_MOST_S = 5.0


class Watcher:
    """`on_list` gets every object after each list; `on_event` gets (ADDED | MODIFIED | DELETED,
    object).

    When the API server is away the last state stays as it was; `synced` is set by the first list
    and stays set.
    """

    def __init__(
        self,
        api: Api,
        path: str,
        *,
        on_list: OnList,
        on_event: OnEvent,
        params: Mapping[str, str] | None = None,
    ) -> None:
        self._api = api
        self.path = path
        self._params = dict(params or {})
        self._on_list = on_list
        self._on_event = on_event
        self.synced = asyncio.Event()

    async def run(self) -> None:
        """Until cancelled."""
        retry_s = _RETRY_FIRST_S
        version = ""
        while True:
            try:
                if not version:
                    items, version = await self._api.list_all(self.path, **self._params)
                    self._on_list(items)
                    self.synced.set()
                    log.debug("listed", extra={"path": self.path, "objects": len(items)})
                version = await self._follow(version)
                retry_s = _RETRY_FIRST_S
                metrics.RECONNECTS.labels(Reconnect.ENDED).inc()
            except ExpiredError:
                metrics.RECONNECTS.labels(Reconnect.EXPIRED).inc()
                version = ""
            except ApiError as e:
                metrics.RECONNECTS.labels(Reconnect.FAILED).inc()
                log.warning("watch failed", extra={"path": self.path, "error": str(e)})
                await asyncio.sleep(retry_s)
                retry_s = min(retry_s * 2, _RETRY_MOST_S)

    async def _follow(self, version: str) -> str:
        """One watch; the resourceVersion to resume from. Raises ExpiredError when only a list
        helps.
        """
        stream = self._api.watch(
            self.path, **self._params, resourceVersion=version, timeoutSeconds=str(_WATCH_S)
        )
        async for event in stream:
            kind, obj = event.get("type", ""), event.get("object", {})
            if kind == "ERROR":
                if obj.get("code") == 410:
                    raise ExpiredError(f"watch {self.path}: expired", status=410)
                raise ApiError(
                    f"watch {self.path}: {obj.get('message')}", status=obj.get("code", 0)
                )
            version = obj["metadata"]["resourceVersion"]
            if kind != "BOOKMARK":
                self._on_event(kind, obj)
        return version
