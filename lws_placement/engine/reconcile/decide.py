"""What to do for one group now: observed state in, actions out (design sections 2 and 5).

The cases, in the order they are asked:

1. The group has no living pod, or has a key of its own and no leader any more: its holds are kept
   or end (`vacant_holds.py`), once a quorum list shows that no pod is left.
2. It has a promise for its revision and size: gated members are pinned to their reserved nodes; an
   unbound member that no longer fits there makes the group be *assigned again* within its domains.
3. It has one for another revision, size or shape, or one that was not written to the end: assigned
   again, own domains first.
4. No ACTIVE hold, but bound members: a move that is still under way is finished, else the group is
   *adopted* where it runs (it was there before us).
5. Nothing bound: the group takes over what one of its set has left (`succession.py`), or it is
   planned, held and pinned, or others are evicted for it, or it waits with a verdict.

A group that is evicted for another one gives way before anything else is asked (`handover.py`). One
that others keep from running, and of which nothing is bound, is not planned (`foreign_gates.py`).

A group that cannot be assigned in its domains leaves them: at once if nothing of it is bound, else
it is restarted whole, because a half-bound group at rest is what we promise not to leave behind
(P3). Its holds are marked LEAVING *before* anything new is held, so a crash in between leaves no
group with two valid assignments.
"""

from collections.abc import Sequence
from dataclasses import replace

from lws_placement.engine.model.exclusivity import claim_of, opponents
from lws_placement.engine.model.groups import Group
from lws_placement.engine.model.nodes import DomainName, NodeName, NodeTerm, Operator, Requirement
from lws_placement.engine.model.pods import Demand, Rank
from lws_placement.engine.model.reservation import Hold, HoldState, Reservation, promises_of
from lws_placement.engine.model.snapshot import ClusterSnapshot
from lws_placement.engine.model.verdicts import Placed, Reason
from lws_placement.engine.planning.single_domain import plan_in_domain
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
from lws_placement.engine.reconcile.foreign_gates import hold_back, waits_for_others
from lws_placement.engine.reconcile.group_state import (
    GroupState,
    MembersState,
    is_elsewhere,
    is_or_may_be_in,
    living_members,
)
from lws_placement.engine.reconcile.handover import begin, give_way, go_on
from lws_placement.engine.reconcile.placement import (
    has_shape,
    holds_for,
    is_away,
    names_in,
    plan_again_in,
    plan_anywhere,
)
from lws_placement.engine.reconcile.repair import Refusal, leave_for_a_better, refusal, watch_over
from lws_placement.engine.reconcile.succession import await_place, inherit, inherited
from lws_placement.engine.reconcile.vacant_holds import without_pods
from lws_placement.engine.reconcile.validity import why_larger, why_not_kept


def decide(seen: GroupState, views: ClusterSnapshot) -> list[Action]:
    """The actions for one group, in order; empty when all is as it should be."""
    return [*_place(seen, views), *watch_over(seen, views)]


def _place(seen: GroupState, views: ClusterSnapshot) -> list[Action]:
    leave = leave_for_a_better(seen, views)
    if leave:
        return leave
    members = living_members(seen.pods)
    if not members or seen.is_over:
        return without_pods(seen, views)
    now = MembersState.of(seen, members)
    if now.let_go:
        return [Release(p) for p in now.members.values() if p.gated]
    yielding = give_way(seen)
    if yielding:
        return yielding
    waits = waits_for_others(now)
    if waits is not None and not now.bound:
        return hold_back(seen, now, waits, views)
    vacated = [EndHold(h, returning=False) for h in seen.leaving if not _anyone_in(seen, h, views)]
    if not seen.active:
        return [*vacated, *_without_hold(seen, now, views)]
    promises = promises_of(seen.active)
    if not promises:
        why = "its plan was not written to the end"
        known = _begun(seen, now)
        vacated += [EndHold(h, returning=False) for h in seen.coming if h not in known]
        return [*vacated, *_assign_again(seen, now, known, views=views, why=why)]
    vacated += [EndHold(h, returning=False) for h in seen.coming]
    promise, *more = promises
    if more:
        promise = min(promises, key=lambda p: _preference(p, now, views))
    others = [h for h in seen.active if h not in promise.holds]
    left = [LeaveHold(h, f"the group has {promise.where} already") for h in others]
    return [*vacated, *left, *_with_promise(seen, now, promise, views)]


