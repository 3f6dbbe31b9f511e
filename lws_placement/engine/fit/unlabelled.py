"""Nodes that would take members of a group but for the label that it asks for: a node pool that
somebody forgot to label. Only for groups that request extended resources; any node has cpu.
"""

from dataclasses import dataclass
from heapq import nsmallest

from lws_placement.engine.fit.node_filters import fits_node
from lws_placement.engine.model.groups import Group
from lws_placement.engine.model.snapshot import ClusterSnapshot
from lws_placement.engine.objects.nodes import NodeName

_MOST = 100


@dataclass(frozen=True, slots=True)
class _Question:
    key: str
    resource: str


class _Unlabelled:
    """Names of the nodes that have the resource and not the label; follows their changes."""

    def __init__(self, question: _Question, views: ClusterSnapshot) -> None:
        self.names: set[NodeName] = set()
        self._question = question
        self._views = views
        self._mark = 0

    def follow(self) -> None:
        """O(changed)."""
        changes, asked = self._views.node_changes, self._question
        for name in changes.since(self._mark):
            view = self._views.node_view(name)
            node = view.node if view is not None else None
            if (
                node is not None
                and asked.key not in node.labels
                and node.allocatable.get(asked.resource)
            ):
                self.names.add(name)
            else:
                self.names.discard(name)
        self._mark = changes.mark


def unlabelled_nodes(group: Group, key: str, views: ClusterSnapshot) -> int:
    """How many nodes without the label `key` have room for the member that the fewest of them have
    room for. Of very many, `_MOST` are looked at. Costs O(nodes) the first time for a key and a
    resource.
    """
    found = []
    for demand in dict.fromkeys(m.demand for m in group.members if m.fixed is None):
        resource = next((name for name, _ in demand.resources if "/" in name), "")
        if resource:
            names = nsmallest(_MOST, _names(_Question(key, resource), views))
            nodes = (views.node_view(name) for name in names)
            found.append(sum(n is not None and fits_node(demand, n) for n in nodes))
    return min(found, default=0)


def _names(question: _Question, views: ClusterSnapshot) -> set[NodeName]:
    index = views.node_indexes.get(question)
    if not isinstance(index, _Unlabelled):
        index = _Unlabelled(question, views)
        views.node_indexes.put(question, index)
    index.follow()
    return index.names
