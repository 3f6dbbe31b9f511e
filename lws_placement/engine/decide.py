"""What to do for one group now: observed state in, actions out (design sections 2 and 5).

The cases, in the order they are asked:

1. The group has no living pod: its holds end, once a quorum list shows that no pod is left.
2. It has an ACTIVE hold for its revision and size: gated members are pinned to their reserved
nodes; an unbound
   member that no longer fits there makes the group be *assigned again* within the domain.
3. It has an ACTIVE hold for another revision or size: assigned again, own domain first.
4. No ACTIVE hold, but bound members: a move that is still under way is finished, else the group is
*adopted* where
   it runs (it was there before us).
5. Nothing bound: the whole group is planned, held and pinned, or waits with a verdict.

A group that cannot be assigned in its domain leaves it: at once if nothing of it is bound, else it
is restarted whole, because a half-bound group at rest is what we promise not to leave behind (P3).
The hold is marked LEAVING *before* anything new is held, so a crash in between leaves no group with
two valid assignments.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from lws_placement.engine.actions import (
    Action,
    Blocked,
    DeletePod,
    EndHold,
    LeaveHold,
    Pin,
    Wait,
    WriteHold,
)
from lws_placement.engine.fit import why_not_static
from lws_placement.engine.holds import Hold, HoldState
from lws_placement.engine.model import (
    Demand,
    DomainName,
    Group,
    NodeName,
    NodeTerm,
    Operator,
    Placed,
    Pod,
    Rank,
    Reason,
    Requirement,
)
from lws_placement.engine.plan import plan_group, plan_in_domain
from lws_placement.engine.resources import first_lack, total
from lws_placement.engine.seen import Now, Seen, Views, is_or_may_be_in, living_members
from lws_placement.engine.snapshot import DomainView


def decide(seen: Seen, views: Views) -> list[Action]:
    """The actions for one group, in order; empty when all is as it should be."""
    members = living_members(seen.pods)
    if not members:
        return [EndHold(h, returning=_returns(seen, h)) for h in seen.holds if not seen.pods]
    now = Now.of(seen, members)
    vacated = [
        EndHold(h, returning=False) for h in seen.leaving if not _anyone_in(seen.pods, h, views)
    ]
    if seen.active is None:
        return [*vacated, *_without_hold(seen, now, views)]
    hold, *others = sorted(seen.all_active, key=lambda h: _preference(h, now, views))
    left = [LeaveHold(h, f"the group has {hold.domain} already") for h in others]
    return [*vacated, *left, *_with_hold(seen, now, hold, views)]


def _preference(hold: Hold, now: Now, views: Views) -> tuple[int, int, bool, DomainName]:
    """Least first: of two ACTIVE holds the one where the group is, or is on its way to, stays."""
    there = _names(views, hold.domain)
    bound = sum(p.node in there for p in now.members.values())
    pinned = sum(p.node is None and p.pinned in there for p in now.members.values())
    good_for = (hold.domain.key, hold.revision, hold.size)
    suits = good_for == (now.info.topology_key, now.info.revision, now.info.size)
    return -bound, -pinned, not suits, hold.domain


def _returns(seen: Seen, hold: Hold) -> bool:
    """Will the group come back? Not if its LeaderWorkerSet is gone, or was scaled below it."""
    if seen.lws is None or seen.lws.deleting or hold.state is HoldState.LEAVING:
        return False
    if not seen.lws.topology_key:
        return False
    return not hold.group_index.isdecimal() or int(hold.group_index) < seen.lws.replicas


def _anyone_in(pods: Sequence[Pod], hold: Hold, views: Views) -> bool:
    view = views.domain(hold.domain)
    names = {n.node.name for n in view.nodes} if view is not None else set()
    names |= set(hold.nodes.values())
    return any(is_or_may_be_in(p, names) for p in pods)


# -- with a hold ---------------------------------------------------------------------------------


def _with_hold(seen: Seen, now: Now, hold: Hold, views: Views) -> list[Action]:
    info = now.info
    good_for = (hold.domain.key, hold.revision, hold.size)
    if good_for != (info.topology_key, info.revision, info.size):
        return _assign_again(seen, now, hold, views=views, why="its revision or size has changed")
    why = _why_not_kept(now, hold, views)
    if why:
        return _assign_again(seen, now, hold, views=views, why=why)
    return _settle(now, hold, views)


def _settle(now: Now, hold: Hold, views: Views) -> list[Action]:
    """Bring each unbound member to the node that the hold assigns to it.

    Not while old pods of the group are Terminating elsewhere: a group is never in two domains, and
    kube-scheduler would refuse the leader for its affinity to them and not look again for minutes.
    """
    if now.going_from - _names(views, hold.domain):
        return []
    actions: list[Action] = []
    for rank, pod in now.members.items():
        if pod.node is not None:
            continue
        node = hold.nodes[rank]
        if pod.gated:
            actions.append(Pin(pod, node, hold.plan))
        elif pod.pinned is None and pod.marked:
            actions.append(DeletePod(pod, f"its gate was taken off by hand, its place is {node}"))
        elif pod.pinned is not None and pod.pinned != node:
            actions.append(DeletePod(pod, f"it is pinned to {pod.pinned}, its place is {node}"))
    return actions


def _why_not_kept(now: Now, hold: Hold, views: Views) -> str:
    """Why the hold's assignment no longer serves the group; empty if it does."""
    taking: dict[NodeName, list[Demand]] = {}
    for rank, pod in now.members.items():
        node = hold.nodes.get(rank)
        if node is None:
            return f"member {rank} has no node assigned"
        if pod.node is not None:
            if pod.node != node:
                return f"member {rank} runs on {pod.node}, not on {node}"
            continue
        if not hold.covers(rank, pod.demand):
            return f"member {rank} asks for more than was reserved for it"
        taking.setdefault(node, []).append(pod.demand)
    for rank, demand in _still_to_come(now).items():
        if rank not in hold.nodes:
            return f"member {rank} has no node assigned"
        taking.setdefault(hold.nodes[rank], []).append(demand)
    for node, demands in sorted(taking.items()):
        why = _why_not_there(node, demands, now.going, views=views)
        if why:
            return why
    return ""


