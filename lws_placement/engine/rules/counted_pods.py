"""How many pods a topology spread constraint counts, as an index that follows the changes of pods
and nodes (`pods_by_node.py` says why).
"""

from lws_placement.engine.base.nested import Tally
from lws_placement.engine.model.placed_pods import Gone, PlacedPods, PodKey, Selected
from lws_placement.engine.model.snapshot import ClusterSnapshot
from lws_placement.engine.objects.nodes import NodeName
from lws_placement.engine.rules.counted_nodes import CountedNodes
from lws_placement.engine.rules.pods_by_node import PodsByNode, keep


class Counts:
    """Matching pods by domain and by node, without zeros."""

    def __init__(self) -> None:
        self.by_domain = Tally[str]()
        self.by_node = Tally[NodeName]()
        self.levels = Tally[int]()
        """Number of pods, above 0 -> number of domains with so many."""

    def add(self, node: NodeName, domain: str, number: int) -> None:
        """`number` may be negative."""
        before = self.by_domain[domain]
        self.by_domain.change(domain, number)
        self.by_node.change(node, number)
        for level, domains in ((before, -1), (before + number, 1)):
            if level:
                self.levels.change(level, domains)

    def copy(self) -> "Counts":
        found = Counts()
        found.by_domain, found.by_node = self.by_domain.copy(), self.by_node.copy()
        found.levels = self.levels.copy()
        return found


class CountedPods:
    """The pods of one question on nodes that count, and these nodes."""

    def __init__(
        self,
        question: Selected,
        key: str,
        counted: CountedNodes,
        *,
        pods: PlacedPods,
        nodes: ClusterSnapshot,
    ) -> None:
        self.counted = counted
        self._key = key
        self._pods = PodsByNode(question, pods)
        self._nodes = nodes
        self._mark = nodes.node_changes.mark
        self.version = 0
        """Grows when a node or a domain has another number of them."""
        self._on: dict[NodeName, tuple[str, int]] = {}
        """Node with pods -> its domain and their number."""
        self._counts = Counts()

    def follow(self) -> None:
        """Apply changes; `counted` is up to date."""
        touched = self._pods.follow()
        changes = self._nodes.node_changes
        touched.update(name for name in changes.since(self._mark) if self._pods.at[name])
        self._mark = changes.mark
        different = [self._look_at(name) for name in touched]
        self.version += any(different)

    def of(self, gone: Gone) -> frozenset[PodKey]:
        """Those of them that are gone."""
        return self._pods.of(gone)

    def without(self, gone: frozenset[PodKey]) -> Counts:
        """True until the next change. O(nodes with pods) if some are gone."""
        if not gone:
            return self._counts
        left = self._counts.copy()
        for key in gone:
            node = self._pods.node_of(key)
            if node in self._on:
                left.add(node, self._on[node][0], -1)
        return left

    def __len__(self) -> int:
        return len(self._pods)

    def _look_at(self, node: NodeName) -> bool:
        """Whether another number of pods counts there, or in another domain."""
        labels = self.counted.labels_of(node)
        number = len(self._pods.at[node])
        now = (labels[self._key], number) if labels is not None and number else None
        before = self._on.pop(node, None)
        if now is not None:
            self._on[node] = now
        if now == before:
            return False
        if before is not None:
            self._counts.add(node, before[0], -before[1])
        if now is not None:
            self._counts.add(node, *now)
        return True


def counted_pods(
    question: Selected,
    key: str,
    counted: CountedNodes,
    *,
    pods: PlacedPods,
    nodes: ClusterSnapshot,
) -> CountedPods:
    """The index, up to date."""
    which = question, key, counted
    found = pods.indexes.get(which)
    index = found if isinstance(found, CountedPods) else None
    if index is None:
        index = CountedPods(question, key, counted, pods=pods, nodes=nodes)
    keep(which, index, pods)
    return index
