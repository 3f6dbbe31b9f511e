"""Pods with a node, by namespace: what rules about other pods are checked against.

The indexes of `engine/rules/pods_by_node.py` follow `changes`.
"""

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from typing import Protocol

from lws_placement.engine.base.lru import LruCache
from lws_placement.engine.base.nested import DictOfDicts
from lws_placement.engine.model.change_log import ChangeLog
from lws_placement.engine.model.groups import GroupId
from lws_placement.engine.model.placed_pods import (
    Carriers,
    PlacedPod,
    PodFollower,
    PodKey,
    Question,
)
from lws_placement.engine.model.pods import Pod
from lws_placement.engine.objects.label_terms import selects
from lws_placement.engine.objects.nodes import NodeName
from lws_placement.engine.objects.pod_rules import PodTerm, Selector

Moved = Callable[[PodKey, PlacedPod | None, PlacedPod | None], None]
"""Takes a member on its way, before and after a change."""


class OnTheirWay(Protocol):
    """Members that have a node and are not bound yet."""

    told: list[Moved]
    """Called during `follow`, for each member that changed."""

    def follow(self) -> None: ...

    @property
    def may_repel(self) -> bool:
        """Whether one may have required anti-affinity."""


class PlacedPodsIndex:
    """Implements `PlacedPods`."""

    def __init__(self, on_their_way: OnTheirWay) -> None:
        self._on_their_way = on_their_way
        on_their_way.told.append(self._move)
        self._pods = DictOfDicts[str, PodKey, Pod | PlacedPod]()
        self._repelling = _Repelling()
        self._changes = ChangeLog[tuple[str, PodKey]]()
        self._labels: dict[str, Mapping[str, str]] = {}
        self.indexes = LruCache[Hashable, PodFollower]()
        self.asked = False
        """Whether a rule has ever been checked: then a change here may matter to a group."""

    # -- changes ---------------------------------------------------------------------------------

    def put(self, pod: Pod) -> bool:
        """Takes a pod in any state. True if that may change the answer to a question."""
        if pod.node is None or pod.finished:
            return self.drop(pod.namespace, pod.uid)
        known = self._pods.put(pod.namespace, pod.uid, pod)
        now = pod.node, pod.terminating, pod.labels  # a pod's rules never change
        if known is not None and (known.node, known.terminating, known.labels) == now:
            return False
        self._repelling.drop(pod.uid)
        if pod.demand.rules is not None and pod.demand.rules.anti_affinity:
            self._repelling.put(pod.uid, placed(pod, pod.node))
        self._changes.note((pod.namespace, pod.uid))
        return True

    def drop(self, namespace: str, uid: str) -> bool:
        """True if the pod was there."""
        if self._pods.drop(namespace, uid) is None:
            return False
        self._repelling.drop(uid)
        self._changes.note((namespace, uid))
        return True

    def put_namespace(self, name: str, labels: Mapping[str, str]) -> bool:
        """True if its labels are new."""
        known = self._labels.get(name)
        self._labels[name] = labels
        return known != labels

    def drop_namespace(self, name: str) -> None:
        self._labels.pop(name, None)

    def _move(self, key: PodKey, before: PlacedPod | None, now: PlacedPod | None) -> None:
        if before is not None:
            self._pods.drop(before.namespace, key)
            self._repelling.drop(key)
            self._changes.note((before.namespace, key))
        if now is not None:
            self._pods.put(now.namespace, key, now)
            self._repelling.put(key, now)
            self._changes.note((now.namespace, key))

    # -- questions -------------------------------------------------------------------------------

    @property
    def changes(self) -> ChangeLog[tuple[str, PodKey]]:
        self.asked = True
        self._on_their_way.follow()
        return self._changes

    def get(self, namespace: str, key: PodKey) -> PlacedPod | None:
        found = self._pods[namespace].get(key)
        return found if found is None else _as_placed(found)

    def find(self, question: Question) -> Iterator[tuple[PodKey, PlacedPod]]:
        self.asked = True
        self._on_their_way.follow()
        if isinstance(question, Carriers):
            yield from self._repelling.carriers(question)
            return
        within = question.namespaces
        for namespace in sorted(self._pods if within is None else within):
            for key, one in self._pods[namespace].items():
                pod = _as_placed(one)
                if question.takes(pod):
                    yield key, pod

    def repelling(self, namespace: str) -> Iterator[Carriers]:
        if self._on_their_way.may_repel:
            self._on_their_way.follow()
        yield from self._repelling.aimed_at(namespace, self.namespaces)

    def namespaces(self, selector: Selector) -> frozenset[str]:
        return frozenset(name for name, labels in self._labels.items() if selects(selector, labels))


class _Repelling:
    """Anti-affinity terms by the namespaces that they select; equal ones together."""

    def __init__(self) -> None:
        self._carriers = DictOfDicts[Carriers, PodKey, PlacedPod]()
        self._aimed = DictOfDicts[str | None, Carriers, None]()
        """Namespace (None: those of a selector) -> who has terms for it."""
        self._of: dict[PodKey, tuple[Carriers, ...]] = {}

    def put(self, key: PodKey, pod: PlacedPod) -> None:
        if not pod.anti_affinity:
            return
        self._of[key] = tuple(Carriers(pod.namespace, t) for t in dict.fromkeys(pod.anti_affinity))
        for one in self._of[key]:
            self._carriers.put(one, key, pod)
            for target in _targets(one.term, one.namespace):
                self._aimed.put(target, one, None)

    def drop(self, key: PodKey) -> None:
        for one in self._of.pop(key, ()):
            self._carriers.drop(one, key)
            if not self._carriers[one]:
                for target in _targets(one.term, one.namespace):
                    self._aimed.drop(target, one)

    def carriers(self, which: Carriers) -> Iterable[tuple[PodKey, PlacedPod]]:
        return self._carriers[which].items()

    def aimed_at(
        self, namespace: str, matching: Callable[[Selector], frozenset[str]]
    ) -> Iterator[Carriers]:
        yield from self._aimed[namespace]
        for one in self._aimed[None]:
            if _is_aimed_at(namespace, one.term, matching):
                yield one


def _targets(term: PodTerm, owner: str) -> Iterable[str | None]:
    if term.namespace_selector is not None:
        return (None,)
    return term.namespaces or (owner,)


def _is_aimed_at(
    namespace: str, term: PodTerm, matching: Callable[[Selector], frozenset[str]]
) -> bool:
    """`term`: with a selector of namespaces."""
    selector = term.namespace_selector or ()
    return not selector or namespace in term.namespaces or namespace in matching(selector)


def _as_placed(pod: Pod | PlacedPod) -> PlacedPod:
    if isinstance(pod, PlacedPod):
        return pod
    return placed(pod, pod.node or "")


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
