"""The input of one decision: domains of one topology key, and what is used, held and occupied
there.

Views are immutable. `cluster/cache/topology_index.py` rebuilds a `NodeView` or `DomainView` only
when its content changed. A `DomainSet` lists these, so a returning reader looks at them alone and a
plan for one group recomputes only what changed since the last one.
"""

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from typing import Protocol

from lws_placement.engine.base.lru import LruCache
from lws_placement.engine.base.nested import DictOfSets
from lws_placement.engine.base.quantities import plus, total
from lws_placement.engine.model.devices.source import Devices
from lws_placement.engine.model.exclusivity import Claim
from lws_placement.engine.model.groups import GroupId
from lws_placement.engine.model.placed_pods import Gone, PlacedPods
from lws_placement.engine.model.pods import HostPort
from lws_placement.engine.model.queue_order import Turn
from lws_placement.engine.model.storage import Storage, VolumeUsers
from lws_placement.engine.objects.nodes import DomainName, Node, NodeName


@dataclass(frozen=True, slots=True)
class NodeView:
    """A node and what is left of it.

    `free`: allocatable less the demands of all bound, unfinished pods, less what is promised to
    members still on their way, less headroom and DaemonSet pods still to come; may be negative.
    `promised`: the promised part, by group. `ports`: host ports in use. `groups`: claims of groups
    with bound pods here, `holders`: of groups that hold a domain around the node.
    """

    node: Node
    free: Mapping[str, int]
    ports: frozenset[HostPort] = frozenset()
    groups: frozenset[Claim] = frozenset()
    holders: frozenset[Claim] = frozenset()
    promised: Mapping[GroupId, Mapping[str, int]] = field(default_factory=dict)
    of_groups: Mapping[str, int] = field(default_factory=dict)
    """What would be free in addition if no group were here or on its way."""
    awaited: frozenset[Turn] = frozenset()
    """Groups that wait for this node; groups with a later turn stay out."""

    def without(self, groups: Set[GroupId]) -> "NodeView":
        """As if these groups held nothing; their bound pods stay."""
        holders = claims_without(self.holders, groups)
        if holders is self.holders and self.promised.keys().isdisjoint(groups):
            return self
        given_up = total(room for group, room in self.promised.items() if group in groups)
        rest = {g: room for g, room in self.promised.items() if g not in groups}
        return replace(self, free=plus(self.free, given_up), promised=rest, holders=holders)

    def without_groups(self) -> "NodeView":
        """As if no group were there or on its way."""
        free = plus(self.free, self.of_groups)
        return NodeView(self.node, free, self.ports, awaited=self.awaited)


@dataclass(frozen=True, slots=True)
class DomainView:
    """A domain, its nodes in name order, and its owners.

    `holders`: groups with a hold on this very domain. `overlapping`: groups with a hold on a domain
    of another key that shares nodes with this one. `occupants`: groups with bound pods on its
    nodes, with or without a hold.
    """

    name: DomainName
    nodes: tuple[NodeView, ...]
    holders: frozenset[Claim] = frozenset()
    overlapping: frozenset[Claim] = frozenset()
    occupants: frozenset[Claim] = frozenset()
    awaited: frozenset[Turn] = frozenset()
    full: bool = False
    """No further group may share it: its Lease lists as many members as it can."""

    @property
    def node_names(self) -> frozenset[NodeName]:
        return frozenset(view.node.name for view in self.nodes)

    @property
    def owners(self) -> frozenset[GroupId]:
        """Groups that hold, overlap or occupy it."""
        return frozenset(c.group for c in self.holders | self.overlapping | self.occupants)


def claims_without(claims: frozenset[Claim], groups: Set[GroupId]) -> frozenset[Claim]:
    """Returns `claims` itself if none of the groups is in it."""
    if any(claim.group in groups for claim in claims):
        return frozenset(c for c in claims if c.group not in groups)
    return claims


