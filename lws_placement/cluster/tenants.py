"""Whose pods are where, from the cache, as preemption asks it (`engine/victims.Tenants`)."""

from collections.abc import Sequence

from lws_placement.cluster.cache import ClusterCache, guest_group
from lws_placement.engine.budgets import Budget
from lws_placement.engine.holds import Hold
from lws_placement.engine.model import GroupId, NodeName, Pod


class ClusterTenants:
    def __init__(self, cache: ClusterCache) -> None:
        self._cache = cache

    def pods_on(self, node: NodeName) -> Sequence[Pod]:
        found = (self._cache.pod(o.uid) for o in self._cache.domains.occupants_on(node))
        return sorted((p for p in found if p is not None), key=lambda p: p.key)

    def goes_with(self, pod: Pod) -> GroupId | None:
        return self._cache.group_of(pod) or guest_group(pod)

    def all_pods_of(self, group: GroupId) -> Sequence[Pod]:
        pods = self._cache.group_pods(group) or self._cache.pods_of_lws(group.namespace, group.lws)
        return [p for p in pods if self.goes_with(p) == group]

    def holds_of(self, group: GroupId) -> Sequence[Hold]:
        return self._cache.holds_of(group)

    def budgets_of(self, namespace: str) -> Sequence[Budget]:
        return self._cache.budgets.of(namespace)
