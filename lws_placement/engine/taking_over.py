"""How a group takes a domain over from those that are evicted for it.

Each step is one write or safe to repeat, and after each the process may die:

1. All evictions are tried as dry runs.
2. The preemptor writes its own hold on the domain, COMING, beside the victim's in the same Lease;
   it names the groups that go. From now on nobody else gets the domain, and what is promised there
   keeps foreign pods off it.
3. A victim that sees this gives way in its own turn: its pods are evicted, then its holds are
   LEAVING. It has no right of return, and waits like any other group.
4. When a quorum list shows no pod of it in the domain its hold ends, as every hold does; then the
   preemptor's becomes ACTIVE by compare-and-swap and its pods are pinned.

A new planner goes on from what the Leases say. It is given up when the preemptor is gone, changed,
or can no longer be helped: its COMING hold ends, and a victim whose turn had not come never knew.
While nobody was touched, a domain that is free by then is taken instead.

Foreign pods, and groups that hold nothing and so have no turn of their own, are evicted by the
preemptor, in 3. and only as far as their room is needed by then.
"""

from collections.abc import Sequence
from dataclasses import replace

from lws_placement.engine.actions import Action, EndHold, Evict, LeaveHold, TryEvictions, WriteHold
from lws_placement.engine.holds import Hold, HoldState
from lws_placement.engine.model import Group, GroupId, Placed, Reason
from lws_placement.engine.placing import has_shape, holds_for, plan_anywhere
from lws_placement.engine.plan import plan_in_domain
from lws_placement.engine.preempt import Nobody, Preemption, WhyNobody, preempt
from lws_placement.engine.seen import Now, Seen, Views
from lws_placement.engine.victims import Tenants, Victim


def begin(seen: Seen, now: Now, group: Group, views: Views) -> list[Action] | Nobody:
    """Steps 1 and 2, for a group that owns nothing and fits nowhere."""
    tenants = seen.tenants
    if tenants is None or group.outranks is None or group.layout is not None:
        return Nobody(WhyNobody.NEVER)
    lowest = tenants.lowest_priority()
    if lowest is None or lowest >= group.outranks:
        return Nobody(WhyNobody.NO_HELP)
    domains = views.domains(group.topology_key)
    memo = None if group.shun else seen.memo
    ask = memo.nobody.ask if memo is not None else preempt
    answer = ask(group, domains, tenants)
    if isinstance(answer, Nobody):
        return answer
    placed = Placed(answer.domain, answer.nodes)
    demands = {member.rank: member.demand for member in group.members}
    (hold,) = holds_for(placed, seen, now, demands=demands).holds
    return _claim(hold, answer.victims)


def _claim(hold: Hold, victims: Sequence[Victim]) -> list[Action]:
    groups = {v.group for v in victims if v.group is not None}
    coming = replace(
        hold, state=HoldState.COMING, evicts=tuple(sorted({*hold.evicts, *groups})), parts=1
    )
    return [TryEvictions(coming, tuple(victims)), WriteHold(coming)]


def go_on(seen: Seen, now: Now, hold: Hold, views: Views) -> list[Action] | Placed:
    """Steps 3 and 4 of the preemptor; `Placed`: the domain is free, or another one is."""
    tenants = seen.tenants
    given_up: list[Action] = [EndHold(hold, returning=False)]
    demands = now.demands([hold])
    gated = any(p.gated for p in now.members.values())
    suits = (hold.revision, hold.size) == (now.info.revision, now.info.size)
    if tenants is None or demands is None or now.bound or not gated or not suits:
        return given_up
    if not has_shape([hold], now.ask, now.info.size) or hold.scope is not now.ask.claims:
        return given_up
    group = now.group(seen, demands)
    view = views.domain_without(hold.domain, now.going)
    if view is None:
        return given_up
    view = view.seen_by(group.id)
    nodes = plan_in_domain(group, view)
    if not isinstance(nodes, Reason):
        return Placed(hold.domain, nodes)
    yielding = [g for g in hold.evicts if tenants.holds_of(g)]
    if not any(_is_touched(g, tenants) for g in hold.evicts):
        plan = plan_anywhere(group, now, views, memo=seen.memo)
        if isinstance(plan, Placed):
            return plan
    match preempt(group, [view], tenants):
        case Preemption(victims=victims):
            others = {v.group for v in victims if v.group is not None} - {*hold.evicts}
            if any(tenants.holds_of(g) for g in others):
                return _claim(hold, victims)
            if not all(_is_touched(g, tenants) for g in yielding):
                return []
            return [TryEvictions(hold, victims), *_evict(victims, hold)]
        case Nobody(why=WhyNobody.FREEING):
            return []
        case Nobody():
            return given_up


def _evict(victims: Sequence[Victim], by: Hold) -> list[Action]:
    return [Evict(pod, by) for victim in victims for pod in victim.pods]


def _is_touched(group: GroupId, tenants: Tenants) -> bool:
    """Has the eviction of the group begun?"""
    if any(h.state is not HoldState.ACTIVE for h in tenants.holds_of(group)):
        return True
    pods = tenants.all_pods_of(group)
    return not pods or any(p.terminating for p in pods)


def give_way(seen: Seen) -> list[Action]:
    """Step 3 of a victim; empty when there is nothing left to do, or it is none."""
    by = seen.yields_to
    if by is None:
        return []
    running = [p for p in seen.pods if p.node is not None and not p.terminating and not p.finished]
    why = f"it is preempted by {by.group}"
    return [
        *(Evict(pod, by) for pod in running),
        *(LeaveHold(hold, why, preempted_by=by.group) for hold in seen.active),
    ]
