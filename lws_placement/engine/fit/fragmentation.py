"""Which domains are still whole, and where foreign pods do the least harm.

A group on exclusive topology needs a domain to itself, mostly all of it; a foreign pod on one node
of a whole domain therefore costs a group its place. What makes the difference is only *guarded*
resources (accelerators): a domain is WHOLE if nobody holds it and every node has all of them free
and may be used, HELD if a group holds it or a domain that shares nodes with it, else BROKEN.

`steering` scores a domain for a foreign pod, 0 to 8; a node whose guarded room the pod uses up gets
`FILLS` more, so that what is broken already is filled before the next domain is broken:

    0       whole: groups want it
    4       held, with room that its group does not use: the group's spare nodes
    5 to 8  broken: the more of its nodes are touched, the less is lost
    8       in no domain that any group asks for

A node in domains of several keys gets the least of their scores.

kube-scheduler may ask about thousands of nodes for every pod, so `SteeringTable` keeps the scores
of one key and reckons anew only the domains that changed, and `Scores` keeps what they come to for
pods that ask for the same; asking is one look-up per node.
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum

from lws_placement.engine.model.nodes import NodeName
from lws_placement.engine.model.snapshot import Changes, DomainSet, DomainView, NodeView

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
    """How little harm a foreign pod does in the domain. O(nodes of the domain)."""
    if domain.holders or domain.overlapping:
        return _HELD
    touched = _touched(domain, guarded)
    return _BROKEN + (OUTSIDE - _BROKEN) * touched // len(domain.nodes) if touched else _WHOLE


def fills(asked: Mapping[str, int], node: NodeView) -> bool:
    """Would a pod that asks for these guarded resources use up what the node has left of them?"""
    for name, amount in asked.items():
        if node.free.get(name, 0) > amount:
            return False
    return bool(asked)


class SteeringTable:
    """Node -> its domain's score and its view, for the domains of one key."""

    def __init__(self, domains: DomainSet, guarded: frozenset[str]) -> None:
        self.domains = domains
        self.nodes: dict[NodeName, tuple[int, NodeView]] = {}
        self.changes = Changes()
        """Of `nodes`."""
        self._guarded = guarded
        self._mark = 0
        self._names: dict[str, tuple[NodeName, ...]] = {}

    def follow(self) -> None:
        """Take in what changed: O(nodes of the domains that did)."""
        changed = self.domains.changes.since(self._mark)
        for value in changed:  # all of them first: a node may have gone from one to another
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
    """Node -> score of a pod that asks for these guarded resources, by the tables of all keys.

    Nodes in no domain are not in it.
    """

    def __init__(self, asked: Mapping[str, int], tables: Sequence[SteeringTable]) -> None:
        self.tables = tables
        self.of: dict[NodeName, int] = {}
        self._asked = asked
        self._marks = [0] * len(tables)

    def follow(self) -> None:
        """Take in what the tables have taken in: O(nodes that changed)."""
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
    """Nodes that a group cannot have wholly now; all, if pods of a group run in the domain."""
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
