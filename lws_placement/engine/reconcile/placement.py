"""A group's plan, whatever its shape, and the holds that stand for it.

`single_domain.py` is the fast path for one domain for all members; `multi_domain.py` plans the
rest. A plan becomes one hold per domain that it takes, and one more for members that may be
anywhere. The plan's id in them and their number make them one reservation (`reservation.py`).
"""

from bisect import bisect_left
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import replace

from lws_placement.engine.base.effort import Effort
from lws_placement.engine.fit.assignment import NoMatch
from lws_placement.engine.model.exclusivity import question_of
from lws_placement.engine.model.groups import Group, GroupId
from lws_placement.engine.model.hold_states import HoldState, check_transition
from lws_placement.engine.model.pods import Rank
from lws_placement.engine.model.queue_order import turn_of
from lws_placement.engine.model.reservation import (
    MOST_LEASE_BYTES,
    MOST_SHARED_BYTES,
    Hold,
    Reservation,
    may_be_shared,
    place_of,
)
from lws_placement.engine.model.snapshot import ClusterSnapshot
from lws_placement.engine.model.verdicts import NoFit, Placed, Plan, Reason
from lws_placement.engine.objects.nodes import ANYWHERE, DomainName, NodeName
from lws_placement.engine.objects.placement_request import PlacementRequest, Scope
from lws_placement.engine.planning.candidates import subset_for
from lws_placement.engine.planning.infeasible import why_infeasible
from lws_placement.engine.planning.multi_domain import place_multi_domain, plan_multi_domain
from lws_placement.engine.planning.single_domain import PlanMemo, plan_group, plan_in_domain
from lws_placement.engine.reconcile.group_state import MembersState
from lws_placement.engine.rules.pod_rules import with_rules


def plan_anywhere(
    group: Group,
    current: MembersState,
    views: ClusterSnapshot,
    *,
    memo: PlanMemo | None,
    owns: bool = True,
) -> Plan:
    """Plans a group that holds nothing; its Terminating pods count as gone. `owns`: it may have
    such pods, or LEAVING holds. If not, groups of one shape share a multi-domain plan.
    """
    one_domain = group.request.in_one_domain
    alone = one_domain or memo is None or owns or with_rules(group, views) is not group
    if not alone and not group.effort.is_spent and memo is not None:
        return _plan_as_others(group, views, memo)
    soon = current.soon(views)
    ruled = with_rules(group, soon)
    if one_domain:
        domains = soon.domains(group.topology_key)
        return plan_group(ruled, domains, memo=memo, without_rules=group)
    if memo is not None and not owns and not group.request.preferred_topology:
        few = _place_on_few(ruled, group, views, memo)
        if few is not None:
            return few
    return plan_multi_domain(ruled, soon)


def _place_on_few(
    ruled: Group, group: Group, views: ClusterSnapshot, memo: PlanMemo
) -> Placed | None:
    """The group with its rules on the best nodes for it without them, or else on the best of those
    that its rules leave. No plan there proves nothing: members that must be apart may need more.
    """
    for asked in (group, ruled):
        if asked.effort.is_spent:
            return None
        plan = place_multi_domain(ruled, subset_for(asked, views, memo.indexes))
        if isinstance(plan, Placed):
            return plan
    return None


def is_room_for(group: Group, views: ClusterSnapshot, memo: PlanMemo) -> bool:
    """Whether a group that owns nothing and asks for more than one domain has room. The plan found
    is the one that it gets if it is planned next.
    """
    return isinstance(_place(replace(group, effort=Effort()), views, memo), Placed)


def _plan_as_others(group: Group, views: ClusterSnapshot, memo: PlanMemo) -> Plan:
    known = _place(group, views, memo)
    if not isinstance(known, NoMatch):
        return known
    # A preferred topology is no reason for a refusal.
    asked = replace(group, request=replace(group.request, preferred_topology=""))
    plan = why_infeasible(asked, views, memo) or plan_multi_domain(asked, views)
    _keep(group, views, memo, plan)
    return plan


def _place(group: Group, views: ClusterSnapshot, memo: PlanMemo) -> Plan | NoMatch:
    """The answer to an equal question in this state, or the plan on the nodes that matter."""
    state, known = memo.multi_domain.get(asked_now(group, views)) or (None, None)
    if known is None or state != _state(views):
        known = place_multi_domain(group, subset_for(group, views, memo.indexes))
        _keep(group, views, memo, known)
    return known


def _keep(group: Group, views: ClusterSnapshot, memo: PlanMemo, plan: Plan | NoMatch) -> None:
    if group.effort.is_spent:
        return  # the next plan finds its indexes further on
    memo.multi_domain.put(asked_now(group, views), (_state(views), plan))


def asked_now(group: Group, views: ClusterSnapshot) -> Hashable:
    """A key: groups that own nothing get the same plan, in one state of the cluster, if it is
    equal. It depends on the turn, as what is awaited is closed to later groups.
    """
    return question_of(group), bisect_left(views.awaiting(), turn_of(group))