def _still_to_come(now: Now) -> dict[Rank, Demand]:
    """Members without a pod that count already: all, as long as nothing is bound.

    A leader must not be bound where its workers no longer fit. Once it runs it is not restarted for
    a member that may come when the node is well again.
    """
    if now.bound or now.templates is None:
        return {}
    absent = (rank for rank in range(now.info.size) if rank not in now.members)
    return {rank: now.templates.demand(rank) for rank in absent}


def _why_not_there(
    node: NodeName, demands: Sequence[Demand], going: frozenset[str], *, views: Views
) -> str:
    view = views.node_view_without(node, going) if going else views.node_view(node)
    if view is None:
        return f"node {node} is gone"
    for demand in demands:
        refusal = why_not_static(demand, view.node)
        if refusal is not None:
            return f"node {node}: {refusal}"
    lack = first_lack(total(dict(d.resources) for d in demands), view.free)
    return f"node {node} has too little {lack} left" if lack else ""


def _assign_again(seen: Seen, now: Now, hold: Hold, *, views: Views, why: str) -> list[Action]:
    demands = now.demands(hold)
    if demands is None:
        return [Blocked(_unknown_templates(seen, now))]
    same_key = hold.domain.key == now.info.topology_key
    view = views.domain_without(hold.domain, now.going) if same_key else None
    if view is not None:
        group = now.group(seen, demands)
        nodes = plan_in_domain(_staying(group, now), view)
        if isinstance(nodes, Reason):
            nodes = plan_in_domain(group, view)
        if not isinstance(nodes, Reason):
            renewed = _hold_for(seen, now, Placed(hold.domain, nodes), demands)
            renewed = replace(renewed, resource_version=hold.resource_version, uid=hold.uid)
            return [WriteHold(renewed), *_settle(now, renewed, views)]
        why = f"{why}; the domain {nodes.why}"
    return [LeaveHold(hold, why), *_clear_out(now, why)]


def _staying(group: Group, now: Now) -> Group:
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


def _clear_out(now: Now, why: str) -> list[Action]:
    """Let go of pods that cannot stay: all if something is bound (a restart of the whole group)."""
    leader = now.members.get(0)
    if now.bound and leader is not None:
        return [DeletePod(leader, why, whole=True)]
    return [DeletePod(p, why) for p in now.members.values() if not p.gated]


