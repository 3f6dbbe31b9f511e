"""What a pod's spec says about other pods: required inter-pod affinity and anti-affinity, and
topology spread with DoNotSchedule.

Preferred terms and ScheduleAnyway are left out: they choose among nodes and exclude none.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from lws_placement.engine.objects.nodes import Operator, Requirement

Selector = tuple[Requirement, ...]
"""A label selector: all requirements must hold. An empty one selects everything."""


@dataclass(frozen=True, slots=True)
class PodTerm:
    """A required affinity or anti-affinity term (core/v1 PodAffinityTerm)."""

    topology_key: str
    selector: Selector | None
    """None: it selects no pod."""
    namespaces: frozenset[str] = frozenset()
    """With no `namespace_selector` either: the namespace of the pod that carries the term."""
    namespace_selector: Selector | None = None
    match_keys: tuple[str, ...] = ()
    """`matchLabelKeys`: the other pod has the same value as the pod that carries the term."""
    mismatch_keys: tuple[str, ...] = ()
    """`mismatchLabelKeys`: it has another value, or none."""

    def of(self, labels: Mapping[str, str]) -> "PodTerm":
        """The term of a pod with these labels, as the API server completes it on creation."""
        if not (self.match_keys or self.mismatch_keys):
            return self
        return replace(
            self,
            selector=_completed(self.selector, labels, self.match_keys, self.mismatch_keys),
            match_keys=(),
            mismatch_keys=(),
        )


@dataclass(frozen=True, slots=True)
class SpreadConstraint:
    """A topologySpreadConstraint with DoNotSchedule. It counts pods of the pod's own namespace."""

    topology_key: str
    max_skew: int
    selector: Selector | None
    """None: it selects no pod."""
    min_domains: int = 1
    honors_affinity: bool = True
    """`nodeAffinityPolicy`: nodes that the pod's own selector and affinity exclude do not count."""
    honors_taints: bool = False
    """`nodeTaintsPolicy`: nodes with a taint that the pod does not tolerate do not count."""
    match_keys: tuple[str, ...] = ()

    def of(self, labels: Mapping[str, str]) -> "SpreadConstraint":
        """The constraint of a pod with these labels."""
        if not self.match_keys:
            return self
        selector = _completed(self.selector, labels, self.match_keys, ())
        return replace(self, selector=selector, match_keys=())


@dataclass(frozen=True, slots=True)
class PodRules:
    """Equal for all pods of one template."""

    affinity: tuple[PodTerm, ...] = ()
    anti_affinity: tuple[PodTerm, ...] = ()
    spread: tuple[SpreadConstraint, ...] = ()

    def of(self, labels: Mapping[str, str]) -> "PodRules":
        """The rules of a pod with these labels."""
        return PodRules(
            affinity=tuple(t.of(labels) for t in self.affinity),
            anti_affinity=tuple(t.of(labels) for t in self.anti_affinity),
            spread=tuple(c.of(labels) for c in self.spread),
        )


def _completed(
    selector: Selector | None,
    labels: Mapping[str, str],
    match: tuple[str, ...],
    mismatch: tuple[str, ...],
) -> Selector | None:
    """Keys that the pod lacks are ignored (applyMatchLabelKeysAndMismatchLabelKeys in
    pkg/registry/core/pod/strategy.go).
    """
    if selector is None or not (match or mismatch):
        return selector
    same = [Requirement(k, Operator.IN, (labels[k],)) for k in match if k in labels]
    other = [Requirement(k, Operator.NOT_IN, (labels[k],)) for k in mismatch if k in labels]
    return (*selector, *same, *other)
