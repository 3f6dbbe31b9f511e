"""Backfill: keeps a waiting group's future room from groups whose turn comes later.

Where domains overlap (slices in racks, gangs beside exclusive groups, shared domains), a stream of
small groups can starve a large one: some part of every suitable domain is always taken. So each of
the first waiting groups names one place that serves it once the groups there are gone, and later
groups stay out of it. Its wait is then bounded by what runs there now. All other places stay open
to all groups: small groups use what the large one cannot.

One place, not all suitable ones: keeping every such domain free would empty the cluster for one
group (the reservation of EASY backfill is for one place, too). Among domains it is the one with the
fewest groups; no new group enters, so it only drains.
"""

from collections.abc import Set
from dataclasses import replace
from itertools import islice

from lws_placement.engine.fit.assignment import NoMatch
from lws_placement.engine.fit.index_cache import FitIndexCache
from lws_placement.engine.model.groups import Group
from lws_placement.engine.model.queue_order import earlier_of
from lws_placement.engine.model.snapshot import ClusterSnapshot, DomainView, NodeView
from lws_placement.engine.model.verdicts import Placed
from lws_placement.engine.model.what_if import WhatIf
from lws_placement.engine.objects.nodes import NodeName
from lws_placement.engine.planning.candidates import Whose, candidate_nodes
from lws_placement.engine.planning.multi_domain import nodes_of, place_multi_domain
from lws_placement.engine.planning.single_domain import is_beyond_limits
from lws_placement.engine.planning.subset import SubsetSnapshot

_MOST_TRIES = 64
_MOST_WAITING = 8


class RoomToCome:
    """Caches, for the last few shapes of groups, the domains and nodes that would serve them if no
    group were there.
    """

    def __init__(self) -> None:
        self._indexes = FitIndexCache(as_if=NodeView.without_groups, most=_MOST_WAITING)

    def of(self, group: Group, views: ClusterSnapshot) -> frozenset[NodeName]:
        """The nodes that the group waits for; empty if no place would serve it even without groups.

        Costs O(places that would serve it), to count the groups in each.
        """
        if group.request.outer:
            return self._of_domain(group, views)
        wide = replace(group, request=replace(group.request, preferred_topology=""))
        whose = Whose(
            lambda domain: _may_come(group, domain),
            lambda node: not earlier_of(group, node.awaited),
        )
        names = candidate_nodes(wide, views, self._indexes, whose=whose, best=False)
        plan = _plan(wide, names, views)
        return nodes_of(plan, views) if isinstance(plan, Placed) else frozenset()

    def _of_domain(self, group: Group, views: ClusterSnapshot) -> frozenset[NodeName]:
        """The nodes of the suitable domain with the fewest groups in it."""
        key = group.topology_key
        domains = views.domains(key)
        index = self._indexes.of(group, domains)
        values = [*(value for _, value in index.best_first), *sorted(index.unproven)]
        would_do = [d for d in map(domains.get, values) if d is not None and _may_come(group, d)]
        would_do.sort(key=lambda d: (len(d.owners - {group.id}), d.name))
        for domain in islice(would_do, _MOST_TRIES):
            names = domain.node_names
            if group.request.in_one_domain or isinstance(_plan(group, names, views), Placed):
                return names
        return frozenset()


def _may_come(group: Group, domain: DomainView) -> bool:
    if domain.name in group.excluded or is_beyond_limits(group, domain):
        return False
    return not earlier_of(group, domain.awaited)


def _plan(group: Group, names: Set[NodeName], views: ClusterSnapshot) -> Placed | NoMatch:
    """Plans on these nodes as if no group were there."""
    return place_multi_domain(group, SubsetSnapshot(WhatIf(views, no_groups=True), names))
