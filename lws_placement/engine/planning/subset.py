"""A part of the cluster, as what a plan is made on (`multi_domain.Where`): some of its nodes,
without some of the groups that are there.

Whose a domain is stays what it is in the whole cluster, however few of its nodes are in the part.
So a plan on a part is good in the whole cluster, too.
"""

from collections.abc import Iterable, Mapping, Sequence, Set

from lws_placement.engine.model.exclusivity import Claim
from lws_placement.engine.model.groups import GroupId
from lws_placement.engine.model.nodes import DomainName, NodeName
from lws_placement.engine.model.queue_order import Turn
from lws_placement.engine.model.snapshot import ClusterSnapshot, DomainView, NodeView


class SubsetSnapshot:
    """The nodes that `matter`, and their domains; `nodes` as they are without the groups that are
    `gone`, those around in the same domains included.
    """

    def __init__(
        self,
        views: ClusterSnapshot,
        nodes: Mapping[NodeName, NodeView],
        gone: frozenset[GroupId] = frozenset(),
        *,
        matter: Set[NodeName],
    ) -> None:
        self._views = views
        self._nodes = nodes
        self._gone = gone
        self._matter = matter
        self._domains: dict[str, list[DomainView]] = {}

    def node_views(self) -> Sequence[NodeView]:
        return [self._nodes[name] for name in sorted(self._matter)]

    def domains(self, key: str) -> Sequence[DomainView]:
        """Of each only the nodes that matter, but whose it is, as a whole."""
        if key not in self._domains:
            by_value: dict[str, list[NodeView]] = {}
            for node in self.node_views():
                if key in node.node.labels:
                    by_value.setdefault(node.node.labels[key], []).append(node)
            found = (self._domain(DomainName(key, v), by_value[v]) for v in sorted(by_value))
            self._domains[key] = list(found)
        return self._domains[key]

    def _domain(self, name: DomainName, nodes: Iterable[NodeView]) -> DomainView:
        known = self._views.domain(name)
        assert known is not None  # it has these nodes
        occupants: set[Claim] = set()
        awaited: set[Turn] = set()
        for node in known.nodes if known.awaited else ():
            awaited |= self._nodes.get(node.node.name, node).awaited
        for node in known.nodes if known.occupants else ():
            left = self._nodes.get(node.node.name, node).groups
            occupants |= rest_of(left, self._gone)
        return DomainView(
            name=name,
            nodes=tuple(nodes),
            holders=rest_of(known.holders, self._gone),
            overlapping=rest_of(known.overlapping, self._gone),
            occupants=frozenset(occupants),
            awaited=frozenset(awaited),
        )


def rest_of(claims: frozenset[Claim], gone: frozenset[GroupId]) -> frozenset[Claim]:
    if not claims or not gone:
        return claims
    return frozenset(c for c in claims if c.group not in gone)
