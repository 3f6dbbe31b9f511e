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
"""

from collections.abc import Mapping
from enum import StrEnum

from lws_placement.engine.snapshot import DomainView, NodeView

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
    if domain.occupants or any(_touched(node, guarded) for node in domain.nodes):
        return DomainState.BROKEN
    return DomainState.WHOLE


def steering(domain: DomainView, guarded: frozenset[str]) -> int:
    """How little harm a foreign pod does in the domain."""
    match state_of(domain, guarded):
        case DomainState.WHOLE:
            return _WHOLE
        case DomainState.HELD:
            return _HELD
        case DomainState.BROKEN:
            if domain.occupants:
                return OUTSIDE  # running pods of a group shut all of it
            touched = sum(_touched(node, guarded) for node in domain.nodes)
            return _BROKEN + (OUTSIDE - _BROKEN) * touched // len(domain.nodes)


def fills(asked: Mapping[str, int], node: NodeView) -> bool:
    """Would a pod that asks for these guarded resources use up what the node has left of them?"""
    return bool(asked) and all(node.free.get(name, 0) <= n for name, n in asked.items())


def _touched(node: NodeView, guarded: frozenset[str]) -> bool:
    """A group cannot have all of the node now."""
    if node.node.unschedulable or not node.node.ready:
        return True
    room = node.node.allocatable
    return any(node.free.get(name, 0) < room.get(name, 0) for name in guarded)
