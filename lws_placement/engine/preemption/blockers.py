"""What would have to end for a group to fit: in one domain that refuses it now, or in all together
for a group that goes to several domains, stays within a region, or may be anywhere.

In one domain (`blockers_in`) two kinds of things can end: groups that have the domain, and foreign
pods on its nodes. Groups go first, as the domain cannot be had beside them. Of the foreign pods
none is named without need: all are taken away, and put back one after another, node by node, as
long as the group still fits; what cannot be put back is the answer. It is smallest in the sense
that nothing of it can be left out, not that no other set is smaller: this tells a person where to
look; it evicts nobody.

In all together (`blockers_of`) the search is that of preemption (`multi_domain_search.py`), with
neither priorities nor budgets: anybody may end. So it is the fewest groups, then the fewest pods,
where not too many are there, and in any case nobody of it can be left out.

O(nodes + foreign pods) fits of the group for one domain, and as much as a preemption for all, so it
is asked for what is shown to somebody, not by the planner.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from lws_placement.engine.fit.domain_index import Fit, fit_in
from lws_placement.engine.model.exclusivity import claim_of, opponents
from lws_placement.engine.model.groups import Group, GroupId, Occupant
from lws_placement.engine.model.nodes import NodeName
from lws_placement.engine.model.pods import Pod
from lws_placement.engine.model.snapshot import ClusterSnapshot, DomainView
from lws_placement.engine.model.what_if import WhatIf
from lws_placement.engine.preemption.disruption_budgets import DisruptionBudget
from lws_placement.engine.preemption.multi_domain_search import TRIALS, Search
from lws_placement.engine.preemption.search import Preemption, WhyNoPreemption
from lws_placement.engine.preemption.simulation import ClusterTrial
from lws_placement.engine.preemption.victims import Barred, Tenants, Victim


@dataclass(frozen=True, slots=True)
class Blockers:
    """These groups and these foreign pods would have to end; neither: nothing has to."""

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
        view = WhatIf(soon, away).domain(domain.name)
        return view is not None and isinstance(fit_in(group, view), Fit)

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
    """`only`: on no other nodes."""
    who = _Anybody(group.id, tenants)
    # What kube-scheduler refused there lately is told elsewhere; here it is about room.
    asked = replace(group, excluded={})
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
    """Nodes with most pods are put back first, whole; then the largest pods."""
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
