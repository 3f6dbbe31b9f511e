"""The cluster as if some pods and groups were gone: the one way to plan on a hypothetical state.

A `WhatIf` copies nothing. It makes views on demand, and returns the cluster's own view where
nothing in it is gone. It lasts for one decision: the cluster does not change meanwhile, except
while a victim search pauses, whose findings are searched again in one step before they count. A
`WhatIf` on top of another adds to it, so the trials of a victim search share what they have in
common.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from lws_placement.engine.model.devices.source import Devices
from lws_placement.engine.model.exclusivity import Claim
from lws_placement.engine.model.groups import GroupId
from lws_placement.engine.model.placed_pods import Gone, PlacedPods
from lws_placement.engine.model.pods import Pod
from lws_placement.engine.model.queue_order import Turn
from lws_placement.engine.model.snapshot import (
    ClusterSnapshot,
    DomainSet,
    DomainView,
    NodeView,
    claims_without,
)
from lws_placement.engine.model.storage import Storage, VolumeUsers, VolumeUsersWithout
from lws_placement.engine.objects.nodes import DomainName, NodeName

PodsByNode = Mapping[NodeName, frozenset[str]]
"""UIDs of the bound pods of each node."""


class Views(Protocol):
    """Domains and nodes, actual or hypothetical."""

    def domain(self, name: DomainName, /) -> DomainView | None: ...
    def node_view(self, name: NodeName, /) -> NodeView | None: ...


_NO_PODS: PodsByNode = {}
_NOBODY: frozenset[GroupId] = frozenset()


def pods_by_node(pods: Iterable[Pod]) -> dict[NodeName, frozenset[str]]:
    """Bound, unfinished pods only."""
    found: dict[NodeName, frozenset[str]] = {}
    for pod in pods:
        if pod.node is not None and not pod.finished:
            found[pod.node] = found.get(pod.node, frozenset()) | {pod.uid}
    return found


def together(some: PodsByNode, more: PodsByNode) -> PodsByNode:
    """The pods of both."""
    if not more:
        return some
    none = frozenset[str]()
    return {name: some.get(name, none) | more.get(name, none) for name in {*some, *more}}


def domains_around(names: Iterable[NodeName], key: str, views: Views) -> Iterator[DomainView]:
    """The domains of `key` around these nodes, by value."""
    nodes = (views.node_view(name) for name in names)
    values = {n.node.labels[key] for n in nodes if n is not None and key in n.node.labels}
    found = (views.domain(DomainName(key, value)) for value in sorted(values))
    return (domain for domain in found if domain is not None)


@dataclass(frozen=True, slots=True)
class DomainsAsIf:
    """All domains of one topology key; `changed`: by value, those that differ from `domains`."""

    domains: DomainSet
    changed: Mapping[str, DomainView]

    def __iter__(self) -> Iterator[DomainView]:
        return (self.changed.get(d.name.value, d) for d in self.domains)


class WhatIf:
    """The cluster without these pods, and without the holds of these groups.

    `owner`: the group to be planned; its own reservation is not in its way, and the domains of its
    holds stay its own. `heeds_turns`: False opens the nodes that earlier groups wait for.
    `no_groups`: without all groups and the room of their pods.
    """

    def __init__(
        self,
        views: "ClusterSnapshot | WhatIf",
        pods: PodsByNode = _NO_PODS,
        groups: frozenset[GroupId] = _NOBODY,
        *,
        owner: GroupId | None = None,
        heeds_turns: bool = True,
        no_groups: bool = False,
    ) -> None:
        self._views = views
        self._pods = pods
        self._gone = groups
        self._released = groups if owner is None else groups | {owner}
        self._heeds_turns = heeds_turns
        self._no_groups = no_groups
        self._nodes: dict[NodeName, NodeView] = {}
        self._domains: dict[DomainName, DomainView] = {}

    def node_view(self, name: NodeName) -> NodeView | None:
        known = self._nodes.get(name)
        if known is None:
            view = self._views.node_view(name)
            return None if view is None else self._seen(view)
        return known

    def node_views(self) -> Sequence[NodeView]:
        return [self._seen(view) for view in self._views.node_views()]

    @property
    def actual(self) -> ClusterSnapshot:
        """The cluster as it is."""
        return self._views.actual

    @property
    def placed_pods(self) -> PlacedPods:
        """Of the actual cluster; `gone` says which of them are not there."""
        return self._views.placed_pods

    @property
    def gone(self) -> Gone:
        """With `no_groups`, too, the pods of groups stay."""
        gone = self._what_is_gone
        return self._views.gone if gone is None else self._views.gone.plus(gone)

    @property
    def storage(self) -> Storage:
        return self._views.storage

    @property
    def volume_users(self) -> VolumeUsers:
        """With `no_groups`, too, the pods of groups keep their volumes."""
        gone = self._what_is_gone
        users = self._views.volume_users
        return users if gone is None else VolumeUsersWithout(users, gone)

    @property
    def devices(self) -> Devices:
        """With `no_groups`, too, the pods of groups keep their devices."""
        gone = self._what_is_gone
        devices = self._views.devices
        return devices if gone is None else devices.without(gone)

    @property
    def _what_is_gone(self) -> Gone | None:
        uids = frozenset[str]().union(*self._pods.values())
        return Gone(uids, self._released) if uids or self._released else None

    def node_view_without(self, name: NodeName, uids: frozenset[str]) -> NodeView | None:
        """The node with these pods gone as well."""
        view = self._views.node_view_without(name, uids | self._pods.get(name, frozenset()))
        return None if view is None else self._claimed(view)

    def domain(self, name: DomainName) -> DomainView | None:
        known = self._domains.get(name)
        if known is None:
            view = self._views.domain(name)
            if view is None:
                return None
            known = self._domains[name] = self._domain_seen(view)
        return known

    def domains(self, key: str) -> DomainsAsIf:
        """O(domains that changed); all domains with `no_groups`, or if turns are not heeded."""
        found = self._views.domains(key)
        before = found if isinstance(found, DomainsAsIf) else DomainsAsIf(found, {})
        domains = before.domains
        values = {*before.changed, *(v for g in self._released for v in domains.owned_by(g))}
        values |= {d.name.value for d in domains_around(self._pods, key, self._views)}
        if self._no_groups or (domains.awaited and not self._heeds_turns):
            values |= {d.name.value for d in domains}
        changed = {value: self.domain(DomainName(key, value)) for value in sorted(values)}
        return DomainsAsIf(
            domains,
            {v: d for v, d in changed.items() if d is not None and d is not domains.get(v)},
        )

    def _seen(self, view: NodeView) -> NodeView:
        """`view`: the node in `self._views`."""
        name = view.node.name
        known = self._nodes.get(name)
        if known is None:
            uids = self._pods.get(name)
            without = self._views.node_view_without(name, uids) if uids else view
            known = self._nodes[name] = self._claimed(without or view)
        return known

    def _claimed(self, view: NodeView) -> NodeView:
        view = view.without_groups() if self._no_groups else view.without(self._released)
        if view.awaited and not self._heeds_turns:
            return replace(view, awaited=frozenset[Turn]())
        return view

    def _domain_seen(self, view: DomainView) -> DomainView:
        nodes = tuple(map(self._seen, view.nodes))
        holders, overlapping = frozenset[Claim](), frozenset[Claim]()
        if not self._no_groups:
            holders = claims_without(view.holders, self._gone)
            overlapping = claims_without(view.overlapping, self._gone)
        if (
            holders is view.holders
            and overlapping is view.overlapping
            and all(now is before for now, before in zip(nodes, view.nodes, strict=True))
        ):
            return view
        awaited = frozenset[Turn]().union(*(n.awaited for n in nodes)) if view.awaited else ()
        occupants = frozenset[Claim]().union(*(n.groups for n in nodes)) if view.occupants else ()
        return DomainView(
            name=view.name,
            nodes=nodes,
            holders=holders,
            overlapping=overlapping,
            occupants=frozenset(occupants),
            awaited=frozenset(awaited),
        )
