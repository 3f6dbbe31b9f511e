"""Nodes, their occupants and the domains they form; only views that changed are rebuilt.

Costs: an event on a pod or node is O(1) plus one dirty mark per topology key in use. A query for
the domains of a key rebuilds the dirty ones (O(nodes in them)) and keeps the others; a returning
reader learns which were rebuilt. A reader can also ask which nodes changed.
"""

from collections.abc import Hashable, Iterable, Iterator, Mapping

from lws_placement.cluster.cache.devices.device_index import DeviceIndex
from lws_placement.cluster.cache.storage import StorageIndex
from lws_placement.engine.base.lru import LruCache
from lws_placement.engine.base.nested import DictOfDicts, DictOfSets, Tally
from lws_placement.engine.base.quantities import minus, total
from lws_placement.engine.fit.node_filters import why_not_static
from lws_placement.engine.model.exclusivity import Claim, unreadable
from lws_placement.engine.model.groups import GroupId, Occupant
from lws_placement.engine.model.placed_pods import Gone, NoPlacedPods, PlacedPods
from lws_placement.engine.model.pods import HostPort
from lws_placement.engine.model.queue_order import Turn
from lws_placement.engine.model.reservation import Hold, is_full, lease_name, promised_on
from lws_placement.engine.model.snapshot import (
    Changes,
    DomainSet,
    DomainView,
    NodeFollower,
    NodeView,
)
from lws_placement.engine.model.workload import DaemonSetInfo
from lws_placement.engine.objects.nodes import DomainName, Node
from lws_placement.engine.objects.placement_request import Scope
from lws_placement.engine.objects.topology_policy import TopologyPolicy

_ANY_AMOUNT = 2**62


