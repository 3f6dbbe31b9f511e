"""A part of the cluster to plan on (`multi_domain.Where`): some of its nodes.

A domain keeps its owners of the whole cluster, however few of its nodes are in the part. So a plan
on a part is valid in the whole cluster, too.
"""

from collections.abc import Callable, Sequence, Set
from dataclasses import replace

from lws_placement.engine.model.snapshot import DomainView, NodeView
from lws_placement.engine.model.what_if import Views
from lws_placement.engine.objects.nodes import DomainName, NodeName


def no_pause() -> None:
    """For work that nothing waits for."""


class SubsetSnapshot:
    """The nodes with these `names`, and their domains. `pause`: called for each node."""

    def __init__(
        self, views: Views, names: Set[NodeName], *, pause: Callable[[], None] = no_pause
    ) -> None:
        self._pause = pause
        self._views = views
        self._names = names
        self._domains: dict[str, list[DomainView]] = {}

    def node_views(self) -> Sequence[NodeView]:
        found = []
        for name in sorted(self._names):
            self._pause()
            view = self._views.node_view(name)
            if view is not None:
                found.append(view)
        return found

    def domains(self, key: str) -> Sequence[DomainView]:
        """Each domain with only its nodes in the part, but with the owners of the whole domain."""
        if key not in self._domains:
            by_value: dict[str, list[NodeView]] = {}
            for node in self.node_views():
                if key in node.node.labels:
                    by_value.setdefault(node.node.labels[key], []).append(node)
            found = []
            for value in sorted(by_value):
                whole = self._views.domain(DomainName(key, value))
                if whole is not None:
                    found.append(replace(whole, nodes=tuple(by_value[value])))
            self._domains[key] = found
        return self._domains[key]
