"""Fills a `ClusterCache`: one Watcher per kind of object (`intake.py`) keeps it in step with the
API server, or one pass reads everything once.

A list replaces the known objects of its kind, one by one, so no object that vanished during a gap
survives.
"""

import asyncio
from collections.abc import Callable

from lws_placement.cluster.api.client import Api
from lws_placement.cluster.api.watch import OnEvent, Watcher, shielded
from lws_placement.cluster.cache.cluster_cache import ClusterCache
from lws_placement.cluster.cache.intake import LWS_PATH, Intake, Kind
from lws_placement.engine.base.raw import Raw, RawList
from lws_placement.errors import NotFoundError

_AGAIN_S = 2.0
"""Changes within this time are handled together."""


class Informers:
    """Watchers for all kinds that placement needs. `run()` runs until cancelled; call
    `wait_synced()` before deciding.
    """

    def __init__(self, api: Api, cache: ClusterCache, *, namespace: str) -> None:
        intake = Intake(cache, namespace=namespace)
        self._followers: dict[str, list[OnEvent]] = {kind.path: [] for kind in intake.kinds}
        self._watchers = {
            kind.path: Watcher(
                api,
                kind.path,
                on_event=self._teller(kind),
                params=kind.params,
                optional=kind.optional,
            )
            for kind in intake.kinds
        }
        self._holds = self._watchers[intake.holds.path]
        self._first = [self._watchers[kind.path] for kind in intake.pod_defaults]
        self._with_templates = [self._watchers[kind.path] for kind in intake.with_templates]
        self._again: asyncio.TimerHandle | None = None
        intake.on_defaults_changed = self._read_templates_later

    def follow(self, path: str, on_event: OnEvent) -> Watcher:
        """Also reports the objects under `path` to `on_event`, after the cache, so that no second
        watcher decodes the same objects. Call it before `run()`. Returns the watcher that reports.
        """
        self._followers[path].append(shielded(on_event, path=path))
        return self._watchers[path]

    def _teller(self, kind: Kind) -> OnEvent:
        put, followers = shielded(kind.on_event, path=kind.path), self._followers[kind.path]

        def tell(event: str, raw: Raw) -> None:
            put(event, raw)
            for follower in followers:
                follower(event, raw)

        return tell

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            for watcher in self._first:
                group.create_task(watcher.run())
            for watcher in self._first:
                await watcher.synced.wait()
            for watcher in self._watchers.values():
                if watcher not in self._first:
                    group.create_task(watcher.run())

    def _read_templates_later(self) -> None:
        """One read for many changes."""
        if self._again is None and all(w.synced.is_set() for w in self._first):
            self._again = asyncio.get_running_loop().call_later(_AGAIN_S, self._read_templates)

    def _read_templates(self) -> None:
        self._again = None
        for watcher in self._with_templates:
            watcher.list_again()

    @property
    def synced(self) -> bool:
        return all(watcher.synced.is_set() for watcher in self._watchers.values())

    @property
    def missing(self) -> str:
        """The first kind that is not listed yet, or the error; empty if all are listed."""
        waiting = [w for w in self._watchers.values() if not w.synced.is_set()]
        problems = [w.problem for w in waiting if w.problem]
        if problems:
            return problems[0]
        return f"{waiting[0].path} has not been listed yet" if waiting else ""

    async def wait_synced(self) -> None:
        for watcher in self._watchers.values():
            await watcher.synced.wait()

    def take_holds(self, leases: RawList) -> None:
        """Takes a quorum list of the hold Leases, read by a new leader's planner."""
        self._holds.take_list(leases)


async def read_once(
    api: Api,
    cache: ClusterCache,
    *,
    namespace: str,
    on_page: Callable[[str, int], None] = lambda path, number: None,
) -> None:
    """Reads the current state into an empty cache without watching: for a program that answers one
    question and ends. `on_page` gets the number of objects of a kind read so far.

    Raises ApiError if a read is forbidden. A cluster without the LeaderWorkerSet API has no sets.
    """
    for kind in Intake(cache, namespace=namespace).kinds:
        number, put = 0, shielded(kind.on_event, path=kind.path)
        try:
            async for items, _ in api.pages(kind.path, **kind.params):
                for raw in items:
                    put("ADDED", raw)
                number += len(items)
                on_page(kind.path, number)
        except NotFoundError:
            if kind.path != LWS_PATH and not kind.optional:
                raise