def _preference(
    promise: Reservation, now: MembersState, views: ClusterSnapshot
) -> tuple[int, int, bool, DomainName]:
    """Least first: of two promises the one where the group is, or is on its way to, stays."""
    there = names_in(promise.holds, views)
    bound = sum(p.node in there for p in now.members.values())
    pinned = sum(p.node is None and p.pinned in there for p in now.members.values())
    return -bound, -pinned, not _suits(promise, now), promise.holds[0].domain


def _begun(seen: GroupState, now: MembersState) -> tuple[Hold, ...]:
    """What there is of a plan that was not written to the end. With holds that others were evicted
    for it may be all of it: the planner was killed while these became ACTIVE.
    """
    together = (*seen.active, *seen.coming)
    return together if has_shape(together, now.request, now.info.size) else seen.active


def _suits(promise: Reservation, now: MembersState) -> bool:
    same = (promise.revision, promise.size) == (now.info.revision, now.info.size)
    return same and has_shape(promise.holds, now.request, now.info.size)


def _anyone_in(seen: GroupState, hold: Hold, views: ClusterSnapshot) -> bool:
    names = names_in([hold], views)
    return any(
        is_or_may_be_in(p, names) and not is_elsewhere(p, hold, seen.active) for p in seen.pods
    )


# -- with a promise ------------------------------------------------------------------------------


def _with_promise(
    seen: GroupState, now: MembersState, promise: Reservation, views: ClusterSnapshot
) -> list[Action]:
    if not _suits(promise, now):
        why = "its revision, size or shape has changed"
        return _assign_again(seen, now, promise.holds, views=views, why=why)
    if promise.scope is not now.request.claims:
        why = "its scope has changed"
        return _assign_again(seen, now, promise.holds, views=views, why=why)
    why = larger = why_larger(now, promise)
    if not why:
        why = why_not_kept(now, promise, views)
    if why:
        actions = _assign_again(seen, now, promise.holds, views=views, why=why)
        stays = larger and any(isinstance(a, WriteHold) for a in actions)
        return [*actions, Tell(Topic.LARGER, larger)] if stays else actions
    match refusal(seen, now):
        case None:
            return _settle(now, promise, views)
        case LookAgain() as later:
            return [*_settle(now, promise, views), later]
        case Refusal(rank, words, why):
            there = [(h, words if rank in h.nodes else "") for h in promise.holds]
            return [
                *(LeaveHold(h, why, refused=refused) for h, refused in there),
                *_clear_out(now, why),
            ]


def _settle(now: MembersState, promise: Reservation, views: ClusterSnapshot) -> list[Action]:
    """Bring each unbound member to the node that the promise assigns to it.

    Not while old pods of the group are Terminating elsewhere: a group is never in two domains, and
    kube-scheduler would refuse the leader for its affinity to them and not look again for minutes.
    """
    if any(is_away(promise, rank, node, views) for rank, node in now.tied_to):
        return []
    nodes = promise.nodes
    actions: list[Action] = []
    for rank, pod in now.members.items():
        if pod.node is not None:
            continue
        node = nodes[rank]
        if pod.gated and pod.foreign_gates:
            continue
        if pod.gated:
            actions.append(Pin(pod, rank, node, promise.plan))
        elif pod.pinned is None and pod.marked and not pod.released:
            actions.append(DeletePod(pod, f"its gate was taken off by hand, its place is {node}"))
        elif pod.pinned is not None and pod.pinned != node:
            actions.append(DeletePod(pod, f"it is pinned to {pod.pinned}, its place is {node}"))
    waits = waits_for_others(now)
    return actions if waits is None else [*actions, waits]


