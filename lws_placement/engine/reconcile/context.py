"""What a decision about one group needs besides the group: the cluster, other tenants and waiting
groups, and recent results, each valid for the state of the cluster behind it.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from lws_placement.engine.model.groups import Group, GroupId
from lws_placement.engine.model.pods import Demand
from lws_placement.engine.model.snapshot import ClusterSnapshot
from lws_placement.engine.objects.topology_policy import TopologyPolicy
from lws_placement.engine.planning.single_domain import PlanMemo
from lws_placement.engine.preemption.multi_domain_search import preempt_multi_domain
from lws_placement.engine.preemption.search import NoPreemption, Preemption, PreemptionMemo
from lws_placement.engine.preemption.victims import Tenants

VictimSearch = Callable[[Group, ClusterSnapshot, Tenants], Preemption | NoPreemption]


@dataclass(frozen=True, slots=True)
class Context:
    views: ClusterSnapshot
    memo: PlanMemo
    preemptions: PreemptionMemo
    tenants: Tenants
    """Possible victims."""
    name_of: Callable[[GroupId], str]
    """The name of another group in messages."""
    policy: TopologyPolicy = field(default_factory=TopologyPolicy)
    search: VictimSearch = preempt_multi_domain
    """The victims of a group of several domains. The planner's answers from searches that run
    beside it.
    """
    waiting: tuple[Group, ...] = ()
    """For a group without a runnable pod: one group of each shape that waits for a domain."""
    refused: tuple[Demand, ...] = ()
    """For such a group: demands of foreign pods that are kept off held room."""
