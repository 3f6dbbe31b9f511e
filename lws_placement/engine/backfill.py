"""Room that is on its way to a group that waits: kept from groups whose turn comes later.

Where domains overlap (slices in racks, gangs beside exclusive groups, shared domains), a stream of
small groups can keep a large one waiting for ever: some part of every domain that would do for it
is always taken. So each of the first groups that wait names one place that would serve it once the
groups there are gone, and later groups stay out of it. Its wait is then bounded by what runs there
now. All other places stay open to everybody: small groups use what the large one cannot.

One place, not all that would do: keeping every such domain free would empty the cluster for one
group (the reservation of EASY backfill is for one place, too). It is the one with the fewest groups
in it, so it can only come nearer: nobody new is let in.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from lws_placement.engine.compose import plan_composed
from lws_placement.engine.model import DomainName, Group, NodeName, Placed
from lws_placement.engine.resources import plus
from lws_placement.engine.room import Fit, fit_in
from lws_placement.engine.seen import Views
from lws_placement.engine.snapshot import DomainSet, DomainView, NodeView
from lws_placement.engine.turn import earlier_of

_MOST_TRIES = 64


def room_to_come(group: Group, views: Views) -> frozenset[NodeName]:
    """The nodes that the group waits for; none if no place would serve it even then.

    O(domains) to count who is where, and few fits: the first that succeeds is taken.
    """
    if group.layout is not None:
        plan = plan_composed(group, _Emptied(views, group), instead={})
        return _nodes_of(plan, views) if isinstance(plan, Placed) else frozenset()
    nearest = sorted(
        views.domains(group.topology_key), key=lambda d: (len(d.owners - {group.id}), d.name)
    )
    for domain in islice((_emptied(d, group) for d in nearest), _MOST_TRIES):
        if domain.nodes and isinstance(fit_in(group, domain), Fit):
            return frozenset(n.node.name for n in domain.nodes)
    return frozenset()


def _nodes_of(plan: Placed, views: Views) -> frozenset[NodeName]:
    names = set(plan.nodes.values())
    for domain in (plan.domain, *(d for d, _ in plan.others)):
        view = views.domain(domain) if domain.key else None
        names |= {n.node.name for n in view.nodes} if view is not None else set()
    return frozenset(names)


def _emptied(domain: DomainView, group: Group) -> DomainView:
    """As if no group were there or on its way; without nodes if an earlier one waits for it."""
    if earlier_of(group, domain.awaited):
        return replace(domain, nodes=())
    return DomainView(domain.name, tuple(_empty(n) for n in domain.nodes))


def _empty(node: NodeView) -> NodeView:
    return NodeView(node.node, plus(node.free, node.of_groups), node.ports)


@dataclass(frozen=True, slots=True)
class _Emptied:
    """The cluster as if no group were anywhere."""

    views: Views
    group: Group

    def domain(self, domain: DomainName) -> DomainView | None:
        found = self.views.domain(domain)
        return _emptied(found, self.group) if found is not None else None

    def domain_without(self, domain: DomainName, uids: frozenset[str]) -> DomainView | None:
        return self.domain(domain)

    def domains(self, key: str) -> DomainSet:
        return DomainSet(_emptied(d, self.group) for d in self.views.domains(key))

    def node_view(self, name: NodeName) -> NodeView | None:
        found = self.views.node_view(name)
        return _empty(found) if found is not None else None

    def node_view_without(self, name: NodeName, uids: frozenset[str]) -> NodeView | None:
        return self.node_view(name)

    def node_views(self) -> Sequence[NodeView]:
        return list(self._open_nodes())

    def _open_nodes(self) -> Iterator[NodeView]:
        return (_empty(n) for n in self.views.node_views() if not earlier_of(self.group, n.awaited))
