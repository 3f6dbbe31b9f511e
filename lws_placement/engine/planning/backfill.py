"""Room that is on its way to a group that waits: kept from groups whose turn comes later.

Where domains overlap (slices in racks, gangs beside exclusive groups, shared domains), a stream of
small groups can keep a large one waiting for ever: some part of every domain that would do for it
is always taken. So each of the first groups that wait names one place that would serve it once the
groups there are gone, and later groups stay out of it. Its wait is then bounded by what runs there
now. All other places stay open to everybody: small groups use what the large one cannot.

One place, not all that would do: keeping every such domain free would empty the cluster for one
group (the reservation of EASY backfill is for one place, too). Of domains it is the one with the
fewest groups in it, so it can only come nearer: nobody new is let in.
"""

from dataclasses import replace
from itertools import islice

from lws_placement.engine.fit.index_cache import FitIndexCache
from lws_placement.engine.model.groups import Group
from lws_placement.engine.model.nodes import DomainName, NodeName
from lws_placement.engine.model.queue_order import earlier_of
from lws_placement.engine.model.snapshot import ClusterSnapshot, DomainView, NodeView
from lws_placement.engine.model.verdicts import Placed
from lws_placement.engine.planning.candidates import Whose, candidate_nodes
from lws_placement.engine.planning.multi_domain import place_multi_domain
from lws_placement.engine.planning.subset import SubsetSnapshot

_MOST_TRIES = 64
_MOST_WAITING = 8


class RoomToCome:
    """Remembers what it asked about a moment ago: which domains and nodes would do for the shapes
    of a few groups if no group were there.
    """

    def __init__(self) -> None:
        self._indexes = FitIndexCache(as_if=NodeView.without_groups, most=_MOST_WAITING)

    def of(self, group: Group, views: ClusterSnapshot) -> frozenset[NodeName]:
        """The nodes that the group waits for; none if no place would serve it even then.

        O(places that would serve it) to count who is where.
        """
        if group.request.outer:
            return self._of_domain(group, views)
        wide = replace(group, request=replace(group.request, preferred_topology=""))
        whose = Whose(
            lambda domain: _may_come(group, domain),
            lambda node: not earlier_of(group, node.awaited),
        )
        names = candidate_nodes(wide, views, self._indexes, whose=whose, best=False)
        plan = place_multi_domain(wide, SubsetSnapshot(_NoGroups(views), names))
        return _nodes_of(plan, views) if isinstance(plan, Placed) else frozenset()

    def _of_domain(self, group: Group, views: ClusterSnapshot) -> frozenset[NodeName]:
        """Of the domain with the fewest groups in it."""
        key = group.topology_key
        domains = views.domains(key)
        index = self._indexes.of(group, domains)
        values = [*(value for _, value in index.best_first), *sorted(index.unproven)]
        would_do = [d for d in map(domains.get, values) if d is not None and _may_come(group, d)]
        would_do.sort(key=lambda d: (len(d.owners - {group.id}), d.name))
        for domain in islice(would_do, _MOST_TRIES):
            names = frozenset(n.node.name for n in domain.nodes)
            if group.request.in_one_domain:
                return names
            if isinstance(
                place_multi_domain(group, SubsetSnapshot(_NoGroups(views), names)), Placed
            ):
                return names
        return frozenset()


def _may_come(group: Group, domain: DomainView) -> bool:
    return domain.name not in group.excluded and not earlier_of(group, domain.awaited)


def _nodes_of(plan: Placed, views: ClusterSnapshot) -> frozenset[NodeName]:
    names = set(plan.nodes.values())
    for domain in (plan.domain, *(d for d, _ in plan.others)):
        view = None if domain.anywhere else views.domain(domain)
        names |= {n.node.name for n in view.nodes} if view is not None else set()
    return frozenset(names)


class _NoGroups:
    """The cluster as if no group had any of it; earlier groups wait for it as they do."""

    def __init__(self, views: ClusterSnapshot) -> None:
        self._views = views

    def node_view(self, name: NodeName) -> NodeView | None:
        view = self._views.node_view(name)
        return None if view is None else view.without_groups()

    def domain(self, name: DomainName) -> DomainView | None:
        view = self._views.domain(name)
        if view is None:
            return None
        return DomainView(name, tuple(n.without_groups() for n in view.nodes), awaited=view.awaited)
