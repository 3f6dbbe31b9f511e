"""Selects the nodes that can matter to the plan of a group of several domains, a region or none.

A plan over all of a large cluster costs tens of milliseconds, and most nodes cannot serve the
group, or serve it no better than nodes that come first. This module drops those nodes, by indexes
per shape that follow the cluster (`domain_index.py`, `node_index.py`). The plan on the remaining
nodes (`multi_domain.py`) equals the plan on the whole cluster.

What remains, for a group of n subgroups:

- Domains around the whole group: all in which it fits; without subgroups only the best one.
- Domains for subgroups: the best n + 1 in which one fits. The other subgroups take n - 1, and a
  member of no subgroup may block one.
- Nodes for members of no subgroup: the first ones in the order in which `assignment.py` takes them,
  as many as there are members, plus as many as other members may take. A group without domains that
  chooses among regions goes where the fewest nodes are left over, so it needs all.

Each count applies per region, and per part of it that the group prefers. Domains come with all of
their nodes. Applies to groups that own nothing and have no bound member.
"""

from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, replace

from lws_placement.engine.fit.domain_index import DomainFitIndex
from lws_placement.engine.fit.index_cache import FitIndexCache
from lws_placement.engine.model.groups import Group, Member
from lws_placement.engine.model.snapshot import ClusterSnapshot, DomainSet, DomainView, NodeView
from lws_placement.engine.model.what_if import domains_around
from lws_placement.engine.objects.nodes import NodeName
from lws_placement.engine.objects.placement_request import TopologyRequest
from lws_placement.engine.planning.single_domain import may_have, shut_for
from lws_placement.engine.planning.subset import SubsetSnapshot


@dataclass(frozen=True, slots=True)
class Whose:
    """Which of the domains and nodes with room the group may use."""

    is_free: Callable[[DomainView], bool]
    is_open: Callable[[NodeView], bool]


def subset_for(group: Group, views: ClusterSnapshot, indexes: FitIndexCache) -> SubsetSnapshot:
    """The part of the cluster to plan the group on, in its present state."""
    is_shut = shut_for(group)
    whose = Whose(lambda domain: may_have(group, domain), lambda node: not is_shut(node))
    return SubsetSnapshot(views, candidate_nodes(group, views, indexes, whose=whose))


def candidate_nodes(
    group: Group, views: ClusterSnapshot, indexes: FitIndexCache, *, whose: Whose, best: bool = True
) -> set[NodeName]:
    """`best`: the plan on these nodes must equal the plan on all nodes; else any plan will do."""
    request = group.request
    looking = _Looking(group, views, indexes=indexes, whose=whose)
    if request.outer:
        most = None if request.subgroups else 1
        return looking.in_domains(request.outer, group.members, most)
    found: set[NodeName] = set()
    for members in subgroup_shapes(group):
        found |= looking.in_domains(request.inner, members, len(request.subgroups) + 1)
    every = (
        best
        and not request.subgroups
        and bool(request.required_topology or request.preferred_topology)
    )
    found |= looking.loose(None if every else 2 * group.size + 1)
    return found


def subgroup_shapes(group: Group) -> list[tuple[Member, ...]]:
    """The members of one subgroup of each shape."""
    found: dict[object, tuple[Member, ...]] = {}
    of = {m.rank: m for m in group.members}
    for ranks in group.request.subgroups:
        members = tuple(of[rank] for rank in ranks)
        found.setdefault(tuple(m.demand for m in members), members)
    return list(found.values())


def part_of(group: Group, key: str, members: Sequence[Member]) -> Group:
    """These members as a group that asks for one domain of `key`."""
    return replace(group, request=TopologyRequest(key), members=tuple(members))


class _Looking:
    def __init__(
        self,
        group: Group,
        views: ClusterSnapshot,
        *,
        indexes: FitIndexCache,
        whose: Whose,
    ) -> None:
        self._group = group
        self._request = group.request
        self._views = views
        self._indexes = indexes
        self._whose = whose
        levels = (self._request.required_topology, self._request.preferred_topology)
        self._levels = [key for key in levels if key]

    def in_domains(self, key: str, members: Sequence[Member], most: int | None) -> set[NodeName]:
        part = part_of(self._group, key, members)
        domains = self._views.domains(key)
        index = self._indexes.of(part, domains)
        found: set[NodeName] = set()
        for domain in self._first(domains, index, most):
            found |= domain.node_names
        return found

    def loose(self, most: int | None) -> set[NodeName]:
        """Nodes for members of no subgroup; with subgroups, also the whole domains around them."""
        inside = self._request.in_subgroups
        members = [m for m in self._group.members if m.rank not in inside]
        if not members:
            return set()
        room = self._indexes.of_nodes(members, self._views, self._group.effort)
        found = room.best(self._whose.is_open, most=most, place_of=self._place_of)
        return found | self._around(found) if self._request.subgroups else found

    def _around(self, names: set[NodeName]) -> set[NodeName]:
        inner = self._request.inner
        return {name for d in domains_around(names, inner, self._views) for name in d.node_names}

    def _first(
        self, domains: DomainSet, index: DomainFitIndex, most: int | None
    ) -> Iterator[DomainView]:
        counts: Counter[Hashable] = Counter()
        for _, value in index.best_first:
            domain = domains.get(value)
            if domain is None or not self._whose.is_free(domain):
                continue
            places = {self._place_of(node) for node in domain.nodes}
            if most is not None and len(places) == 1:  # else a border cuts it: it may fit less
                (place,) = places
                counts[place] += 1
                if counts[place] > most:
                    if not self._levels:
                        break
                    continue
            yield domain
        for value in sorted(index.unproven):
            domain = domains.get(value)
            if domain is not None and self._whose.is_free(domain):
                yield domain

    def _place_of(self, node: NodeView) -> Hashable:
        return tuple(node.node.labels.get(key) for key in self._levels)