def _assign_again(
    seen: GroupState, now: MembersState, holds: Sequence[Hold], *, views: ClusterSnapshot, why: str
) -> list[Action]:
    """In the domains of `holds` if possible; else the group leaves them."""
    demands = now.demands(holds)
    if demands is None:
        return [Blocked(_unknown_templates(seen, now))]
    if has_shape(holds, now.request, now.info.size):
        group = now.group(seen, demands)
        placed = plan_again_in(holds, _staying(group, now), now, views)
        if not isinstance(placed, Placed):
            placed = plan_again_in(holds, group, now, views)
        if isinstance(placed, Placed):
            renewed = holds_for(placed, seen, now, demands=demands)
            return [*_write(renewed), *_settle(now, renewed, views)]
        if placed is not None:
            why = f"{why}; the domain {placed.why}"
    return [*(_leave(h, why) for h in holds), *_clear_out(now, why)]


def _leave(hold: Hold, why: str) -> Action:
    """A COMING one has never let anybody in."""
    coming = hold.state is HoldState.COMING
    return EndHold(hold, returning=False) if coming else LeaveHold(hold, why)


def _write(promise: Reservation) -> list[Action]:
    return [WriteHold(hold) for hold in promise.holds]


def _staying(group: Group, now: MembersState) -> Group:
    """The group with its ungated members kept on the nodes they are pinned to: deleting pods is the
    last resort.
    """
    members = []
    for member in group.members:
        pod = now.members.get(member.rank)
        if pod is not None and pod.node is None and pod.pinned and not pod.gated:
            member = replace(member, demand=_only_on(member.demand, pod.pinned))
        members.append(member)
    return replace(group, members=tuple(members))


def _only_on(demand: Demand, node: NodeName) -> Demand:
    pin = Requirement("metadata.name", Operator.IN, (node,))
    terms = demand.required if demand.required is not None else (NodeTerm(),)
    return replace(demand, required=tuple(replace(t, fields=(*t.fields, pin)) for t in terms))


def _clear_out(now: MembersState, why: str) -> list[Action]:
    """Let go of pods that cannot stay: all if something is bound (a restart of the whole group)."""
    leader = now.members.get(0)
    if now.bound and not now.info.of_lws:
        return [DeletePod(p, why) for p in now.members.values()]
    if now.bound and leader is not None:
        return [DeletePod(leader, why, whole=True)]
    return [DeletePod(p, why) for p in now.members.values() if not p.gated]


# -- without a hold ------------------------------------------------------------------------------


def _without_hold(seen: GroupState, now: MembersState, views: ClusterSnapshot) -> list[Action]:
    bound = now.bound
    if seen.coming:
        return _take_over(seen, now, views)
    if not bound:
        return _plan(seen, now, views)
    left = names_in(seen.leaving, views)
    if any(p.node in left for p in bound.values()):
        return _clear_out(now, "its group is being moved")
    return _adopt(seen, now, views)


def _adopt(seen: GroupState, now: MembersState, views: ClusterSnapshot) -> list[Action]:
    """Hold the domains of a group that was running before us."""
    demands = now.demands(())
    if demands is None:
        return [Blocked(_unknown_templates(seen, now))]
    group = now.group(seen, demands)
    if group.layout is None:
        placed = _where_it_runs(seen, now, group, views=views)
        if isinstance(placed, str):
            return [Blocked(placed)]
    else:
        plan = plan_anywhere(group, now, views, memo=None)
        if not isinstance(plan, Placed):
            if len(now.bound) < now.info.size:
                return _clear_out(now, "it is only partly bound and cannot be completed")
            return [Blocked("its running pods are not in domains of their own; delete the leader")]
        placed = plan
    return _write(holds_for(placed, seen, now, demands=demands))


