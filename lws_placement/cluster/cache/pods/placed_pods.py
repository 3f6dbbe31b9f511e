"""Pods with a node, by namespace: what rules about other pods are checked against.

A query costs O(pods of its namespaces) once per change there; `repelling` costs O(its result).
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Protocol

from lws_placement.engine.base.lru import LruCache
from lws_placement.engine.model.groups import GroupId
from lws_placement.engine.model.placed_pods import PlacedPod, Repelling
from lws_placement.engine.model.pods import Pod
from lws_placement.engine.objects.label_terms import selects
from lws_placement.engine.objects.nodes import NodeName
from lws_placement.engine.objects.pod_rules import PodTerm, Selector

_QUERIES = 256


class OnTheirWay(Protocol):
    """Members that have a node and are not bound yet."""

    def __iter__(self) -> Iterator[PlacedPod]: ...
    def repelling(self) -> Iterable[PlacedPod]:
        """Those with required anti-affinity."""


class PlacedPodsIndex:
    """Implements `PlacedPods`."""

    def __init__(self, on_their_way: OnTheirWay) -> None:
        self._on_their_way = on_their_way
        self._pods: dict[str, dict[str, Pod]] = {}
        self._repelling = _Repelling()
        self._marks: dict[str, int] = {}
        self._mark = 0
        self._labels: dict[str, Mapping[str, str]] = {}
        self._found: LruCache[tuple[str, Selector], tuple[int, tuple[PlacedPod, ...]]] = LruCache(
            _QUERIES
        )
        self.asked = False
        """Whether a rule has ever been checked: then a change here may matter to a group."""

    # -- changes ---------------------------------------------------------------------------------

    def put(self, pod: Pod) -> bool:
        """Takes a pod in any state. True if that may change the answer to a question."""
        if pod.node is None or pod.finished:
            return self.drop(pod.namespace, pod.uid)
        there = self._pods.setdefault(pod.namespace, {})
        known, there[pod.uid] = there.get(pod.uid), pod
        now = pod.node, pod.terminating, pod.labels  # a pod's rules never change
        if known is not None and (known.node, known.terminating, known.labels) == now:
            return False
        self._repelling.drop(pod.uid)
        if pod.demand.rules is not None and pod.demand.rules.anti_affinity:
            self._repelling.put(placed(pod, pod.node))
        self._changed(pod.namespace)
        return True

    def drop(self, namespace: str, uid: str) -> bool:
        """True if the pod was there."""
        there = self._pods.get(namespace, {})
        if there.pop(uid, None) is None:
            return False
        self._repelling.drop(uid)
        if there:
            self._changed(namespace)
        else:
            del self._pods[namespace]
            self._marks.pop(namespace, None)
        return True

    def put_namespace(self, name: str, labels: Mapping[str, str]) -> bool:
        """True if its labels are new."""
        known = self._labels.get(name)
        self._labels[name] = labels
        return known != labels

    def drop_namespace(self, name: str) -> None:
        self._labels.pop(name, None)

    def _changed(self, namespace: str) -> None:
        self._mark += 1
        self._marks[namespace] = self._mark

    # -- questions -------------------------------------------------------------------------------

    def select(self, namespaces: frozenset[str] | None, selector: Selector) -> Iterator[PlacedPod]:
        self.asked = True
        for namespace in sorted(self._pods if namespaces is None else namespaces):
            yield from self._select_in(namespace, selector)
        for pod in self._on_their_way:
            if (namespaces is None or pod.namespace in namespaces) and selects(
                selector, pod.labels
            ):
                yield pod

    def repelling(self, namespace: str) -> Iterator[Repelling]:
        yield from self._repelling.aimed_at(namespace, self.namespaces)
        coming: dict[tuple[str, PodTerm], list[PlacedPod]] = {}
        for pod in self._on_their_way.repelling():
            for term in pod.anti_affinity:
                coming.setdefault((pod.namespace, term), []).append(pod)
        for (owner, term), pods in coming.items():
            if _is_aimed_at(namespace, term, owner, self.namespaces):
                yield term, pods

    def namespaces(self, selector: Selector) -> frozenset[str]:
        return frozenset(name for name, labels in self._labels.items() if selects(selector, labels))

    def _select_in(self, namespace: str, selector: Selector) -> tuple[PlacedPod, ...]:
        mark = self._marks.get(namespace)
        if mark is None:
            return ()
        known = self._found.get((namespace, selector))
        if known is not None and known[0] == mark:
            return known[1]
        there = self._pods[namespace].values()
        found = tuple(
            placed(pod, pod.node)
            for pod in there
            if pod.node is not None and selects(selector, dict(pod.labels))
        )
        self._found.put((namespace, selector), (mark, found))
        return found


class _Repelling:
    """Anti-affinity terms by the namespaces that they select; equal ones together."""

    def __init__(self) -> None:
        self._aimed: dict[str | None, dict[tuple[str, PodTerm], dict[str, PlacedPod]]] = {}
        """Namespace (None: those of a selector) -> (namespace of the pods, term) -> pods."""
        self._at: dict[str, list[tuple[str | None, tuple[str, PodTerm]]]] = {}

    def put(self, pod: PlacedPod) -> None:
        for term in pod.anti_affinity:
            which = pod.namespace, term
            for target in _targets(term, pod.namespace):
                self._aimed.setdefault(target, {}).setdefault(which, {})[pod.uid] = pod
                self._at.setdefault(pod.uid, []).append((target, which))

    def drop(self, uid: str) -> None:
        for target, which in self._at.pop(uid, ()):
            terms = self._aimed[target]
            terms[which].pop(uid, None)
            if not terms[which]:
                del terms[which]
            if not terms:
                del self._aimed[target]

    def aimed_at(
        self, namespace: str, matching: Callable[[Selector], frozenset[str]]
    ) -> Iterator[Repelling]:
        for (_, term), pods in self._aimed.get(namespace, {}).items():
            yield term, pods.values()
        for (owner, term), pods in self._aimed.get(None, {}).items():
            if _is_aimed_at(namespace, term, owner, matching):
                yield term, pods.values()


def _targets(term: PodTerm, owner: str) -> Iterable[str | None]:
    if term.namespace_selector is not None:
        return (None,)
    return term.namespaces or (owner,)


def _is_aimed_at(
    namespace: str, term: PodTerm, owner: str, matching: Callable[[Selector], frozenset[str]]
) -> bool:
    if term.namespace_selector is None:
        return namespace in (term.namespaces or (owner,))
    every = not term.namespace_selector
    return every or namespace in term.namespaces or namespace in matching(term.namespace_selector)


def placed(pod: Pod, node: NodeName, *, promised_to: GroupId | None = None) -> PlacedPod:
    """The pod on this node. `promised_to`: its group, if it is a member on its way."""
    labels = dict(pod.labels)
    rules = pod.demand.rules
    return PlacedPod(
        uid="" if promised_to is not None else pod.uid,
        namespace=pod.namespace,
        name=pod.name,
        labels=labels,
        node=node,
        terminating=pod.terminating,
        anti_affinity=rules.of(labels).anti_affinity if rules is not None else (),
        promised_to=promised_to,
        volumes=pod.demand.volumes if promised_to is not None else (),
        pending_uid=pod.uid if promised_to is not None else "",
        device_claims=pod.demand.device_claims if promised_to is not None else (),
        claim_names=pod.claim_names if promised_to is not None else (),
        resources=pod.demand.resources if promised_to is not None else (),
    )
