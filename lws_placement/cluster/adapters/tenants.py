"""The pods on nodes and their groups, from the cache (`engine/preemption/victims.py` `Tenants`)."""

import time
from collections.abc import Callable, Hashable, Sequence

from lws_placement.cluster.cache.cluster_cache import ClusterCache
from lws_placement.cluster.cache.pods.occupants import guest_group
from lws_placement.engine.model.groups import GroupId
from lws_placement.engine.model.pods import Pod
from lws_placement.engine.objects.nodes import NodeName

_SPARED_S = 30.0


class ClusterTenants:
    """`clock`: monotonic seconds."""

    def __init__(self, cache: ClusterCache, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._cache = cache
        self._clock = clock
        self._spared: dict[str, float] = {}
        self.all_that_go = cache.going
        self.lowest_priority = cache.lowest_priority
        self.holds_of = cache.holds_of
        self.budgets_of = cache.budgets.of

    @property
    def version(self) -> Hashable:
        now = self._clock()
        spared = frozenset(uid for uid, until in self._spared.items() if until > now)
        return self._cache.budgets.version, spared

    def spare(self, pod: Pod) -> float:
        """Spares a pod whose eviction was refused; returns for how many seconds."""
        now = self._clock()
        self._spared = {uid: until for uid, until in self._spared.items() if until > now}
        self._spared[pod.uid] = now + _SPARED_S
        return _SPARED_S

    def is_spared(self, pod: Pod) -> bool:
        return self._spared.get(pod.uid, 0.0) > self._clock()

    def yields(self, group: GroupId) -> bool:
        return self._cache.successor_of(group) is not None

    def is_awaited_by(self, group: GroupId) -> bool:
        return any(pod.node is not None for pod in self._cache.placeholders_of(group))

    def pods_on(self, node: NodeName) -> Sequence[Pod]:
        found = (self._cache.pod(o.uid) for o in self._cache.domains.occupants_on(node))
        return sorted((p for p in found if p is not None), key=lambda p: p.key)

    def goes_with(self, pod: Pod) -> GroupId | None:
        return self._cache.keeps_room_for(pod) or guest_group(pod)

    def all_pods_of(self, group: GroupId) -> Sequence[Pod]:
        pods = self._cache.group_pods(group) or self._cache.pods_that_say(group)
        return [p for p in pods if self.goes_with(p) == group]
