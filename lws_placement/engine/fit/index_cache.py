"""Fit indexes of domains and of nodes for recently requested group shapes."""

from collections.abc import Callable, Hashable, Sequence

from lws_placement.engine.base.effort import Effort
from lws_placement.engine.base.lru import LruCache
from lws_placement.engine.fit.domain_index import DomainFitIndex
from lws_placement.engine.fit.node_index import NodeFitIndex
from lws_placement.engine.model.groups import Group, Member
from lws_placement.engine.model.snapshot import ClusterSnapshot, DomainSet, NodeView


class FitIndexCache:
    """LRU caches of both kinds of index. `as_if` replaces each node view before the fit."""

    def __init__(
        self, *, as_if: Callable[[NodeView], NodeView] | None = None, most: int = 64
    ) -> None:
        self._as_if = as_if
        self._domains: LruCache[Hashable, DomainFitIndex] = LruCache(most)
        self._nodes: LruCache[Hashable, NodeFitIndex] = LruCache(most)

    def of(
        self, group: Group, domains: DomainSet, *, within: Group | None = None
    ) -> DomainFitIndex:
        """The index of domains for groups of this shape, up to date. `within`: the same group with
        fewer rules.
        """
        shape = group.topology_key, group.demands, group.joint
        wider = self.of(within, domains) if within is not None else None
        return self._in_step(shape, group, domains, within=wider)

    def of_ranks(self, group: Group, domains: DomainSet) -> DomainFitIndex:
        """The same, but refusals name ranks of this group: a subgroup of another group with equal
        demands may have other ranks.
        """
        found = self.of(group, domains)
        ranks = tuple(m.rank for m in group.members)
        if found.ranks == ranks:
            return found
        return self._in_step(
            (group.topology_key, group.demands, group.joint, ranks), group, domains
        )

    def _in_step(
        self,
        shape: Hashable,
        group: Group,
        domains: DomainSet,
        *,
        within: DomainFitIndex | None = None,
    ) -> DomainFitIndex:
        found = self._domains.get(shape)
        if found is None or found.domains is not domains:
            found = DomainFitIndex(group, domains, as_if=self._as_if)
            self._domains.put(shape, found)
        found.within = within
        found.follow(group.effort)
        return found

    def of_nodes(
        self, members: Sequence[Member], views: ClusterSnapshot, effort: Effort
    ) -> NodeFitIndex:
        shape = tuple(m.demand for m in members)
        found = self._nodes.get(shape)
        if found is None or found.views is not views:
            found = NodeFitIndex(shape, views, as_if=self._as_if)
            self._nodes.put(shape, found)
        found.follow(effort)
        return found
