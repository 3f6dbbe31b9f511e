"""What to do for one group now: observed state in, actions out.

The cases, in this order:

1. The group has no living pod, or has a key of its own and no leader any more: its holds are kept,
   or end once a quorum list shows no pod (`vacant_holds.py`).
2. It has a reservation for its revision and size: gated members are pinned to their reserved nodes;
   if an unbound member no longer fits there, the group is *assigned again* in its domains.
3. Its reservation is for another revision, size or shape, or was not written to the end: assigned
   again, own domains first.
4. No ACTIVE hold, but bound members: a move in progress is finished, else the group is *adopted*
   where it runs (it was there before us).
5. Nothing bound: the group takes over the place of another one of its set (`succession.py`), or is
   planned, held and pinned, or evicts victims, or waits with a verdict.

A group that is evicted for another one gives way first of all (`handover.py`). A group with foreign
gates and no bound member is not planned (`foreign_gates.py`).

A group that cannot be assigned in its domains leaves them: at once if nothing of it is bound, else
by a restart of the whole group, as no half-bound group may stay at rest (P3 Never stuck half-way).
Its holds become LEAVING *before* anything new is held, so a crash in between leaves no group with
two valid assignments.
"""

from collections.abc import Sequence
from dataclasses import replace

from lws_placement.engine.fit.unlabelled import unlabelled_nodes
from lws_placement.engine.messages import unlabelled_note
from lws_placement.engine.model.groups import Group
from lws_placement.engine.model.hold_states import HoldState
from lws_placement.engine.model.pods import Demand
from lws_placement.engine.model.reservation import Hold, Reservation, reservations_of
from lws_placement.engine.model.snapshot import ClusterSnapshot
from lws_placement.engine.model.verdicts import NoFit, Placed, Plan
from lws_placement.engine.objects.nodes import DomainName, NodeName, NodeTerm, Operator, Requirement
from lws_placement.engine.preemption.search import NoPreemption
from lws_placement.engine.reconcile.actions import (
    Action,
    Blocked,
    DeletePod,
    EndHold,
    LeaveHold,
    LookAgain,
    Pin,
    Release,
    Tell,
    Topic,
    Wait,
    WriteHold,
)
from lws_placement.engine.reconcile.adoption import adopt, why_no_more, why_not_allowed
from lws_placement.engine.reconcile.context import Context
from lws_placement.engine.reconcile.foreign_gates import hold_back, waits_for_others
from lws_placement.engine.reconcile.group_state import (
    GroupState,
    MembersState,
    is_elsewhere,
    is_or_may_be_in,
)
from lws_placement.engine.reconcile.handover import begin, give_way, go_on
from lws_placement.engine.reconcile.placement import (
    has_shape,
    holds_for,
    is_away,
    names_in,
    plan_again_in,
    plan_anywhere,
    why_too_large,
)
from lws_placement.engine.reconcile.repair import (
    Refusal,
    clear_out,
    leave_for_a_better,
    refusal,
    watch_over,
)
from lws_placement.engine.reconcile.succession import await_place, inherit, inherited
from lws_placement.engine.reconcile.vacant_holds import absence, without_pods
from lws_placement.engine.reconcile.validity import why_larger, why_not_kept


def decide(observed: GroupState, context: Context) -> list[Action]:
    """The actions for one group, in order; empty if there is nothing to do."""
    return [*_place(observed, context), *watch_over(observed, context.views)]


def _place(observed: GroupState, context: Context) -> list[Action]:
    views = context.views
    leave = leave_for_a_better(observed, context)
    if leave:
        return leave
    members = observed.members
    if not members or observed.is_over:
        return without_pods(observed, context)
    current = MembersState.of(observed, members)
    if current.let_go:
        return [Release(p) for p in current.members.values() if p.gated]
    yielding = give_way(observed)
    if yielding:
        return yielding
    waits = waits_for_others(current)
    if waits is not None and not current.bound:
        return hold_back(current, waits, context)
    vacated = [EndHold(h) for h in observed.leaving if not _anyone_in(observed, h, views)]
    if not observed.active:
        return [*vacated, *_without_hold(current, context)]
    reservations = observed.reservations
    if not reservations:
        why = "its plan was not written to the end"
        known = _begun(current)
        vacated += [EndHold(h) for h in observed.coming if h not in known]
        return [*vacated, *_assign_again(current, known, views=views, why=why)]
    vacated += [EndHold(h) for h in observed.coming]
    reservation, *more = reservations
    if more:
        reservation = min(reservations, key=lambda p: _preference(p, current, views))
    others = [h for h in observed.active if h not in reservation.holds]
    left = [LeaveHold(h, f"the group has {reservation.where} already") for h in others]
    return [*vacated, *left, *_with_reservation(current, reservation, context)]


def _preference(
    reservation: Reservation, current: MembersState, views: ClusterSnapshot
) -> tuple[int, int, bool, DomainName]:
    """Least first: the reservation with most bound members stays, then the one with most pinned."""
    there = names_in(reservation.holds, views)
    bound = sum(p.node in there for p in current.members.values())
    pinned = sum(p.node is None and p.pinned in there for p in current.members.values())
    return -bound, -pinned, not _suits(reservation, current), reservation.holds[0].domain