class TopologyIndex:
    """For one event loop. `headroom` stays free on every node, in addition to what pods request."""

    def __init__(
        self, *, headroom: Mapping[str, int] | None = None, policy: TopologyPolicy | None = None
    ) -> None:
        self._headroom = dict(headroom or {})
        self.policy = policy or TopologyPolicy()
        self._nodes: dict[str, Node] = {}
        self._occupants = DictOfDicts[str, str, Occupant]()
        self._owners = DictOfDicts[str, str, str]()
        self._daemon_sets: dict[str, DaemonSetInfo] = {}
        self._views: dict[str, NodeView] = {}
        self._labels = Tally[str]()
        """Label key -> nodes that carry it. Keys of no node have no index: users name any."""
        self._members: dict[str, DictOfSets[str, str]] = {}
        self._domains: dict[str, DomainSet] = {}
        self._no_domains = DomainSet()
        self._dirty: dict[str, set[str]] = {}
        self._holds = DictOfDicts[DomainName, GroupId, Hold]()
        self._kinds = Tally[tuple[str, Scope]]()
        self._anywhere = DictOfDicts[str, DomainName, Hold]()
        """Node -> holds without a domain that have members on it."""
        self._awaited_by: dict[GroupId, tuple[Turn, frozenset[str]]] = {}
        self._awaited = DictOfSets[str, Turn]()
        self.placed_pods: PlacedPods = NoPlacedPods()
        """The pods that rules about other pods are checked against."""
        self.gone = Gone()
        self.storage = self.volume_users = StorageIndex(lambda: ())
        self.devices = DeviceIndex(self)
        self._by_devices: frozenset[str] = frozenset()
        self.node_indexes: LruCache[Hashable, NodeFollower] = LruCache()
        self.node_changes = Changes()
        """Names of nodes with any change, including changes of the holds on them."""
        self._shut: set[str] = set()
        """Names of unreadable Leases; a name is a hash of the domain."""

    # -- changes ---------------------------------------------------------------------------------

    def put_node(self, node: Node) -> None:
        old = self._nodes.get(node.name)
        if old is not None and dict(old.labels) != dict(node.labels):
            self._unlink(old)
            old = None
        if old is None:
            for key in node.labels:
                self._labels.change(key, 1)
        self._nodes[node.name] = node
        for key, members in self._members.items():
            value = node.labels.get(key)
            if value is not None:
                members.add(value, node.name)
        self.touch(node.name)

    def drop_node(self, name: str) -> None:
        node = self._nodes.get(name)
        if node is None:
            return
        self.touch(name)
        self._unlink(node)
        del self._nodes[name]
        self._views.pop(name, None)

    def put_occupant(self, node: str, occupant: Occupant, *, owner_uid: str) -> None:
        self._occupants.put(node, occupant.uid, occupant)
        self._owners.put(node, occupant.uid, owner_uid)
        self.touch(node)

    def drop_occupant(self, node: str, uid: str) -> None:
        if self._occupants.drop(node, uid) is not None:
            self._owners.drop(node, uid)
            self.touch(node)

    def set_daemon_sets(self, daemon_sets: Iterable[DaemonSetInfo]) -> None:
        self._daemon_sets = {d.uid: d for d in daemon_sets}
        for name in self._nodes:
            self.touch(name)

    def last_change_of(self, name: str) -> int:
        return self.node_changes.last_of(name)

    def serve_by_devices(self, resources: frozenset[str]) -> None:
        """Extended resources that nodes without them get from devices: rules about devices tell how
        much, so there is room for any amount. O(nodes) if these are others than before.
        """
        if resources != self._by_devices:
            self._by_devices = resources
            for name in self._nodes:
                self.touch(name)

    def put_hold(self, hold: Hold) -> None:
        if hold.domain.anywhere:
            self.drop_hold(hold.domain, hold.group)
            for name in hold.nodes.values():
                self._anywhere.put(name, hold.domain, hold)
        self._count_kind(self._holds.put(hold.domain, hold.group, hold), -1)
        self._count_kind(hold, 1)
        self._touch_held(hold)

    def drop_hold(self, domain: DomainName, group: GroupId) -> None:
        hold = self._holds.drop(domain, group)
        if hold is None:
            return
        self._count_kind(hold, -1)
        for name in hold.nodes.values() if domain.anywhere else ():
            self._anywhere.drop(name, domain)
        self._touch_held(hold)

    def await_room(self, turn: Turn, nodes: frozenset[str]) -> None:
        """The group waits for exactly these nodes; with no nodes it stops waiting."""
        group = turn[2]
        nobody = turn, frozenset[str]()
        before, known = self._awaited_by.pop(group, nobody)
        if nodes:
            self._awaited_by[group] = (turn, nodes)
        if (before, known) == (turn, nodes):
            return
        for name in known:
            self._awaited.discard(name, before)
            self.touch(name)
        for name in nodes:
            self._awaited.add(name, turn)
            self.touch(name)

    def awaiting(self) -> list[Turn]:
        """Turns of the groups that wait for nodes of their own, sorted."""
        return sorted(turn for turn, _ in self._awaited_by.values())

    def are_crossed(self, key: str) -> bool:
        """True if domains of `key` may have other holds than one that takes a whole domain of
        `key`: holds of another key, or holds that share a domain.
        """
        return any(kind != (key, Scope.CLUSTER) for kind in self._kinds)

    def shut(self, lease: str) -> None:
        """Marks a hold as unreadable: its domain is not free, whatever its holder."""
        self._shut.add(lease)
        self._touch_hashed(lease)

    def open(self, lease: str) -> bool:
        """Marks it as readable again, or gone. Returns whether it was shut."""
        if lease not in self._shut:
            return False
        self._shut.discard(lease)
        self._touch_hashed(lease)
        return True

    def _touch_hashed(self, lease: str) -> None:
        for key, members in self._members.items():
            for value in members:
                if lease_name(DomainName(key, value)) == lease:
                    for name in members[value]:
                        self.touch(name)

    # -- questions -------------------------------------------------------------------------------

    @property
    def actual(self) -> "TopologyIndex":
        return self

    @property
    def most_nodes(self) -> int:
        """Nodes of a domain beyond which a group has to fill it; 0: any number."""
        return self.policy.most_nodes(len(self._nodes))

    def node(self, name: str) -> Node | None:
        return self._nodes.get(name)

    def label_known(self, key: str) -> bool:
        """True if any node carries the label `key`."""
        return self._labels[key] > 0

    def node_view(self, name: str) -> NodeView | None:
        node = self._nodes.get(name)
        if node is None:
            return None
        view = self._views.get(name)
        if view is None:
            view = self._views[name] = self._build_node(node)
        return view

    def node_view_without(self, name: str, uids: frozenset[str]) -> NodeView | None:
        """The node as if the pods `uids` were already gone."""
        node = self._nodes.get(name)
        return None if node is None else self._build_node(node, without=uids)

    def occupants_on(self, name: str) -> list[Occupant]:
        """Pods that are bound to the node and not finished."""
        return list(self._occupants[name].values())

    def holds_on(self, name: str) -> list[Hold]:
        """Holds of any key whose domain includes the node, and holds without a domain that have
        members on it.
        """
        node = self._nodes.get(name)
        if node is None:
            return []
        found = list(self._anywhere[name].values())
        for key in sorted({key for key, _ in self._kinds}):
            value = node.labels.get(key)
            if value is not None:
                found += self._holds[DomainName(key, value)].values()
        return found

    def names(self) -> list[str]:
        """Of every node, sorted."""
        return sorted(self._nodes)

    def node_views(self) -> list[NodeView]:
        """Every node, by name. O(nodes)."""
        views = (self.node_view(name) for name in sorted(self._nodes))
        return [view for view in views if view is not None]

    def nodes_of(self, domain: DomainName) -> frozenset[str]:
        return frozenset(self._index(domain.key)[domain.value])

    def domain(self, domain: DomainName) -> DomainView | None:
        """None if no node has that label value."""
        if domain.value not in self._index(domain.key):
            return None
        if domain.value in self._dirty[domain.key]:
            self._rebuild(domain)
        return self._domains[domain.key].get(domain.value)

    def domains(self, key: str) -> DomainSet:
        """Every domain of a topology key: the same DomainSet each time, brought up to date."""
        values = self._index(key)
        if key not in self._domains:
            return self._no_domains
        for value in sorted(self._dirty[key]):
            if value in values:
                self._rebuild(DomainName(key, value))
        return self._domains[key]

    # -- inside ----------------------------------------------------------------------------------

    def _index(self, key: str) -> DictOfSets[str, str]:
        """Value -> node names; built on the first query of a key, maintained afterwards."""
        members = self._members.get(key)
        if members is None and not self.label_known(key):
            return DictOfSets()
        if members is None:
            members = self._members[key] = DictOfSets()
            self._domains[key] = DomainSet()
            for node in self._nodes.values():
                value = node.labels.get(key)
                if value is not None:
                    members.add(value, node.name)
            self._dirty[key] = set(members)
        return members

    def _unlink(self, node: Node) -> None:
        self.touch(node.name)
        for key in node.labels:
            self._labels.change(key, -1)
        for key, members in self._members.items():
            value = node.labels.get(key)
            if value is None:
                continue
            members.discard(value, node.name)
            if value not in members:
                self._domains[key].drop(value)
                self._dirty[key].discard(value)

    def touch(self, name: str) -> None:
        """Something about the node has changed."""
        self._views.pop(name, None)
        node = self._nodes.get(name)
        if node is None:
            return
        self.node_changes.note(name)
        for key, dirty in self._dirty.items():
            value = node.labels.get(key)
            if value is not None:
                dirty.add(value)

    def _count_kind(self, hold: Hold | None, number: int) -> None:
        if hold is not None:
            self._kinds.change((hold.domain.key, hold.scope), number)

    def _touch_held(self, hold: Hold) -> None:
        domain = hold.domain
        anywhere = domain.anywhere
        for name in hold.nodes.values() if anywhere else self._index(domain.key)[domain.value]:
            self.touch(name)

    def _rebuild(self, domain: DomainName) -> None:
        self._domains[domain.key].put(self._build_domain(domain))
        self._dirty[domain.key].discard(domain.value)

    def _build_node(self, node: Node, *, without: frozenset[str] = frozenset()) -> NodeView:
        occupants = self._occupants[node.name]
        kept = [o for o in occupants.values() if o.uid not in without]
        ports: set[HostPort] = {p for o in kept for p in o.demand.host_ports}
        used = total(dict(o.demand.resources) for o in kept)
        coming = self._daemons_to_come(node)
        holds = self.holds_on(node.name)
        members = {(o.group, o.rank) for o in kept}
        promised = promised_on(node.name, holds, members) if holds else {}
        free = minus(minus(minus(node.allocatable, used), coming), self._headroom)
        free |= {r: _ANY_AMOUNT for r in self._by_devices if not node.allocatable.get(r)}
        return NodeView(
            node=node,
            free=minus(free, total(promised.values())) if promised else free,
            ports=frozenset(ports),
            of_groups=_of_groups(kept, promised),
            awaited=frozenset(self._awaited[node.name]),
            groups=frozenset(Claim(o.group, o.scope) for o in kept if o.group is not None),
            holders=frozenset({*(h.claim for h in holds), *self._unreadable_on(node)}),
            promised=promised,
        )

    def _daemons_to_come(self, node: Node) -> Mapping[str, int]:
        if not self._daemon_sets:
            return {}
        there = set(self._owners[node.name].values())
        return total(
            dict(daemon.demand.resources)
            for uid, daemon in self._daemon_sets.items()
            if uid not in there and why_not_static(daemon.demand, node) is None
        )

    def _unreadable_on(self, node: Node) -> Iterator[Claim]:
        if not self._shut:
            return
        for key in self._members:
            value = node.labels.get(key)
            lease = lease_name(DomainName(key, value)) if value is not None else ""
            if lease in self._shut:
                yield unreadable(lease)

    def _build_domain(self, domain: DomainName) -> DomainView:
        views = []
        holders = {h.claim for h in self._holds[domain].values()}
        if self._shut and lease_name(domain) in self._shut:
            holders.add(unreadable(lease_name(domain)))
        overlapping: set[Claim] = set()
        occupants: set[Claim] = set()
        for name in sorted(self._members[domain.key][domain.value]):
            view = self.node_view(name)
            if view is None:
                continue
            views.append(view)
            occupants |= view.groups
            overlapping |= view.holders
        return DomainView(
            name=domain,
            nodes=tuple(views),
            holders=frozenset(holders),
            overlapping=frozenset(overlapping - holders),
            awaited=frozenset().union(*(view.awaited for view in views)),
            occupants=frozenset(occupants),
            full=is_full(self._holds[domain].values()),
        )


def _of_groups(
    occupants: Iterable[Occupant], promised: Mapping[GroupId, Mapping[str, int]]
) -> Mapping[str, int]:
    """What members of groups take of the node, bound or still to come."""
    bound = [dict(o.demand.resources) for o in occupants if o.group is not None]
    return total((*bound, *promised.values())) if bound or promised else {}
