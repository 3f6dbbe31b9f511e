"""Node groups of a simulation: the domains that a cluster autoscaler would have to make for groups
that wait.

For one group after the other, in order of the queue: the first node group, in the order of the
files, that gives it a place, with as few of its domains as that takes. A group gets its domains
from one node group.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from lws_placement.cluster.cache.intake import Kind
from lws_placement.cluster.codec.objects import UNREADABLE
from lws_placement.engine.base.raw import Raw
from lws_placement.engine.model.snapshot import ClusterSnapshot
from lws_placement.engine.objects.nodes import DomainName
from lws_placement.errors import InvalidObjectError
from lws_placement.inspect.documents import as_stored, nodes_of


@dataclass(frozen=True, slots=True)
class MadeDomain:
    """A domain that would be made; its number of nodes; the name of the group that it is for."""

    domain: str
    nodes: int
    group: str


@dataclass(frozen=True, slots=True)
class Growth:
    """What would be made of one node group. `most`: domains."""

    node_group: str
    most: int
    made: tuple[MadeDomain, ...]


class NodeGroups:
    """`raws`: NodeGroups as `documents.py` reads them. `nodes` takes those that are made, into the
    cache of `views`.
    """

    def __init__(self, raws: Sequence[Raw], nodes: Kind, views: ClusterSnapshot) -> None:
        self._raws = raws
        self._nodes = nodes
        self._views = views
        self._made: dict[str, list[MadeDomain]] = {}
        for raw in raws:
            name = raw["metadata"]["name"]
            if name in self._made:
                raise InvalidObjectError(f"NodeGroup {name}: there are two of this name")
            self._made[name] = []

    def make_for(self, group: str, *, size: int, fits: Callable[[], bool]) -> None:
        """Makes the domains for a group of `size` members. `fits`: whether it has a place now. What
        gives it no place is taken away again.
        """
        for raw in self._raws:
            made = self._made[raw["metadata"]["name"]]
            begun = len(made)
            while len(made) < raw["most"] and len(made) - begun < size:
                made.append(self._make(raw, group))
                if fits():
                    return
            while len(made) > begun:
                for node in _nodes(raw, made.pop().domain):
                    self._nodes.drop(node)

    def growth(self) -> tuple[Growth, ...]:
        return tuple(
            Growth(name, raw["most"], tuple(self._made[name]))
            for raw in self._raws
            for name in [raw["metadata"]["name"]]
        )

    def _make(self, raw: Raw, group: str) -> MadeDomain:
        name = raw["metadata"]["name"]
        number = len(self._made[name]) + 1
        while self._exists(raw, domain := f"{name}-{number}"):
            number += 1
        try:
            for node in _nodes(raw, domain):
                self._nodes.put(node)
        except UNREADABLE as e:
            raise InvalidObjectError(f"NodeGroup {name}: cannot be understood: {e}") from e
        return MadeDomain(domain, raw["count"], group)

    def _exists(self, raw: Raw, domain: str) -> bool:
        """Whether the cluster has such a domain, or one of its nodes, already."""
        key = raw["pool"].get("key")
        if key and self._views.domain(DomainName(key, domain)) is not None:
            return True
        names = (node["metadata"]["name"] for node in _nodes(raw, domain))
        return any(self._views.node_view(name) is not None for name in names)


def _nodes(raw: Raw, domain: str) -> Iterator[Raw]:
    for number, node in enumerate(nodes_of(raw["pool"], name=domain, count=raw["count"])):
        yield as_stored(node, number=number)
