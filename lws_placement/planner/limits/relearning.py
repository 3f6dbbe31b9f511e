"""Forgets what workers that are gone were admitted with, so that no group waits for it for ever.

A group that waits for room for larger workers, or for nodes that they alone need, has no worker:
they come once it has a place. If whatever changed them is gone by now (a policy was deleted), no
pod shows it. So after an hour in which no worker of the set and revision existed, the group is
planned from its templates again. If its workers come out other than these still, that costs it one
restart, and the next try is twice as long away, up to a day.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from lws_placement.cluster.cache.cluster_cache import ClusterCache
from lws_placement.engine.base.lru import LruCache
from lws_placement.engine.model.groups import GroupId
from lws_placement.engine.model.pods import Pod
from lws_placement.engine.reconcile.actions import Action, Wait
from lws_placement.engine.reconcile.group_state import GroupState

FIRST_S = 3600.0
_MOST_S = 24 * FIRST_S
_REMEMBERED = 10_000
_Which = tuple[str, str, str]
"""Namespace and UID of the LeaderWorkerSet, and the revision."""


@dataclass(slots=True)
class _Doubt:
    since: float
    period_s: float = FIRST_S


class Relearning:
    def __init__(self, cache: ClusterCache) -> None:
        self._cache = cache
        self._doubts: LruCache[_Which, _Doubt] = LruCache(_REMEMBERED)

    def decided(self, observed: GroupState, actions: Sequence[Action]) -> float | None:
        """Seconds after which to decide again; None if nothing is in doubt."""
        if not any(isinstance(action, Wait) for action in actions):
            return None
        again = [
            self._doubt(observed.id, revision)
            for revision, templates in observed.templates.items()
            if templates.larger
        ]
        return min(again, default=None)

    def _doubt(self, group: GroupId, revision: str) -> float:
        now = asyncio.get_running_loop().time()
        which = (group.namespace, group.lws_uid, revision)
        doubt = self._doubts.get_or_make(which, lambda: _Doubt(now))
        if self._has_workers(group, revision):
            doubt.since = now
        left_s = doubt.since + doubt.period_s - now
        if left_s > 0:
            return left_s
        self._cache.admissions.requests.forget_workers(group, revision)
        doubt.since, doubt.period_s = now, min(2 * doubt.period_s, _MOST_S)
        return 0.0

    def _has_workers(self, group: GroupId, revision: str) -> bool:
        """O(groups). Asked of groups that wait in vain."""
        mine = (group.namespace, group.lws_uid)
        groups = (g for g in self._cache.groups() if (g.namespace, g.lws_uid) == mine)
        return any(_is_worker(p, revision) for g in groups for p in self._cache.group_pods(g))


def _is_worker(pod: Pod, revision: str) -> bool:
    return pod.member is not None and pod.member.rank > 0 and pod.member.revision == revision