# -- without a hold ------------------------------------------------------------------------------


def _without_hold(seen: Seen, now: Now, views: Views) -> list[Action]:
    bound = now.bound
    if not bound:
        return _plan(seen, now, views)
    left = {name for h in seen.leaving for name in _names(views, h.domain)}
    if any(p.node in left for p in bound.values()):
        return _clear_out(now, "its group is being moved")
    return _adopt(seen, now, views)


def _names(views: Views, domain: DomainName) -> set[NodeName]:
    view = views.domain(domain)
    return {n.node.name for n in view.nodes} if view is not None else set()


def _adopt(seen: Seen, now: Now, views: Views) -> list[Action]:
    """Hold the domain of a group that was running before us."""
    key = now.info.topology_key
    values = set()
    for pod in now.bound.values():
        view = views.node_view(pod.node or "")
        if view is not None:
            values.add(view.node.labels.get(key, ""))
    if len(values) != 1 or "" in values:
        where = ", ".join(sorted(v or f"a node without {key}" for v in values)) or "unknown nodes"
        return [Blocked(f"its running pods are not in one domain of {key}: {where}")]
    domain = DomainName(key, values.pop())
    view_of = views.domain_without(domain, now.going)
    if view_of is None:
        return [Blocked(f"its pods run in {domain}, which has no nodes")]
    others = (view_of.holders | view_of.overlapping | view_of.occupants) - {seen.id}
    if others:
        names = ", ".join(str(o) for o in sorted(others))
        return [Blocked(f"its pods run in {domain} together with {names}; delete one of them")]
    demands = now.demands(None)
    if demands is None:
        return [Blocked(_unknown_templates(seen, now))]
    nodes = plan_in_domain(now.group(seen, demands), view_of)
    if isinstance(nodes, Reason):
        nodes = {rank: pod.node for rank, pod in now.bound.items() if pod.node is not None}
    hold = _hold_for(seen, now, Placed(domain, nodes), demands)
    return [WriteHold(hold)]


def _plan(seen: Seen, now: Now, views: Views) -> list[Action]:
    loose = [p for p in now.members.values() if not p.gated and p.marked]
    if loose:
        return [DeletePod(p, "no hold covers it any more") for p in loose]
    if not any(p.gated for p in now.members.values()):
        return []
    demands = now.demands(None)
    if demands is None:
        return [Blocked(_unknown_templates(seen, now))]
    group = now.group(seen, demands)
    domains = views.domains(group.topology_key)
    plan = plan_group(group, domains, memo=seen.memo, instead=_without_going(now, views))
    if not isinstance(plan, Placed):
        return [Wait(plan, group.size, group)]
    hold = _hold_for(seen, now, plan, demands)
    own = next((h for h in seen.holds if h.domain == plan.domain), None)
    if own is not None:
        hold = replace(hold, resource_version=own.resource_version, uid=own.uid)
    return [WriteHold(hold), *_settle(now, hold, views)]


def _without_going(now: Now, views: Views) -> dict[str, DomainView]:
    """The domains that the group's own Terminating pods are in, as if these were gone."""
    key = now.info.topology_key
    nodes = (views.node_view(name) for name in now.going_from)
    values = {n.node.labels[key] for n in nodes if n is not None and key in n.node.labels}
    found = {v: views.domain_without(DomainName(key, v), now.going) for v in sorted(values)}
    return {value: view for value, view in found.items() if view is not None}


def _hold_for(seen: Seen, now: Now, plan: Placed, demands: Mapping[Rank, Demand]) -> Hold:
    return Hold(
        domain=plan.domain,
        group=seen.id,
        group_index=now.info.group_index,
        leader_name=now.info.leader_name,
        revision=now.info.revision,
        size=now.info.size,
        plan=seen.plan_id,
        nodes=dict(plan.nodes),
        demands=dict(demands),
    )


def _unknown_templates(seen: Seen, now: Now) -> str:
    missing = [r for r in range(now.info.size) if r not in now.members]
    return (
        f"LeaderWorkerSet {seen.id.namespace}/{seen.id.lws} of these pods does not exist, so what "
        f"members {missing[0]} to {missing[-1]} need is unknown; create it or delete the pods"
    )