class Changes:
    """Names in the order of their last change, each once. A reader that remembers its mark gets the
    changes since then in O(changed), however many readers there are and however long they pause.
    """

    def __init__(self) -> None:
        self._at: dict[str, int] = {}
        self.mark = 0
        """Grows with every change."""

    def note(self, name: str) -> None:
        self._at.pop(name, None)
        self.mark += 1
        self._at[name] = self.mark

    def last_of(self, name: str) -> int:
        """The mark of its last change; 0 if there was none."""
        return self._at.get(name, 0)

    def since(self, mark: int) -> list[str]:
        """Latest first, including names that are gone. 0: every name ever noted."""
        found = []
        for name, at in reversed(self._at.items()):
            if at <= mark:
                break
            found.append(name)
        return found


class DomainSet:
    """All domains of one topology key; the owner keeps it up to date (`put`, `drop`)."""

    def __init__(self, views: Iterable[DomainView] = ()) -> None:
        self._views: dict[str, DomainView] = {}
        self._lent = False
        self._owned = DictOfSets[GroupId, str]()
        self.changes = Changes()
        self.awaited = 0
        """Number of domains that some group waits for."""
        for view in views:
            self.put(view)

    def put(self, view: DomainView) -> None:
        value = view.name.value
        old = self._writable().get(value)
        if old is not None:
            self._disown(old)
        self._views[value] = view
        self.awaited += bool(view.awaited)
        for owner in view.owners:
            self._owned.add(owner, value)
        self.changes.note(value)

    def drop(self, value: str) -> None:
        old = self._writable().pop(value, None)
        if old is not None:
            self._disown(old)
            self.changes.note(value)

    def get(self, value: str) -> DomainView | None:
        return self._views.get(value)

    def __iter__(self) -> Iterator[DomainView]:
        return iter(self._views.values())

    def __len__(self) -> int:
        return len(self._views)

    def has_owner(self, group: GroupId) -> bool:
        """True if the group owns (`DomainView.owners`) any domain of this key."""
        return group in self._owned

    def owned_by(self, group: GroupId) -> Iterable[str]:
        """Values of the domains that the group owns."""
        return self._owned[group]

    def lend(self) -> Mapping[str, DomainView]:
        """The current views; later changes go to a copy."""
        self._lent = True
        return self._views

    def _writable(self) -> dict[str, DomainView]:
        if self._lent:
            self._views = dict(self._views)
            self._lent = False
        return self._views

    def _disown(self, view: DomainView) -> None:
        self.awaited -= bool(view.awaited)
        for owner in view.owners:
            self._owned.discard(owner, view.name.value)


class NodeFollower(Protocol):
    """An index that follows the changes of nodes."""

    def follow(self) -> None:
        """Apply changes."""


class ClusterSnapshot(Protocol):
    """Domains and nodes as they are; `what_if.py` has the hypothetical ones."""

    node_indexes: LruCache[Hashable, NodeFollower]
    """Indexes of nodes that rules made, by question."""

    def domain(self, domain: DomainName) -> DomainView | None: ...
    def domains(self, key: str) -> DomainSet: ...
    def node_view(self, name: NodeName) -> NodeView | None: ...
    def node_views(self) -> Sequence[NodeView]: ...
    def node_view_without(self, name: NodeName, uids: frozenset[str]) -> NodeView | None:
        """As if these pods were gone."""

    def awaiting(self) -> Sequence[Turn]: ...
    @property
    def placed_pods(self) -> PlacedPods: ...
    @property
    def gone(self) -> Gone:
        """What of the placed pods is not there: nothing."""

    @property
    def storage(self) -> Storage: ...
    @property
    def volume_users(self) -> VolumeUsers: ...
    @property
    def devices(self) -> Devices: ...
    @property
    def actual(self) -> "ClusterSnapshot":
        """Itself."""

    @property
    def node_changes(self) -> Changes:
        """Nodes with a change, in the node itself or in what is on it or held on it."""
