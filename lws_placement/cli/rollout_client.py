"""The API calls of `lws-placement rollout`."""

import asyncio
from collections.abc import Callable
from contextlib import suppress

from lws_placement.cluster.api.client import Api
from lws_placement.cluster.codec.objects import controlling_owner
from lws_placement.engine.base import keys
from lws_placement.engine.base.raw import Raw
from lws_placement.engine.lws.revision import revision_data, same_content, spec_at
from lws_placement.engine.lws.rollout_report import Report, report_of
from lws_placement.errors import ApiError, LwsPlacementError, NotFoundError

_GROUP = "/apis/leaderworkerset.x-k8s.io/v1/namespaces"
_RETRY_S = 1.0


class Rollout:
    """One LeaderWorkerSet and the calls about it."""

    def __init__(self, api: Api, namespace: str, name: str) -> None:
        self._api = api
        self._namespace = namespace
        self.name = name
        self._all = f"{_GROUP}/{namespace}/leaderworkersets"

    async def fetch(self) -> Raw:
        try:
            return await self._api.get(f"{self._all}/{self.name}")
        except NotFoundError as e:
            raise LwsPlacementError(
                f'there is no LeaderWorkerSet "{self.name}" in namespace "{self._namespace}"'
            ) from e

    async def follow(self, say: Callable[[Report], None]) -> None:
        """Reports until the update is done. A lost watch is started again."""
        while True:
            lws = await self.fetch()
            report = report_of(lws)
            say(report)
            if report.done or await self._watch(lws, say):
                return

    async def _watch(self, lws: Raw, say: Callable[[Report], None]) -> bool:
        """True if the update is done, False if the watch has ended."""
        only = {
            "fieldSelector": f"metadata.name={self.name}",
            "resourceVersion": lws["metadata"]["resourceVersion"],
        }
        with suppress(ApiError):
            async for event in self._api.watch(self._all, **only):
                if event["type"] == "DELETED":
                    raise LwsPlacementError(f'"{self.name}" has been deleted')
                if event["type"] == "MODIFIED":
                    report = report_of(event["object"])
                    say(report)
                    if report.done:
                        return True
                elif event["type"] == "ERROR":
                    break
        await asyncio.sleep(_RETRY_S)
        return False

    async def revisions(self, lws: Raw) -> list[Raw]:
        """All revisions, in use or kept as history, oldest first. Of equal ones the newest."""
        path = f"/apis/apps/v1/namespaces/{self._namespace}/controllerrevisions"
        found: dict[str, Raw] = {}
        for label in (keys.HISTORY_OF, keys.LWS_NAME):
            items, _ = await self._api.list_all(path, labelSelector=f"{label}={self.name}")
            for raw in sorted(items, key=_number):
                if controlling_owner(raw).get("uid") == lws["metadata"]["uid"]:
                    found[raw["metadata"]["labels"].get(keys.LWS_REVISION, "")] = raw
        return sorted(found.values(), key=_number)

    async def set_template(self, lws: Raw, data: Raw, *, dry_run: bool) -> None:
        spec = spec_at(lws, data)["spec"]
        params = {"dryRun": "All"} if dry_run else None
        await self._api.replace(f"{self._all}/{self.name}", {**lws, "spec": spec}, params=params)


def is_live(lws: Raw, stored: Raw) -> bool:
    """True if this revision is the current template."""
    return same_content(stored["data"], revision_data(lws))


def previous(lws: Raw, stored: list[Raw]) -> Raw:
    """The newest revision that is not the current template."""
    for raw in reversed(stored):
        if not is_live(lws, raw):
            return raw
    raise LwsPlacementError(
        f'"{lws["metadata"]["name"]}" has no earlier revision to go back to; '
        "see lws-placement rollout history"
    )


def numbered(stored: list[Raw], number: int) -> Raw:
    for raw in stored:
        if raw["revision"] == number:
            return raw
    known = ", ".join(str(r["revision"]) for r in stored) or "none"
    raise LwsPlacementError(f"there is no revision {number}; there are: {known}")


def _number(raw: Raw) -> int:
    return int(raw.get("revision", 0))