def _where_it_runs(
    seen: GroupState, now: MembersState, group: Group, *, views: ClusterSnapshot
) -> Placed | str:
    key = group.topology_key
    values = set()
    for pod in now.bound.values():
        view = views.node_view(pod.node or "")
        if view is not None:
            values.add(view.node.labels.get(key, ""))
    if len(values) != 1 or "" in values:
        where = ", ".join(sorted(v or f"a node without {key}" for v in values)) or "unknown nodes"
        return f"its running pods are not in one domain of {key}: {where}"
    domain = DomainName(key, values.pop())
    view_of = views.domain_without(domain, now.going)
    if view_of is None:
        return f"its pods run in {domain}, which has no nodes"
    owners = view_of.holders | view_of.overlapping | view_of.occupants
    others = opponents(claim_of(group), owners)
    if others:
        names = ", ".join(sorted(map(seen.name_of, others)))
        return f"its pods run in {domain} together with {names}; delete one of them"
    nodes = plan_in_domain(group, view_of)
    return Placed(domain, _bound_nodes(now) if isinstance(nodes, Reason) else nodes)


def _bound_nodes(now: MembersState) -> dict[Rank, NodeName]:
    return {rank: pod.node for rank, pod in now.bound.items() if pod.node is not None}


def _plan(seen: GroupState, now: MembersState, views: ClusterSnapshot) -> list[Action]:
    loose = [p for p in now.members.values() if not p.gated and p.marked and not p.released]
    if loose:
        return [DeletePod(p, "no hold covers it any more") for p in loose]
    if not any(p.gated for p in now.members.values()):
        return []
    demands = now.demands(())
    orphans = seen.lws is None and now.info.of_lws and len(now.members) < now.info.size
    if demands is None or orphans:
        return [Blocked(_unknown_templates(seen, now))]
    group = now.group(seen, demands)
    inheriting = inherit(seen, now, group, views)
    if inheriting:
        return inheriting
    owns = bool(seen.holds or now.going)
    plan = plan_anywhere(group, now, views, memo=seen.memo, owns=owns)
    if not isinstance(plan, Placed):
        evicting = begin(seen, now, group, views)
        if not isinstance(evicting, NoPreemption):
            return evicting
        asked = None if group.excluded else group
        retry_s = seen.troubles.until_retry_s()
        again = [] if retry_s is None else [LookAgain(retry_s)]
        larger = now.templates.larger if now.templates is not None else ""
        return [Wait(plan, group.size, asked, evicting, group, larger), *again]
    promise = holds_for(plan, seen, now, demands=demands)
    return [*_write(promise), *_settle(now, promise, views)]


def _take_over(seen: GroupState, now: MembersState, views: ClusterSnapshot) -> list[Action]:
    coming = promises_of(seen.coming, HoldState.COMING)[:1]
    others = [h for h in seen.coming if not coming or h not in coming[0].holds]
    if others or not coming:
        return [EndHold(h, returning=False) for h in others]
    left = inherited(seen, coming[0])
    if left is not None:
        placed = await_place(seen, now, coming[0], left=left, views=views)
    else:
        placed = go_on(seen, now, coming[0], views)
    if not isinstance(placed, Placed):
        return placed
    demands = now.demands(seen.coming)
    assert demands is not None  # it was planned with them
    promise = holds_for(placed, seen, now, demands=demands)
    kept = {h.domain for h in promise.holds}
    given_up = [EndHold(h, returning=False) for h in seen.coming if h.domain not in kept]
    return [*_write(promise), *given_up, *_settle(now, promise, views)]


def _unknown_templates(seen: GroupState, now: MembersState) -> str:
    missing = [r for r in range(now.info.size) if r not in now.members]
    if not now.info.of_lws:
        return (
            f"{len(now.members)} of {now.info.size} pods of group {seen.id} exist; it is planned "
            "when all are there"
        )
    lacking = f"members {missing[0]} to {missing[-1]}" if missing[1:] else f"member {missing[0]}"
    return (
        f"LeaderWorkerSet {seen.id.namespace}/{seen.id.lws} of these pods does not exist, so "
        f"nobody makes {lacking}; delete the pods"
    )
