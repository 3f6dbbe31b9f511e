"""What would have to end for a group to fit: in one domain that refuses it now, or altogether for a
group that goes to several domains, stays within a region, or may be anywhere.

In one domain (`blockers_in`) groups that have the domain and foreign pods on its nodes can end.
Groups come first, as the preemptor cannot share the domain with them. No foreign pod is named
without need: the search removes all of them, then puts them back one by one, node by node, as long
as the group still fits. What cannot be put back is the answer. It is minimal, as none of it can be
left out, but a smaller set may exist. It tells a person where to look; it evicts nothing.

Altogether (`blockers_of`) the search is that of preemption (`multi_domain_search.py`), without
priorities and budgets: anything may end. So the answer has the fewest groups, then the fewest pods,
if there are not too many candidates, and in any case none of it can be left out.

Costs O(nodes + foreign pods) fits of the group for one domain, and as much as a preemption
altogether. So it runs for answers to users, not in the planner.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from lws_placement.engine.base.effort import VICTIMS_EFFORT, Effort
from lws_placement.engine.fit.domain_index import Fit, fit_in
from lws_placement.engine.model.exclusivity import claim_of, opponents
from lws_placement.engine.model.groups import Group, GroupId, Occupant
from lws_placement.engine.model.pods import Pod
from lws_placement.engine.model.snapshot import ClusterSnapshot, DomainView
from lws_placement.engine.model.what_if import WhatIf
from lws_placement.engine.objects.nodes import NodeName
from lws_placement.engine.preemption.disruption_budgets import DisruptionBudget
from lws_placement.engine.preemption.multi_domain_search import TRIALS, Search
from lws_placement.engine.preemption.search import Preemption, WhyNoPreemption
from lws_placement.engine.preemption.simulation import ClusterTrial
from lws_placement.engine.preemption.victims import Barred, Tenants, Victim
from lws_placement.engine.rules.pod_rules import with_rules


@dataclass(frozen=True, slots=True)
class Blockers:
    """The groups and foreign pods that would have to end; both empty: nothing has to end."""

    groups: tuple[GroupId, ...] = ()
    pods: tuple[str, ...] = ()
    """UIDs."""


@dataclass(frozen=True, slots=True)
class Infeasible:
    """The group would not fit even if nothing else were there."""


def blockers_in(
    group: Group,
    domain: DomainView,
    *,
    views: ClusterSnapshot,
    occupants: Callable[[NodeName], Sequence[Occupant]],
) -> Blockers | Infeasible:
    """For a group that wants one domain for all its members."""
    claims = domain.holders | domain.overlapping | domain.occupants
    ending = tuple(sorted(opponents(claim_of(group), claims)))
    there = {n.node.name: list(occupants(n.node.name)) for n in domain.nodes}
    theirs = {
        node: frozenset(o.uid for o in pods if o.group in ending) for node, pods in there.items()
    }
    soon = WhatIf(views, theirs, frozenset(ending), owner=group.id)
    foreign = {
        node: [o.uid for o in sorted(pods, key=_largest_first) if o.group is None]
        for node, pods in there.items()
    }

    def fits_without(uids: frozenset[str]) -> bool:
        away = {node: uids.intersection(there) for node, there in foreign.items()}
        then = WhatIf(soon, away)
        view = then.domain(domain.name)
        asked = with_rules(replace(group, effort=Effort()), then)
        return view is not None and isinstance(fit_in(asked, view), Fit)

    if fits_without(frozenset()):
        return Blockers(ending)
    away = frozenset(uid for uids in foreign.values() for uid in uids)
    if not fits_without(away):
        return Infeasible()
    return Blockers(ending, tuple(sorted(_fewest(foreign, fits_without))))


def blockers_of(
    group: Group,
    views: ClusterSnapshot,
    tenants: Tenants,
    *,
    only: frozenset[NodeName] | None = None,
) -> Blockers | Infeasible:
    """`only`: restricts the search to these nodes."""
    who = _Anybody(group.id, tenants)
    # kube-scheduler's recent refusals are reported elsewhere; this search is about room.
    asked = replace(group, excluded={}, effort=Effort(VICTIMS_EFFORT))
    trial = ClusterTrial(asked, views, tenants, who=who, only=only)
    answer = Search(asked, trial, who, views=views, trials=TRIALS).run()
    if isinstance(answer, Preemption):
        groups = (v.group for v in answer.victims if v.group is not None)
        pods = (v.pods[0].uid for v in answer.victims if v.group is None)
        return Blockers(tuple(sorted(groups)), tuple(sorted(pods)))
    return Blockers() if answer.why is WhyNoPreemption.FREEING else Infeasible()


def _fewest(
    foreign: Mapping[NodeName, Sequence[str]], fits_without: Callable[[frozenset[str]], bool]
) -> frozenset[str]:
    """Puts back whole nodes, those with most pods first; then single pods, the largest first."""
    away = frozenset(uid for uids in foreign.values() for uid in uids)
    whole_nodes = sorted(foreign.items(), key=lambda item: (-len(item[1]), item[0]))
    for some in [frozenset(uids) for _, uids in whole_nodes]:
        away = away - some if fits_without(away - some) else away
    for uids in (uids for _, uids in whole_nodes):
        for uid in uids:
            if uid in away and fits_without(away - {uid}):
                away -= {uid}
    return away


def _largest_first(occupant: Occupant) -> tuple[list[int], str]:
    return [-amount for _, amount in occupant.demand.resources], occupant.uid


@dataclass(frozen=True, slots=True)
class _Anybody:
    """A `simulation.Who` by which all victims cost the same and no budget counts."""

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
