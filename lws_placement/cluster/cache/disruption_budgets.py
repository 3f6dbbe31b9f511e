"""PodDisruptionBudgets: raw JSON -> engine values, and an index of them by namespace."""

from collections.abc import Sequence

from lws_placement.cluster.codec.objects import checked_text
from lws_placement.cluster.codec.selectors import decode_selector
from lws_placement.engine.base.nested import DictOfDicts
from lws_placement.engine.base.raw import Raw
from lws_placement.engine.preemption.disruption_budgets import BudgetName, DisruptionBudget


class BudgetIndex:
    """For one event loop."""

    def __init__(self) -> None:
        self._by_namespace = DictOfDicts[str, str, DisruptionBudget]()
        self.version = 0
        """Grows with every change."""

    def put(self, budget: DisruptionBudget) -> bool:
        """True if the budget is new or changed."""
        known = self._by_namespace.put(budget.id.namespace, budget.id.name, budget)
        self.version += known != budget
        return known != budget

    def drop(self, namespace: str, name: str) -> None:
        self.version += self._by_namespace.drop(namespace, name) is not None

    def of(self, namespace: str) -> Sequence[DisruptionBudget]:
        """By name."""
        return [budget for _, budget in sorted(self._by_namespace[namespace].items())]


def decode_budget(raw: Raw) -> DisruptionBudget:
    """If the status is behind the spec, nothing is allowed, as in the eviction API."""
    meta, spec, status = raw["metadata"], raw.get("spec") or {}, raw.get("status") or {}
    current = status.get("observedGeneration", 0) >= meta.get("generation", 0)
    wanted = status.get("desiredHealthy", 0)
    return DisruptionBudget(
        id=BudgetName(checked_text(meta["namespace"]), checked_text(meta["name"])),
        selector=decode_selector(spec.get("selector")),
        allowed=max(status.get("disruptionsAllowed", 0), 0) if current else 0,
        enough_healthy=status.get("currentHealthy", 0) >= wanted > 0,
        unhealthy_always=spec.get("unhealthyPodEvictionPolicy") == "AlwaysAllow",
    )