def _begun(current: MembersState) -> tuple[Hold, ...]:
    """The holds of a plan that was not written to the end. With the COMING ones they may be all of
    it: the planner was killed while these became ACTIVE.
    """
    observed = current.observed
    together = (*observed.active, *observed.coming)
    return together if has_shape(together, current.request, current.info.size) else observed.active


def _suits(reservation: Reservation, current: MembersState) -> bool:
    asked = (current.info.revision, current.info.size)
    same = all((hold.revision, hold.size) == asked for hold in reservation.holds)
    return same and has_shape(reservation.holds, current.request, current.info.size)


def _anyone_in(observed: GroupState, hold: Hold, views: ClusterSnapshot) -> bool:
    names = names_in([hold], views)
    return any(
        is_or_may_be_in(p, names) and not is_elsewhere(p, hold, observed.active)
        for p in observed.pods
    )


# -- with a reservation --------------------------------------------------------------------------


def _with_reservation(
    current: MembersState, reservation: Reservation, context: Context
) -> list[Action]:
    views = context.views
    larger = ""
    if not _suits(reservation, current):
        why = "its revision, size or shape has changed"
    elif reservation.scope is not current.request.claims:
        why = "its scope has changed"
    else:
        larger = why_larger(current, reservation)
        why = larger or why_not_kept(current, reservation, views)
    if why:
        actions = _assign_again(current, reservation.holds, views=views, why=why)
        stays = larger and any(isinstance(a, WriteHold) for a in actions)
        return [*actions, Tell(Topic.LARGER, larger)] if stays else actions
    match refusal(current) or absence(current, context):
        case None:
            return _settle(current, reservation, views)
        case LookAgain() as later:
            return [*_settle(current, reservation, views), later]
        case Refusal() as refused:
            left = [_refused(hold, refused) for hold in reservation.holds]
            told = [Tell(Topic.MISSING, refused.words)] if refused.missing else []
            return [*told, *left, *clear_out(current, refused.why)]


def _refused(hold: Hold, by: Refusal) -> LeaveHold:
    if by.rank not in hold.nodes:
        return LeaveHold(hold, by.why)
    return LeaveHold(hold, by.why, refused=by.words, node=by.node, everywhere=by.everywhere)


def _settle(
    current: MembersState, reservation: Reservation, views: ClusterSnapshot
) -> list[Action]:
    """Brings each unbound member to its node in the reservation.

    Not while old pods of the group are Terminating elsewhere: a group is never in two domains, and
    kube-scheduler would refuse the leader for its affinity to them and not retry for minutes.
    """
    if any(is_away(reservation, rank, node, views) for rank, node in current.tied_to):
        return []
    nodes = reservation.nodes
    actions: list[Action] = []
    for rank, pod in current.members.items():
        if pod.node is not None:
            continue
        node = nodes[rank]
        if pod.gated and pod.foreign_gates:
            continue
        if pod.gated:
            actions.append(Pin(pod, rank, node, reservation.plan))
        elif pod.pinned is None and pod.marked and not pod.released:
            actions.append(DeletePod(pod, f"its gate was taken off by hand, its place is {node}"))
        elif pod.pinned is not None and pod.pinned != node:
            actions.append(DeletePod(pod, f"it is pinned to {pod.pinned}, its place is {node}"))
    waits = waits_for_others(current)
    return actions if waits is None else [*actions, waits]


def _assign_again(
    current: MembersState,
    holds: Sequence[Hold],
    *,
    views: ClusterSnapshot,
    why: str,
) -> list[Action]:
    """Plans the group again in the domains of `holds`; if that fails, it leaves them."""
    group = current.group(holds)
    if group is None:
        return [Blocked(current.unknown_templates)]
    if not current.bound:
        group = current.guess(holds) or group
    if has_shape(holds, current.request, current.info.size):
        placed = plan_again_in(holds, _staying(group, current), current, views)
        if not isinstance(placed, Placed):
            placed = plan_again_in(holds, group, current, views)
        if isinstance(placed, Placed):
            renewed = holds_for(placed, group, current)
            large = why_too_large(renewed)
            if not large:
                return [*_write(renewed), *_settle(current, renewed, views)]
            why = large
        elif placed is not None:
            why = f"{why}; the domain {placed.why}"
    return [*(_leave(h, why) for h in holds), *clear_out(current, why)]


def _leave(hold: Hold, why: str) -> Action:
    """A COMING hold needs no LEAVING, as it has never let a pod in."""
    coming = hold.state is HoldState.COMING
    return EndHold(hold) if coming else LeaveHold(hold, why)


def _write(reservation: Reservation) -> list[Action]:
    return [WriteHold(hold) for hold in reservation.holds]


