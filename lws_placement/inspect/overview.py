"""The state of all domains and of the queue: what `status` shows."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from lws_placement.cluster.cache.cluster_cache import ClusterCache
from lws_placement.engine.fit.fragmentation import DomainState, state_of
from lws_placement.engine.model.failure_history import FailureHistory
from lws_placement.engine.model.groups import GroupId
from lws_placement.engine.model.hold_states import HoldState
from lws_placement.engine.model.reservation import Hold
from lws_placement.engine.model.snapshot import DomainView, NodeView
from lws_placement.inspect.inquiry import Answer, Inquiry


@dataclass(frozen=True, slots=True)
class Holder:
    """A group with a hold; `bound` of `size` pods are bound."""

    name: str
    state: HoldState
    bound: int
    size: int


@dataclass(frozen=True, slots=True)
class DomainLine:
    name: str
    state: DomainState
    nodes: int
    usable: int
    """Nodes that are ready and not cordoned."""
    room: Mapping[str, tuple[int, int]]
    """Guarded resource -> (free, all there is) on usable nodes."""
    holders: tuple[Holder, ...]


@dataclass(frozen=True, slots=True)
class KeyOverview:
    key: str
    domains: tuple[DomainLine, ...]

    def count(self, state: DomainState) -> int:
        return sum(domain.state is state for domain in self.domains)


@dataclass(frozen=True, slots=True)
class Overview:
    keys: tuple[KeyOverview, ...]
    anywhere: tuple[Holder, ...]
    """Groups with a hold of no domain."""
    waiting: tuple[Answer, ...]
    """In order of their turns; not all, if there are many."""
    queue: int
    """How many wait."""


def overview(
    cache: ClusterCache,
    *,
    guarded: Sequence[str],
    most: int,
    failures: Mapping[GroupId, FailureHistory],
) -> Overview:
    """Domains of the topology keys in use, and the queue. O(nodes of these domains)."""
    inquiry = Inquiry(cache, failures=failures)
    inquiry.rehearse()

    def holder(hold: Hold) -> Holder:
        pods = cache.group_pods(hold.group)
        bound = sum(p.node is not None and not p.finished for p in pods)
        return Holder(inquiry.name_of(hold.group), hold.state, bound, hold.size)

    keys = []
    for key in cache.topology_keys():
        views = sorted(cache.domains.domains(key), key=lambda view: view.name)
        lines = (_line(view, guarded, map(holder, cache.holds_in(view.name))) for view in views)
        keys.append(KeyOverview(key, tuple(lines)))
    loose = [hold for hold in cache.holds() if hold.domain.anywhere]
    return Overview(
        keys=tuple(keys),
        anywhere=tuple(map(holder, loose)),
        waiting=tuple(inquiry.about(group) for group in inquiry.queue[:most]),
        queue=len(inquiry.queue),
    )


def _line(view: DomainView, guarded: Sequence[str], holders: Iterable[Holder]) -> DomainLine:
    usable = [n for n in view.nodes if n.node.ready and not n.node.unschedulable]
    return DomainLine(
        name=view.name.value,
        state=state_of(view, frozenset(guarded)),
        nodes=len(view.nodes),
        usable=len(usable),
        room={name: _room(name, usable) for name in guarded if _is_there(name, view.nodes)},
        holders=tuple(holders),
    )


def _is_there(resource: str, nodes: Sequence[NodeView]) -> bool:
    return any(n.node.allocatable.get(resource, 0) for n in nodes)


def _room(resource: str, nodes: Sequence[NodeView]) -> tuple[int, int]:
    free = sum(max(n.free.get(resource, 0), 0) for n in nodes)
    return free, sum(n.node.allocatable.get(resource, 0) for n in nodes)
