"""Which domains are still whole, and where foreign pods do the least harm.

A group with exclusive topology needs a domain to itself, mostly all of it, so a foreign pod on one
node of a whole domain costs a group its place. Only *guarded* resources (accelerators) count. A
domain is HELD if a group holds it or a domain that shares nodes with it; WHOLE if no group does and
every node is usable and has all guarded resources free; else BROKEN.

`steering` scores a domain for a foreign pod, 0 to 8. A node whose guarded resources the pod uses up
gets `FILLS` more, so that broken domains fill up before the next domain is broken:

    0       whole: groups want it
    4       held, with room that its group does not use: the group's spare nodes
    5 to 8  broken: the more nodes are touched, the less is lost
    8       in no domain that any group requests

A node in domains of several keys gets the lowest of their scores.

kube-scheduler may ask about thousands of nodes for every pod. So `SteeringTable` caches the scores
of one key and recomputes changed domains only, and `Scores` caches the results for pods with equal
requests; a query is one look-up per node.
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum

from lws_placement.engine.model.snapshot import Changes, DomainSet, DomainView, NodeView
from lws_placement.engine.objects.nodes import NodeName

FILLS = 2
OUTSIDE = 8
_WHOLE = 0
_HELD = 4
_BROKEN = 5


class DomainState(StrEnum):
    WHOLE = "whole"
    BROKEN = "broken"
    HELD = "held"


def state_of(domain: DomainView, guarded: frozenset[str]) -> DomainState:
    """O(nodes of the domain)."""
    if domain.holders or domain.overlapping:
        return DomainState.HELD
    return DomainState.BROKEN if _touched(domain, guarded) else DomainState.WHOLE


def steering(domain: DomainView, guarded: frozenset[str]) -> int:
    """Score the domain for a foreign pod: higher is less harm. O(nodes of the domain)."""
    if domain.holders or domain.overlapping:
        return _HELD
    touched = _touched(domain, guarded)
    return _BROKEN + (OUTSIDE - _BROKEN) * touched // len(domain.nodes) if touched else _WHOLE


def fills(asked: Mapping[str, int], node: NodeView) -> bool:
    """True if a pod with these guarded requests would use up what the node has left of them."""
    for name, amount in asked.items():
        if node.free.get(name, 0) > amount:
            return False
    return bool(asked)


class SteeringTable:
    """Node -> (score of its domain, node view), for the domains of one key."""

    def __init__(self, domains: DomainSet, guarded: frozenset[str]) -> None:
        self.domains = domains
        self.nodes: dict[NodeName, tuple[int, NodeView]] = {}
        self.changes = Changes()
        """Changes of `nodes`."""
        self._guarded = guarded
        self._mark = 0
        self._names: dict[str, tuple[NodeName, ...]] = {}

    def follow(self) -> None:
        """Apply changes. O(nodes of the changed domains)."""
        changed = self.domains.changes.since(self._mark)
        for value in changed:  # drop all first: a node may have moved between domains
            for name in self._names.pop(value, ()):
                self.nodes.pop(name, None)
                self.changes.note(name)
        for value in changed:
            domain = self.domains.get(value)
            if domain is None:
                continue
            score = steering(domain, self._guarded)
            self._names[value] = tuple(view.node.name for view in domain.nodes)
            for view in domain.nodes:
                self.nodes[view.node.name] = (score, view)
                self.changes.note(view.node.name)
        self._mark = self.domains.changes.mark


class Scores:
    """Node -> score for a pod with these guarded requests, from the tables of all keys.

    Nodes in no domain are absent.
    """

    def __init__(self, asked: Mapping[str, int], tables: Sequence[SteeringTable]) -> None:
        self.tables = tables
        self.of: dict[NodeName, int] = {}
        self._asked = asked
        self._marks = [0] * len(tables)

    def follow(self) -> None:
        """Apply the changes of the tables. O(nodes that changed)."""
        changed: set[NodeName] = set()
        for table, mark in zip(self.tables, self._marks, strict=True):
            changed.update(table.changes.since(mark))
        self._marks = [table.changes.mark for table in self.tables]
        for name in changed:
            found = [table.nodes[name] for table in self.tables if name in table.nodes]
            if not found:
                self.of.pop(name, None)
                continue
            least, view = min(score for score, _ in found), found[0][1]
            self.of[name] = least + FILLS if least and fills(self._asked, view) else least


def _touched(domain: DomainView, guarded: frozenset[str]) -> int:
    """Nodes that no group can have wholly now; all nodes if pods of a group run in the domain."""
    if domain.occupants:
        return len(domain.nodes)
    touched = 0
    for view in domain.nodes:
        node, free = view.node, view.free
        if node.unschedulable or not node.ready:
            touched += 1
            continue
        for name in guarded:
            if free.get(name, 0) < node.allocatable.get(name, 0):
                touched += 1
                break
    return touched
