"""Kueue's quota for a group, as far as it decides about the group's place.

Kueue keeps its own scheduling gate on the pods of a group until it admits the group's Workload:
first it reserves quota for it, then all admission checks of the queue must be ready. Where our own
check (`keys.ADMISSION_CHECK`) is one of them, a group with reserved quota is planned and held
behind that gate, so that quota is spent only where there is a domain.
"""

from dataclasses import dataclass, replace
from enum import StrEnum

from lws_placement.engine.model.pods import Demand, Rank, Toleration


class QuotaState(StrEnum):
    LACKING = "lacking"
    """None is reserved: the group cannot run, and holds nothing."""
    CHECKING = "checking"
    """It is reserved, and we are asked whether there is a domain."""
    GRANTED = "granted"
    """It is reserved, and we are not asked, or not any more."""


@dataclass(frozen=True, slots=True)
class Flavor:
    """What Kueue adds to a pod when it admits it: of the ResourceFlavors of its quota."""

    selector: tuple[tuple[str, str], ...] = ()
    tolerations: tuple[Toleration, ...] = ()

    def added_to(self, demand: Demand) -> Demand:
        """A demand's own selector counts, as Kueue chooses no flavor that contradicts it."""
        if self == Flavor():
            return demand
        selector = dict(self.selector) | dict(demand.selector)
        tolerations = {*self.tolerations, *demand.tolerations}
        return replace(
            demand,
            selector=tuple(sorted(selector.items())),
            tolerations=tuple(sorted(tolerations)),
        )


@dataclass(frozen=True, slots=True)
class Quota:
    state: QuotaState
    leader: Flavor = Flavor()
    worker: Flavor = Flavor()

    def flavor(self, rank: Rank) -> Flavor:
        return self.leader if rank == 0 else self.worker
