"""What one decision sees: domains of one topology key, with what is used, held and occupied in
them.

Views are immutable. `cluster/cache.py` rebuilds a `NodeView` or `DomainView` only when something in
it changed and gives it a new `version`, so (shape of a demand, domain, version) identifies an
answer and a plan for one group computes afresh only what changed since the last one.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from lws_placement.engine.model import DomainName, GroupId, HostPort, Node


@dataclass(frozen=True, slots=True)
class NodeView:
    """A node and what is left of it.

    `free`: allocatable less the demands of all bound, unfinished pods, less headroom and DaemonSet
    pods still to come; may be negative. `ports`: host ports taken. `groups`: exclusive groups that
    have bound pods here.
    """

    node: Node
    free: Mapping[str, int]
    ports: frozenset[HostPort] = frozenset()
    groups: frozenset[GroupId] = frozenset()


@dataclass(frozen=True, slots=True)
class DomainView:
    """A domain, its nodes in name order, and whose it is.

    `holders`: groups with a hold on this very domain. `overlapping`: groups with a hold on a domain
    of another key that shares nodes with this one. `occupants`: exclusive groups with bound pods on
    its nodes, with or without a hold.
    `version` grows with every change of any of these.
    """

    name: DomainName
    nodes: tuple[NodeView, ...]
    holders: frozenset[GroupId] = frozenset()
    overlapping: frozenset[GroupId] = frozenset()
    occupants: frozenset[GroupId] = frozenset()
    version: int = 0
