"""Where the pods of one question are, as indexes that follow the changes of pods and nodes.

A rule about other pods concerns few of them, or all of a large set; a plan must not walk over them
each time. So an index lasts from plan to plan and applies what changed. A rule keeps a *view* of
it, which is equal to another one only as long as the pods are in the same domains; what it tells is
that of its last change.

Costs O(1) for each changed pod and node; the first time O(pods of the namespaces). The indexes that
are kept hold a bounded number of pods together.
"""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field

from lws_placement.engine.base.nested import DictOfDicts, DictOfSets
from lws_placement.engine.model.groups import GroupId
from lws_placement.engine.model.placed_pods import (
    Gone,
    PlacedPod,
    PlacedPods,
    PodFollower,
    PodKey,
    Question,
)
from lws_placement.engine.model.snapshot import ClusterSnapshot
from lws_placement.engine.objects.nodes import NodeName

MOST_KEPT = 200_000
"""Pods in all indexes together, beyond the one asked last."""


class PodsByNode:
    """The pods of one question."""

    def __init__(self, question: Question, pods: PlacedPods) -> None:
        self._question = question
        self._pods = pods
        self._mark: int | None = None
        self.at = DictOfDicts[NodeName, PodKey, PlacedPod]()
        self._nodes: dict[PodKey, NodeName] = {}
        self._of_group = DictOfSets[GroupId, PodKey]()

    def follow(self) -> set[NodeName]:
        """Applies changes; returns the nodes whose pods may differ."""
        changes = self._pods.changes
        changed = changes.since(self._mark)
        touched: set[NodeName] = set()
        if changed is None:
            for key in list(self._nodes):
                touched.add(self._drop(key))
            for key, pod in self._pods.find(self._question):
                self._put(key, pod)
                touched.add(pod.node)
        else:
            for namespace, key in dict.fromkeys(changed):
                touched |= self._look_again(namespace, key)
        self._mark = changes.mark
        return touched

    def of(self, gone: Gone) -> frozenset[PodKey]:
        """Those of them that are gone."""
        uids = frozenset(uid for uid in gone.uids if uid in self._nodes)
        return uids.union(*(self._of_group[group] for group in gone.groups))

    def node_of(self, key: PodKey) -> NodeName:
        return self._nodes[key]

    def __len__(self) -> int:
        return len(self._nodes)

    def _look_again(self, namespace: str, key: PodKey) -> set[NodeName]:
        touched = {self._drop(key)} if key in self._nodes else set()
        within = self._question.namespaces
        pod = self._pods.get(namespace, key) if within is None or namespace in within else None
        if pod is not None and self._question.takes(pod):
            self._put(key, pod)
            touched.add(pod.node)
        return touched

    def _put(self, key: PodKey, pod: PlacedPod) -> None:
        self._nodes[key] = pod.node
        self.at.put(pod.node, key, pod)
        if pod.promised_to is not None:
            self._of_group.add(pod.promised_to, key)

    def _drop(self, key: PodKey) -> NodeName:
        node = self._nodes.pop(key)
        pod = self.at.drop(node, key)
        if pod is not None and pod.promised_to is not None:
            self._of_group.discard(pod.promised_to, key)
        return node


