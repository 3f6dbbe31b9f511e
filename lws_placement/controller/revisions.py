"""The revisions of a LeaderWorkerSet's template, kept as ControllerRevisions.

While groups of several revisions exist, each revision has its ControllerRevision, as workers are
made from their leader's revision. After an update upstream's rule deletes the others. We first set
each aside, as a copy under a label of ours without LeaderWorkerSet's name label: every reader of
revisions sees what upstream leaves, and `lws-placement rollout` can still show them and go back.
The last ten are kept. (We copy, as the API server rejects every change of a ControllerRevision
whose data is not written to the letter as Go would.)

A template that was seen before keeps its key, so groups that carry it already stay untouched. It
gets another ControllerRevision with the highest number, as with upstream.
"""

import json
from contextlib import suppress

from lws_placement.cluster.api.events import Event
from lws_placement.cluster.codec.objects import controlling_owner
from lws_placement.controller.world import World
from lws_placement.engine.base import keys
from lws_placement.engine.base.raw import Raw
from lws_placement.engine.lws.children import API_VERSION, owner_reference
from lws_placement.engine.lws.revision import (
    canonical_bytes,
    revision_data,
    revision_key,
    same_content,
)
from lws_placement.errors import AlreadyExistsError, NotFoundError

APPS = "/apis/apps/v1/namespaces"
_NAME_MOST = 220
_KEPT = 10


class Revisions:
    def __init__(self, world: World) -> None:
        self._api, self._observed, self._say = world.api, world.observed, world.say

    async def ensure(self, lws: Raw, current: str) -> str:
        """Key of the live template's revision; ensures that its ControllerRevision exists.

        `current`: the key that the leader StatefulSet carries, empty if there is none.
        """
        data = revision_data(lws)
        mine = self._observed.revisions_of(lws)
        for stored in sorted(mine, key=_number, reverse=True):
            key = key_of(stored)
            if key and same_content(stored["data"], data):
                if key != current and _number(stored) < max(map(_number, mine)):
                    await self._create(lws, stored["data"], key, mine)
                return key
        if current and not any(key_of(r) == current for r in mine):
            # Taken over from a controller whose revision is gone: keep the key, start no rollout.
            await self._create(lws, data, current, mine)
            note = f"Creating missing revision with key {current} for existing LeaderWorkerSet"
            await self._say(lws, Event("CreatingRevision", note, "Create"))
            return current
        key = revision_key(data)
        await self._create(lws, data, key, mine)
        what = "updated LWS" if current else "a newly created LeaderWorkerSet"
        note = f"Creating revision with key {key} for {what}"
        await self._say(lws, Event("CreatingRevision", note, "Create"))
        return key

    async def set_others_aside(self, lws: Raw, revision: str) -> None:
        """Call it only when all groups are at `revision`: groups are rebuilt at their leader's.

        Deletes the originals last: a crash on the way leaves some, so that the whole is repeated.
        """
        others = self._others(lws, revision)
        if not others:
            return
        for raw in others:
            await self._copy_aside(lws, raw)
        await self._trim(lws, revision)
        for raw in others:
            await self._delete(raw)

    async def _copy_aside(self, lws: Raw, raw: Raw) -> None:
        meta = lws["metadata"]
        labels = {keys.HISTORY_OF: meta["name"], keys.LWS_REVISION: key_of(raw)}
        name = f"{meta['name'][:_NAME_MOST]}-history-{_number(raw)}"
        with suppress(AlreadyExistsError):  # it exists: only the deletion is missing
            await self._write(lws, name, labels, raw["data"], _number(raw))

    async def _delete(self, raw: Raw) -> None:
        with suppress(NotFoundError):
            await self._api.delete(_path(raw))

    async def _trim(self, lws: Raw, revision: str) -> None:
        """Deletes copies older than the last ten, and copies that have a newer one."""
        meta = lws["metadata"]
        page = await self._api.list(
            f"{APPS}/{meta['namespace']}/controllerrevisions",
            labelSelector=f"{keys.HISTORY_OF}={meta['name']}",
        )
        mine = [r for r in page["items"] if controlling_owner(r).get("uid") == meta["uid"]]
        kept = {revision}
        for raw in sorted(mine, key=_number, reverse=True):
            if key_of(raw) not in kept and len(kept) <= _KEPT:
                kept.add(key_of(raw))
                continue
            await self._delete(raw)

    def _others(self, lws: Raw, revision: str) -> list[Raw]:
        """All revisions but the newest of `revision`."""
        mine = self._observed.revisions_of(lws)
        newest = max((r for r in mine if key_of(r) == revision), key=_number, default=None)
        return [r for r in mine if r is not newest]

    async def _create(self, lws: Raw, data: Raw, key: str, others: list[Raw]) -> None:
        meta = lws["metadata"]
        number = 1 + max(map(_number, others), default=0)
        labels = {keys.LWS_NAME: meta["name"], keys.LWS_REVISION: key}
        name = f"{meta['name'][:_NAME_MOST]}-{key}-{number}"
        with suppress(AlreadyExistsError):  # it exists: our watch lags
            written = await self._write(lws, name, labels, data, number)
            self._observed.put_written_revision(written)

    async def _write(
        self, lws: Raw, name: str, labels: dict[str, str], data: Raw, number: int
    ) -> Raw:
        meta = lws["metadata"]
        body: Raw = {
            "apiVersion": "apps/v1",
            "kind": "ControllerRevision",
            "metadata": {
                "name": name,
                "namespace": meta["namespace"],
                "labels": labels,
                "ownerReferences": [owner_reference(API_VERSION, "LeaderWorkerSet", meta)],
            },
            "data": json.loads(canonical_bytes(data)),
            "revision": number,
        }
        return await self._api.create(f"{APPS}/{meta['namespace']}/controllerrevisions", body)


def key_of(revision: Raw) -> str:
    return str((revision["metadata"].get("labels") or {}).get(keys.LWS_REVISION, ""))


def _number(revision: Raw) -> int:
    return int(revision.get("revision", 0))


def _path(revision: Raw) -> str:
    meta = revision["metadata"]
    return f"{APPS}/{meta['namespace']}/controllerrevisions/{meta['name']}"
