"""Pods that have a node, as rules about other pods see them (`pod_rules.py`).

That includes members on their way: kube-scheduler counts them once they are bound, so a plan that
comes after theirs counts them, too.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from lws_placement.engine.model.groups import GroupId
from lws_placement.engine.objects.devices.claims import ClaimRef
from lws_placement.engine.objects.nodes import NodeName
from lws_placement.engine.objects.pod_rules import PodTerm, Selector
from lws_placement.engine.objects.pod_volumes import ClaimSpec, PodVolume


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


Repelling = tuple[PodTerm, Iterable[PlacedPod]]
"""A required anti-affinity term, and the pods that carry it."""


class PlacedPods(Protocol):
    """An index of all pods with a node, bound and unfinished, or on their way."""

    def select(self, namespaces: frozenset[str] | None, selector: Selector) -> Iterable[PlacedPod]:
        """The pods of these namespaces (None: all) that the selector matches."""

    def repelling(self, namespace: str) -> Iterable[Repelling]:
        """Required anti-affinity terms of pods that select pods of the namespace."""

    def namespaces(self, selector: Selector) -> frozenset[str]:
        """The namespaces whose labels match."""


class NoPlacedPods:
    """Of a cluster without pods."""

    def select(self, namespaces: frozenset[str] | None, selector: Selector) -> Iterable[PlacedPod]:
        return ()

    def repelling(self, namespace: str) -> Iterable[Repelling]:
        return ()

    def namespaces(self, selector: Selector) -> frozenset[str]:
        return frozenset()


@dataclass(frozen=True, slots=True)
class Gone:
    """What a hypothetical state leaves out: these pods, and what these groups hold."""

    uids: frozenset[str]
    groups: frozenset[GroupId]

    def leaves(self, uid: str, promised_to: GroupId | None) -> bool:
        """Whether a pod, or a member on its way to its group's room, is still there."""
        return uid not in self.uids if promised_to is None else promised_to not in self.groups


@dataclass(frozen=True, slots=True)
class PlacedPodsWithout:
    """The placed pods that are still there."""

    pods: PlacedPods
    gone: Gone

    def select(self, namespaces: frozenset[str] | None, selector: Selector) -> Iterable[PlacedPod]:
        return filter(self._stays, self.pods.select(namespaces, selector))

    def repelling(self, namespace: str) -> Iterable[Repelling]:
        for term, pods in self.pods.repelling(namespace):
            staying = list(filter(self._stays, pods))
            if staying:
                yield term, staying

    def namespaces(self, selector: Selector) -> frozenset[str]:
        return self.pods.namespaces(selector)

    def _stays(self, pod: PlacedPod) -> bool:
        return self.gone.leaves(pod.uid, pod.promised_to)
