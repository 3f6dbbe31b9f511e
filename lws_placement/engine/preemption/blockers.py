"""What would have to end for a group to fit in a domain that refuses it now.

Two kinds of things can end: groups that have the domain, and foreign pods on its nodes. Groups go
first, as the domain cannot be had beside them. Of the foreign pods none is named without need: all
are taken away, and put back one after another, node by node, as long as the group still fits; what
cannot be put back is the answer. It is smallest in the sense that nothing of it can be left out,
not that no other set is smaller: this tells a person where to look; it evicts nobody.

O(nodes + foreign pods) fits of the group for one domain, so it is asked for domains that are shown
to somebody, not by the planner.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from lws_placement.engine.fit.domain_index import Fit, fit_in
from lws_placement.engine.model.exclusivity import claim_of, opponents
from lws_placement.engine.model.groups import Group, GroupId, Occupant
from lws_placement.engine.model.nodes import NodeName
from lws_placement.engine.model.snapshot import ClusterSnapshot, DomainView
from lws_placement.engine.model.what_if import WhatIf


@dataclass(frozen=True, slots=True)
class Blockers:
    """These groups and these foreign pods would have to end; neither: nothing has to."""

    groups: tuple[GroupId, ...] = ()
    pods: tuple[str, ...] = ()
    """UIDs."""


@dataclass(frozen=True, slots=True)
class Infeasible:
    """The group would not fit even if nothing else were there."""


def way_into(
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