def _state(views: ClusterSnapshot) -> Hashable:
    return id(views.node_changes), views.node_changes.mark


def plan_again_in(
    holds: Sequence[Hold], group: Group, current: MembersState, views: ClusterSnapshot
) -> Placed | Reason | None:
    """Plans the group in its own domains, bound members in place; None: the domain is gone."""
    soon = current.soon(views)
    group = with_rules(group, soon)
    if not group.request.in_one_domain:
        plan = plan_multi_domain(group, soon, only=frozenset(h.domain for h in holds))
        return plan if isinstance(plan, Placed) else _first(plan)
    view = soon.domain(holds[0].domain)
    if view is None:
        return None
    nodes = plan_in_domain(group, view)
    return nodes if isinstance(nodes, Reason) else Placed(holds[0].domain, nodes)


def holds_for(
    placed: Placed,
    group: Group,
    current: MembersState,
    *,
    state: HoldState = HoldState.ACTIVE,
    evicts: tuple[GroupId, ...] = (),
) -> Reservation:
    """The holds to write for the plan of `group`, over those that it has on the same domains."""
    demands = group.demands
    elsewhere = {rank for _, ranks in placed.others for rank in ranks}
    places = [(placed.domain, tuple(r for r in placed.nodes if r not in elsewhere))]
    places += placed.others
    known = {h.domain: h for h in current.observed.holds}
    holds = []
    for asked, ranks in places:
        domain = place_of(group.id) if asked.anywhere else asked
        before = known.get(domain)
        check_transition(before.state if before is not None else None, state)
        holds.append(
            Hold(
                domain=domain,
                group=group.id,
                group_index=current.info.group_index,
                leader_name=current.info.leader_name,
                revision=group.revision,
                size=group.size,
                plan=current.observed.plan_id,
                nodes={rank: placed.nodes[rank] for rank in ranks},
                demands={rank: demands[rank] for rank in ranks},
                scope=Scope.NOBODY if asked.anywhere else group.scope,
                parts=len(places),
                state=state,
                evicts=evicts,
                resource_version=before.resource_version if before is not None else "",
                uid=before.uid if before is not None else "",
            )
        )
    return Reservation(tuple(sorted(holds, key=lambda h: h.domain)))


def why_too_large(reservation: Reservation) -> str:
    """Why a Lease cannot list the group's members; empty if it can."""
    for hold in reservation.holds:
        most = MOST_SHARED_BYTES if may_be_shared(hold) else MOST_LEASE_BYTES
        if hold.size_bytes > most:
            return (
                f"the names of the nodes of its {hold.size} pods, and what these request, take "
                f"{hold.size_bytes // 1024} KiB in its hold on {reservation.where}, which may have "
                f"{most // 1024}: make the group smaller, or its pods request alike"
            )
    return ""


def has_shape(holds: Iterable[Hold], request: PlacementRequest, size: int) -> bool:
    """Whether a group with this request has such holds, apart from the choice of domains."""
    found = sorted(h.domain.key for h in holds)
    asked = request.of_size(size)
    wanted = [asked.inner] * len(asked.subgroups)
    loose = size > len(asked.in_subgroups)
    if asked.outer or loose:
        wanted.append(asked.outer)
    return found == sorted(wanted)


def own_place(
    request: PlacementRequest, rank: Rank, labels: Mapping[str, str]
) -> DomainName | None:
    """The domain whose hold names a member on a node with these labels; None: the node is in none.
    ANYWHERE, with an empty value, for a member that may be anywhere (`reservation.place_of`).
    """
    if not request.ties(rank):
        return ANYWHERE
    key = request.topology or request.subgroup_topology
    return DomainName(key, labels[key]) if key in labels else None


def is_outside(
    reservation: Reservation, request: PlacementRequest, rank: Rank, labels: Mapping[str, str]
) -> bool:
    """Whether a node with these labels is in none of the member's domains of the reservation."""
    place = own_place(request, rank, labels)
    if place is None:
        return True
    return not place.anywhere and all(h.domain != place for h in reservation.holds)


def names_in(holds: Iterable[Hold], views: ClusterSnapshot) -> set[NodeName]:
    """The nodes of the holds' domains, and those of the members that may be anywhere."""
    names: set[NodeName] = set()
    for hold in holds:
        names |= set(hold.nodes.values())
        view = None if hold.domain.anywhere else views.domain(hold.domain)
        if view is not None:
            names |= view.node_names
    return names


def is_away(reservation: Reservation, rank: Rank, node: NodeName, views: ClusterSnapshot) -> bool:
    """Whether a pod of that rank on that node ties the group, or its subgroup, to another domain
    than that of the reservation.
    """
    own = [h for h in reservation.holds if rank in h.nodes]
    return node not in names_in(own or reservation.holds[: len(reservation.holds) == 1], views)


def _first(plan: NoFit) -> Reason | None:
    return next((reason for _, reason in sorted(plan.reasons.items())), None)
