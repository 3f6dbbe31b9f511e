"""How a group takes over domains from the victims that are evicted for it.

Each step is one write or safe to repeat, and after each the process may die:

1. The preemptor tries all evictions as dry runs.
2. It writes its own hold on each domain, COMING, beside the victim's in the same Lease; it names
   the groups that go. From now on no other group gets the domain, and what is reserved there keeps
   foreign pods off it. Several holds count only together: a plan that was not written to the end
   has no effect, and the next planner ends it.
3. A victim that sees this gives way in its own turn: its pods are evicted, then its holds become
   LEAVING. It has no right of return, and waits like any other group.
4. Its hold ends as every hold does, when a quorum list shows none of its pods in the domain. When
   all domains are free, the preemptor's holds become ACTIVE, each by compare-and-swap, and then its
   pods are pinned. A planner that finds some ACTIVE and the others COMING goes on.

A new planner continues from what the Leases say. The handover is given up when the preemptor is
gone, changed, or beyond help: its COMING holds end, and a victim whose turn has not come is not
affected. While no victim is touched, the preemptor may take a free domain instead.

In step 3 the preemptor itself evicts foreign pods, and groups that hold nothing and so have no turn
of their own, only as far as it still needs their room.
"""

from collections.abc import Sequence
from dataclasses import replace

from lws_placement.engine.base.effort import PLAN_EFFORT, VICTIMS_EFFORT, Effort
from lws_placement.engine.model.groups import Group, GroupId
from lws_placement.engine.model.hold_states import HoldState
from lws_placement.engine.model.pods import Pod
from lws_placement.engine.model.reservation import Hold, Reservation, have_room_together
from lws_placement.engine.model.snapshot import ClusterSnapshot
from lws_placement.engine.model.verdicts import Placed
from lws_placement.engine.model.what_if import WhatIf, pods_by_node
from lws_placement.engine.preemption.multi_domain_search import preempt_multi_domain
from lws_placement.engine.preemption.search import (
    NoPreemption,
    Preemption,
    Ruled,
    WhyNoPreemption,
    preempt,
)
from lws_placement.engine.preemption.victims import Tenants, Victim
from lws_placement.engine.reconcile.actions import (
    Action,
    EndHold,
    Evict,
    LeaveHold,
    TryEvictions,
    WriteHold,
)
from lws_placement.engine.reconcile.context import Context
from lws_placement.engine.reconcile.group_state import GroupState, MembersState
from lws_placement.engine.reconcile.placement import (
    holds_for,
    names_in,
    plan_anywhere,
)
from lws_placement.engine.rules.devices import may_need_devices
from lws_placement.engine.rules.pod_rules import with_rules


def begin(current: MembersState, group: Group, context: Context) -> list[Action] | NoPreemption:
    """Steps 1 and 2, for a group that owns nothing and fits nowhere."""
    if group.outranks is None:
        known = current.never_preempts
        return NoPreemption(WhyNoPreemption.NEVER if known else WhyNoPreemption.UNKNOWN)
    if current.observed.failures.has_given_up:
        return NoPreemption(WhyNoPreemption.IN_VAIN)
    lowest = context.tenants.lowest_priority()
    if lowest is None or lowest >= group.outranks:
        return NoPreemption(WhyNoPreemption.NO_HELP)
    answer = _preempt_anywhere(group, context)
    if isinstance(answer, NoPreemption):
        return answer
    placed = Placed(answer.domain, answer.nodes, answer.others)
    evicts = tuple(sorted(_groups_of(answer.victims)))
    coming = holds_for(placed, group, current, state=HoldState.COMING, evicts=evicts)
    held = [hold for victim in evicts for hold in context.tenants.holds_of(victim)]
    for hold in coming.holds:
        if not have_room_together([hold, *(h for h in held if h.domain == hold.domain)]):
            return NoPreemption(WhyNoPreemption.TOO_LARGE, hold.domain)
    return _claim(coming.holds, answer.victims)


def _preempt_anywhere(group: Group, context: Context) -> Preemption | NoPreemption:
    group = _refreshed(group)
    if not group.request.in_one_domain:
        return context.search(group, context.views, context.tenants)
    domains = context.views.domains(group.topology_key)
    asked = with_rules(group, context.views)
    ruled = _ruled(group, asked, context.views) if asked is not group else None
    if group.excluded:
        return preempt(asked, domains, context.tenants, ruled=ruled)
    return context.preemptions.ask(asked, domains, context.tenants, ruled=ruled)


