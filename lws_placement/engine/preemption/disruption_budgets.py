"""PodDisruptionBudgets: whether the eviction API would evict all of these pods.

The API takes one pod at a time and counts down, so it may allow the eviction of each of four pods
and still not of all four. This module counts them together, by the API server's own rules
(`pods/eviction`): a pod that is pending or terminating needs no budget; a pod that is not ready may
need none (`unhealthyPodEvictionPolicy`); a pod in more than one budget is never evicted.

A budget is respected, never weighed: what it forbids is not evicted, whatever outranks it.
(kube-scheduler's preemption evicts against budgets when nothing else helps; a model server's owner
who wrote one for its group meant it.)
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from lws_placement.engine.model.pods import Pod, PodPhase
from lws_placement.engine.objects.label_terms import selects
from lws_placement.engine.objects.nodes import Requirement


@dataclass(frozen=True, slots=True, order=True)
class BudgetName:
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class DisruptionBudget:
    """A PodDisruptionBudget by its current status."""

    id: BudgetName
    selector: tuple[Requirement, ...] | None
    """None matches no pod, () every pod of the namespace."""
    allowed: int = 0
    """`disruptionsAllowed`; 0 while the status is behind the spec."""
    enough_healthy: bool = False
    """As many pods are healthy as the budget wants."""
    unhealthy_always: bool = False
    """`unhealthyPodEvictionPolicy: AlwaysAllow`."""

    def covers(self, pod: Pod) -> bool:
        same = pod.namespace == self.id.namespace
        return same and selects(self.selector, dict(pod.labels))


BudgetsOf = Callable[[str], Iterable[DisruptionBudget]]
"""Namespace -> its budgets, in order of name."""


def why_not_evicted(pods: Iterable[Pod], budgets_of: BudgetsOf) -> str:
    """Why the eviction API would refuse a pod if all were evicted; empty if it would not."""
    needed: Counter[BudgetName] = Counter()
    allowed: dict[BudgetName, int] = {}
    for pod in pods:
        asked = budgets_asked(pod, budgets_of)
        if len(asked) > 1:
            names = " and ".join(f"PodDisruptionBudget {b.id}" for b in asked)
            return f"pod {pod.key} is covered by {names}, which Kubernetes never evicts"
        for budget in asked:
            needed[budget.id] += 1
            allowed[budget.id] = budget.allowed
    for name, number in sorted(needed.items()):
        if number > allowed[name]:
            return f"PodDisruptionBudget {name} allows {allowed[name]} of {number} evictions"
    return ""


def budgets_asked(pod: Pod, budgets_of: BudgetsOf) -> Sequence[DisruptionBudget]:
    """The budgets that count the pod's eviction, each as one disruption."""
    if pod.terminating or pod.finished or pod.phase is PodPhase.PENDING:
        return ()
    covering = [b for b in budgets_of(pod.namespace) if b.covers(pod)]
    if len(covering) == 1 and not pod.ready:
        budget = covering[0]
        if budget.unhealthy_always or budget.enough_healthy:
            return ()
    return covering