def _staying(group: Group, current: MembersState) -> Group:
    """The group with its ungated members kept on the nodes of their pins: deleting pods is the last
    resort.
    """
    members = []
    for member in group.members:
        pod = current.members.get(member.rank)
        if pod is not None and pod.node is None and pod.pinned and not pod.gated:
            member = replace(member, demand=_only_on(member.demand, pod.pinned))
        members.append(member)
    return replace(group, members=tuple(members))


def _only_on(demand: Demand, node: NodeName) -> Demand:
    pin = Requirement("metadata.name", Operator.IN, (node,))
    terms = demand.required if demand.required is not None else (NodeTerm(),)
    return replace(demand, required=tuple(replace(t, fields=(*t.fields, pin)) for t in terms))


# -- without a hold ------------------------------------------------------------------------------


def _without_hold(current: MembersState, context: Context) -> list[Action]:
    bound = current.bound
    if current.observed.coming:
        return _take_over(current, context)
    if not bound:
        return _plan(current, context)
    left = names_in(current.observed.leaving, context.views)
    if any(p.node in left for p in bound.values()):
        return clear_out(current, "its group is being moved")
    return adopt(current, context)


def _plan(current: MembersState, context: Context) -> list[Action]:
    observed = current.observed
    loose = [p for p in current.members.values() if not p.gated and p.marked and not p.released]
    if loose:
        return [DeletePod(p, "no hold covers it any more") for p in loose]
    if not any(p.gated for p in current.members.values()):
        return []
    group = current.group()
    orphans = (
        observed.lws is None and current.info.of_lws and len(current.members) < current.info.size
    )
    if group is None or orphans:
        return [Blocked(current.unknown_templates)]
    retry_s = observed.failures.until_retry_s()
    again = [] if retry_s is None else [LookAgain(retry_s)]
    if observed.failures.refused_everywhere:
        return [Blocked(observed.failures.refused_everywhere), *again]
    barred = why_not_allowed(current, context)
    if barred is not None:
        return [barred]
    inheriting = inherit(current, group, context.views)
    if inheriting:
        return inheriting
    capped = why_no_more(current, context)
    if capped is not None:
        return [capped]
    owns = bool(observed.holds or current.going)
    group, plan = _plan_first(group, current, context, owns=owns)
    if not isinstance(plan, Placed):
        evicting = begin(current, group, context)
        if not isinstance(evicting, NoPreemption):
            return evicting
        return [Wait(plan, group, evicting, _besides(current, group, plan, context)), *again]
    reservation = holds_for(plan, group, current)
    large = why_too_large(reservation)
    if large:
        return [Blocked(large, gist="size")]
    return [*_write(reservation), *_settle(current, reservation, context.views)]


def _plan_first(
    group: Group, current: MembersState, context: Context, *, owns: bool
) -> tuple[Group, Plan]:
    """The plan, and the group that it is for: with workers that get what leaders got, if a place
    for it is found. LeaderWorkerSet creates workers after their leader is bound, so a group whose
    first worker comes out too large is restarted; what is added to a leader usually comes with
    every pod of its namespace.
    """
    guess = current.guess()
    if guess is not None:
        plan = plan_anywhere(guess, current, context.views, memo=context.memo, owns=owns)
        if isinstance(plan, Placed):
            return guess, plan
    return group, plan_anywhere(group, current, context.views, memo=context.memo, owns=owns)


def _besides(
    current: MembersState, group: Group, verdict: NoFit, context: Context
) -> tuple[str, ...]:
    larger = current.templates.larger if current.templates is not None else ""
    key = verdict.topology_key
    number = unlabelled_nodes(group, key, context.views) if key else 0
    unlabelled = unlabelled_note(number, key) if number else ""
    requested = current.observed.requested.note
    return tuple(words for words in (larger, unlabelled, requested) if words)


def _take_over(current: MembersState, context: Context) -> list[Action]:
    observed, views = current.observed, context.views
    found = reservations_of(observed.coming, HoldState.COMING)
    coming = found[0] if found else Reservation(())
    others = [h for h in observed.coming if h not in coming.holds]
    if others:
        return [EndHold(h) for h in others]
    group = current.group(coming.holds)
    if group is None or not _still_waits(coming, current):
        return [EndHold(h) for h in coming.holds]
    placed = plan_again_in(coming.holds, group, current, views)
    if not isinstance(placed, Placed):
        left = inherited(observed, coming)
        if left is not None:
            return await_place(group, coming, left, observed=observed, views=views)
        going_on = go_on(coming, group, current, context)
        if not isinstance(going_on, Placed):
            return going_on
        placed = going_on
    reservation = holds_for(placed, group, current)
    kept = {h.domain for h in reservation.holds}
    given_up = [EndHold(h) for h in coming.holds if h.domain not in kept]
    return [*_write(reservation), *given_up, *_settle(current, reservation, views)]


def _still_waits(coming: Reservation, current: MembersState) -> bool:
    """Whether the group still waits with the request that `coming` was written for."""
    if current.bound or not any(p.gated for p in current.members.values()):
        return False
    return _suits(coming, current) and coming.scope is current.request.claims
