"""What a decision about one group needs beside the group: the cluster, who else is there or waits,
and what decisions found out lately, each answer as good as the state of the cluster behind it.
"""

from collections.abc import Callable
from dataclasses import dataclass

from lws_placement.engine.model.groups import Group, GroupId
from lws_placement.engine.model.pods import Demand
from lws_placement.engine.model.snapshot import ClusterSnapshot
from lws_placement.engine.planning.single_domain import PlanMemo
from lws_placement.engine.preemption.search import NoPreemption, PreemptionMemo
from lws_placement.engine.preemption.victims import Tenants


class Memo(PlanMemo):
    """Of plans, and of who would have to be evicted for a group."""

    def __init__(self) -> None:
        super().__init__()
        self.preemption = PreemptionMemo()


@dataclass(frozen=True, slots=True)
class Context:
    views: ClusterSnapshot
    memo: Memo
    tenants: Tenants
    """Who could be evicted."""
    name_of: Callable[[GroupId], str]
    """What people call another group."""
    nobody: NoPreemption | None = None
    """For a group of several domains: why nobody is evicted for it, as found a moment ago. It
    stands for now.
    """
    waiting: tuple[Group, ...] = ()
    """For a group without a pod that can run: one for each shape of those that wait for a
    domain.
    """
    refused: tuple[Demand, ...] = ()
    """For such a group: what foreign pods ask for that are kept off held room."""