def _ruled(group: Group, asked: Group, views: ClusterSnapshot | WhatIf) -> Ruled:
    """`asked`: the group with its rules now, which count for it unless devices become free."""

    def ruled(gone: Sequence[Pod], groups: frozenset[GroupId]) -> Group:
        devices = views.devices
        if not groups and not any(may_need_devices(pod.demand, devices) for pod in gone):
            return asked
        if not any(may_need_devices(m.demand, devices) for m in group.members):
            return asked
        return with_rules(group, WhatIf(views, pods_by_node(gone), groups, owner=group.id))

    return ruled


def _preempt_in(
    coming: Reservation, group: Group, current: MembersState, context: Context
) -> Preemption | NoPreemption:
    """The victims that still have to go in the domains of `coming`."""
    views, tenants = context.views, context.tenants
    group = _refreshed(group)
    if not group.request.in_one_domain:
        there = frozenset(names_in(coming.holds, views))
        return preempt_multi_domain(group, views, tenants, only=there)
    soon = current.soon(views)
    view = soon.domain(coming.holds[0].domain)
    asked = with_rules(group, soon)
    ruled = _ruled(group, asked, soon)
    return preempt(asked, [] if view is None else [view], tenants, ruled=ruled)


def _refreshed(group: Group) -> Group:
    """A search for victims has an effort of its own, not what a plan in vain left."""
    most = PLAN_EFFORT if group.request.in_one_domain else VICTIMS_EFFORT
    return replace(group, effort=Effort(most))


def _groups_of(victims: Sequence[Victim]) -> set[GroupId]:
    return {v.group for v in victims if v.group is not None}


def _claim(coming: tuple[Hold, ...], victims: Sequence[Victim]) -> list[Action]:
    return [TryEvictions(coming, tuple(victims)), *(WriteHold(hold) for hold in coming)]


def go_on(
    coming: Reservation, group: Group, current: MembersState, context: Context
) -> list[Action] | Placed:
    """Step 3 of the preemptor, while its domains are not free; `Placed`: other domains are."""
    tenants = context.tenants
    yielding = [g for g in coming.evicts if tenants.holds_of(g)]
    if not any(_is_touched(g, tenants) for g in coming.evicts):
        plan = plan_anywhere(group, current, context.views, memo=context.memo)
        if isinstance(plan, Placed):
            return plan
    match _preempt_in(coming, group, current, context):
        case Preemption(victims=victims):
            groups = _groups_of(victims)
            if any(tenants.holds_of(g) for g in groups - {*coming.evicts}):
                evicts = tuple(sorted({*coming.evicts, *groups}))
                more = tuple(h.to(HoldState.COMING, evicts=evicts) for h in coming.holds)
                return _claim(more, victims)
            if not all(_is_touched(g, tenants) for g in yielding):
                return []
            return [TryEvictions(coming.holds, victims), *_evict(victims, coming.holds[0])]
        case NoPreemption(why=WhyNoPreemption.FREEING):
            return []
        case NoPreemption():
            return [EndHold(hold) for hold in coming.holds]


def _evict(victims: Sequence[Victim], by: Hold) -> list[Action]:
    return [Evict(pod, by) for victim in victims for pod in victim.pods]


def _is_touched(group: GroupId, tenants: Tenants) -> bool:
    """Whether the eviction of the group has begun."""
    if any(h.state is not HoldState.ACTIVE for h in tenants.holds_of(group)):
        return True
    pods = tenants.all_pods_of(group)
    return not pods or any(p.terminating for p in pods)


def give_way(observed: GroupState) -> list[Action]:
    """Step 3 of a victim; empty if nothing is left to do, or the group is no victim."""
    by = observed.yields_to
    if by is None:
        return []
    running = [p for p in observed.pods if p.node is not None and p.living]
    why = f"it is preempted by {by.owner}"
    return [
        *(Evict(pod, by) for pod in running),
        *(LeaveHold(hold, why, preempted_by=by.group) for hold in observed.active),
    ]