class PodDomains:
    """The domains of one topology key with pods of one question."""

    def __init__(
        self, question: Question, key: str, pods: PlacedPods, nodes: ClusterSnapshot
    ) -> None:
        self._key = key
        self._pods = PodsByNode(question, pods)
        self._nodes = nodes
        self._mark = nodes.node_changes.mark
        self.version = 0
        """Grows when other pods are in the domains, or in other ones."""
        self._on: dict[NodeName, tuple[str, Mapping[PodKey, str]]] = {}
        """Node with pods -> its domain, and their names."""
        self.names = DictOfDicts[str, PodKey, str]()
        """Domain -> names of its pods."""
        self._first: dict[str, str] = {}
        """Domain -> the first name, where it is known."""

    def follow(self) -> None:
        """Apply changes."""
        touched = self._pods.follow()
        changes = self._nodes.node_changes
        touched.update(name for name in changes.since(self._mark) if self._pods.at[name])
        self._mark = changes.mark
        found = {name: self._names_on(name) for name in touched}
        changed = {name: now for name, now in found.items() if now != self._on.get(name)}
        before = {name: self._on.pop(name, None) for name in changed}
        # A member on its way may have gone from one node to another of the same domain.
        for old in before.values():
            if old is not None:
                self._take(*old)
        for name, now in changed.items():
            if now is not None:
                self._give(*now)
                self._on[name] = now
        self.version += any(_in_order(changed[n]) != _in_order(before[n]) for n in changed)

    def without(self, gone: Gone) -> "DomainsWithPods":
        return DomainsWithPods(self, self.version, self._pods.of(gone))

    def first_in(self, domain: str) -> str | None:
        """Name of a pod there, the first one."""
        names = self.names[domain]
        if not names:
            return None
        if domain not in self._first:
            self._first[domain] = min(names.values())
        return self._first[domain]

    def __len__(self) -> int:
        return len(self._pods)

    def _names_on(self, node: NodeName) -> tuple[str, Mapping[PodKey, str]] | None:
        view = self._nodes.node_view(node)
        domain = view.node.labels.get(self._key) if view is not None else None
        pods = self._pods.at[node]
        if domain is None or not pods:
            return None
        return domain, {key: f"{pod.namespace}/{pod.name}" for key, pod in pods.items()}

    def _give(self, domain: str, names: Mapping[PodKey, str]) -> None:
        for key, name in names.items():
            self.names.put(domain, key, name)
            if name < self._first.get(domain, name):
                self._first[domain] = name

    def _take(self, domain: str, names: Mapping[PodKey, str]) -> None:
        for key, name in names.items():
            self.names.drop(domain, key)
            if self._first.get(domain) == name:
                del self._first[domain]


def _in_order(found: tuple[str, Mapping[PodKey, str]] | None) -> object:
    return found and (found[0], sorted(found[1].values()))


@dataclass(frozen=True, slots=True)
class DomainsWithPods:
    """A view of an index, as if some of its pods were gone."""

    index: PodDomains
    version: int
    gone: frozenset[PodKey]
    _left: dict[str, str | None] = field(default_factory=dict, compare=False, repr=False)

    def first_in(self, domain: str) -> str | None:
        """Name of a pod there, the first one; None: there is none."""
        if not self.gone or self.gone.isdisjoint(self.index.names[domain]):
            return self.index.first_in(domain)
        if domain not in self._left:
            names = self.index.names[domain]
            left = (name for key, name in names.items() if key not in self.gone)
            self._left[domain] = min(left, default=None)
        return self._left[domain]

    @property
    def domains(self) -> frozenset[str]:
        """O(domains)."""
        if not self.gone:
            return frozenset(self.index.names)
        return frozenset(domain for domain in self.index.names if self.first_in(domain) is not None)

    def __bool__(self) -> bool:
        """Whether a pod is left."""
        return len(self.index) > len(self.gone)


def domains_with(
    question: Question, key: str, pods: PlacedPods, nodes: ClusterSnapshot
) -> PodDomains:
    """The index, up to date."""
    which = question, key
    found = pods.indexes.get(which)
    index = found if isinstance(found, PodDomains) else PodDomains(question, key, pods, nodes)
    keep(which, index, pods)
    return index


def keep(which: Hashable, index: PodFollower, pods: PlacedPods) -> None:
    """Brings the index up to date and keeps it; drops others, those asked least lately first."""
    indexes = pods.indexes
    indexes.put(which, index)
    index.follow()
    sizes = {key: len(one) for key, one in zip(indexes, indexes.values(), strict=True)}
    kept = sum(sizes.values()) - len(index)
    for key, size in sizes.items():
        if kept <= MOST_KEPT:
            break
        kept -= size
        indexes.drop(key)
