"""What would have to end for a group that goes to several domains, stays within a region, or may be
anywhere: as `blockers.py` tells it of one domain, but of all of them at once.

The search is that of preemption (`multi_domain_search.py`), with neither priorities nor budgets:
anybody may end. So it is the fewest groups, then the fewest pods, where not too many are there, and
in any case nobody of it can be left out. It costs as much, so it is asked when a person asks.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from lws_placement.engine.model.groups import Group, GroupId
from lws_placement.engine.model.nodes import NodeName
from lws_placement.engine.model.pods import Pod
from lws_placement.engine.model.snapshot import ClusterSnapshot
from lws_placement.engine.preemption.blockers import Blockers, Infeasible
from lws_placement.engine.preemption.disruption_budgets import DisruptionBudget
from lws_placement.engine.preemption.multi_domain_search import TRIALS, Search
from lws_placement.engine.preemption.search import Preemption, WhyNoPreemption
from lws_placement.engine.preemption.simulation import Clearing
from lws_placement.engine.preemption.victims import Barred, Tenants, Victim


def way_for(
    group: Group,
    views: ClusterSnapshot,
    tenants: Tenants,
    *,
    only: frozenset[NodeName] | None = None,
) -> Blockers | Infeasible:
    """`only`: on no other nodes."""
    who = _Anybody(group.id, tenants)
    # What kube-scheduler refused there lately is told elsewhere; here it is about room.
    asked = replace(group, excluded={})
    clearing = Clearing(asked, views, tenants, who=who, only=only)
    answer = Search(asked, clearing, who, views=views, trials=TRIALS).run()
    if isinstance(answer, Preemption):
        groups = (v.group for v in answer.victims if v.group is not None)
        pods = (v.pods[0].uid for v in answer.victims if v.group is None)
        return Blockers(tuple(sorted(groups)), tuple(sorted(pods)))
    return Blockers() if answer.why is WhyNoPreemption.FREEING else Infeasible()


@dataclass(frozen=True, slots=True)
class _Anybody:
    """As `simulation.Who`; everybody costs the same, and no budget counts."""

    me: GroupId
    tenants: Tenants
    heeds_turns: bool = False

    def group(self, other: GroupId) -> Victim | Barred | None:
        bound = (p for p in self.tenants.all_pods_of(other) if p.node is not None)
        return Victim(0, tuple(sorted(bound, key=lambda p: p.key)), other)

    def pod(self, pod: Pod) -> Victim | Barred | None:
        group = self.tenants.goes_with(pod)
        if group == self.me:
            return None
        return Victim(0, (pod,)) if group is None else Barred("is its group's")

    def budgets_of(self, namespace: str) -> Iterable[DisruptionBudget]:
        return ()
