"""Pods that have a node, as rules about other pods see them (`pod_rules.py`).

That includes members on their way: kube-scheduler counts them once they are bound, so a plan that
comes after theirs counts them, too.
"""

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from lws_placement.engine.base.lru import LruCache
from lws_placement.engine.model.change_log import ChangeLog
from lws_placement.engine.model.groups import GroupId
from lws_placement.engine.objects.devices.claims import ClaimRef
from lws_placement.engine.objects.label_terms import selects
from lws_placement.engine.objects.nodes import NodeName
from lws_placement.engine.objects.pod_rules import PodTerm, Selector
from lws_placement.engine.objects.pod_volumes import ClaimSpec, PodVolume

PodKey = Hashable
"""UID of a bound pod; group and rank of a member on its way."""


@dataclass(frozen=True, slots=True)
class PlacedPod:
    uid: str
    """Empty for a member on its way."""
    namespace: str
    name: str
    labels: Mapping[str, str]
    node: NodeName
    terminating: bool = False
    anti_affinity: tuple[PodTerm, ...] = ()
    """Its required anti-affinity terms, which keep other pods away."""
    promised_to: GroupId | None = None
    """For a member on its way: its group."""
    volumes: tuple[PodVolume, ...] = ()
    """Of a member on its way."""
    claims: tuple[tuple[str, ClaimSpec], ...] = ()
    """Claim templates of a member on its way, by name."""
    pending_uid: str = ""
    """Of a member on its way, if it exists."""
    device_claims: tuple[ClaimRef, ...] = ()
    """Of a member on its way."""
    claim_names: tuple[tuple[str, str], ...] = ()
    """Of a member on its way that exists: claims that were made for it."""
    resources: tuple[tuple[str, int], ...] = ()
    """That a member on its way requests."""

    def __hash__(self) -> int:
        return hash((self.uid, self.name))


@dataclass(frozen=True, slots=True)
class Selected:
    """A question: the pods that every selector matches, each in its own namespaces (None: any)."""

    by: tuple[tuple[frozenset[str] | None, Selector], ...]
    living: bool = False
    """Terminating pods do not count."""

    def takes(self, pod: PlacedPod) -> bool:
        if self.living and pod.terminating:
            return False
        return all(
            (namespaces is None or pod.namespace in namespaces) and selects(selector, pod.labels)
            for namespaces, selector in self.by
        )

    @property
    def namespaces(self) -> frozenset[str] | None:
        """In which such pods can be."""
        some = [namespaces for namespaces, _ in self.by if namespaces is not None]
        return frozenset.intersection(*some) if some else None


@dataclass(frozen=True, slots=True)
class Carriers:
    """A question: the pods of a namespace that carry this required anti-affinity term."""

    namespace: str
    term: PodTerm

    def takes(self, pod: PlacedPod) -> bool:
        return pod.namespace == self.namespace and self.term in pod.anti_affinity

    @property
    def namespaces(self) -> frozenset[str]:
        return frozenset({self.namespace})


Question = Selected | Carriers


@dataclass(frozen=True, slots=True)
class Gone:
    """What a hypothetical state leaves out: these pods, and what these groups hold."""

    uids: frozenset[str] = frozenset()
    groups: frozenset[GroupId] = frozenset()

    def leaves(self, uid: str, promised_to: GroupId | None) -> bool:
        """Whether a pod, or a member on its way to its group's room, is still there."""
        return uid not in self.uids if promised_to is None else promised_to not in self.groups

    def plus(self, other: "Gone") -> "Gone":
        return Gone(self.uids | other.uids, self.groups | other.groups)


_NOTHING = Gone()


class PodFollower(Protocol):
    """An index of pods that follows their changes."""

    def follow(self) -> None:
        """Apply changes."""

    def __len__(self) -> int:
        """Pods in it."""


class PlacedPods(Protocol):
    """All pods with a node, bound and unfinished, or on their way."""

    indexes: LruCache[Hashable, PodFollower]
    """Indexes of pods that rules made, by question."""

    @property
    def changes(self) -> ChangeLog[tuple[str, PodKey]]:
        """Namespace and key of each pod that changed."""

    def get(self, namespace: str, key: PodKey) -> PlacedPod | None: ...
    def find(self, question: Question) -> Iterable[tuple[PodKey, PlacedPod]]:
        """O(pods of its namespaces), or O(its result) for `Carriers`."""

    def repelling(self, namespace: str) -> Iterable[Carriers]:
        """Who keeps pods of the namespace away by required anti-affinity."""

    def namespaces(self, selector: Selector) -> frozenset[str]:
        """The namespaces whose labels match."""


class NoPlacedPods:
    """Of a cluster without pods."""

    def __init__(self) -> None:
        self.indexes = LruCache[Hashable, PodFollower]()
        self.changes = ChangeLog[tuple[str, PodKey]]()

    def get(self, namespace: str, key: PodKey) -> PlacedPod | None:
        return None

    def find(self, question: Question) -> Iterable[tuple[PodKey, PlacedPod]]:
        return ()

    def repelling(self, namespace: str) -> Iterable[Carriers]:
        return ()

    def namespaces(self, selector: Selector) -> frozenset[str]:
        return frozenset()
