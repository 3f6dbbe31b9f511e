"""Groups that run without a hold: they were there before us, or came to run so while we were off.

A group that runs in one domain, alone in it, is adopted: its domain is held. One that runs split
over several is restarted whole where its restart policy recreates groups and a domain has room for
it; else a user is told what to do.
"""

from dataclasses import replace

from lws_placement.engine.messages import domain_in_words
from lws_placement.engine.model.exclusivity import claim_of, opponents
from lws_placement.engine.model.groups import Group
from lws_placement.engine.model.snapshot import ClusterSnapshot
from lws_placement.engine.model.verdicts import Placed, Reason, Why
from lws_placement.engine.model.what_if import pods_by_node
from lws_placement.engine.objects.nodes import DomainName
from lws_placement.engine.planning.single_domain import is_too_large, plan_in_domain
from lws_placement.engine.reconcile.actions import Action, Blocked, Hindrance, WriteHold
from lws_placement.engine.reconcile.context import Context
from lws_placement.engine.reconcile.group_state import MembersState
from lws_placement.engine.reconcile.placement import holds_for, plan_anywhere, why_too_large
from lws_placement.engine.reconcile.repair import clear_out, made_anew


def adopt(current: MembersState, context: Context) -> list[Action]:
    """Holds the domains of a group that ran before us."""
    group = current.group()
    if group is None:
        return [Blocked(current.unknown_templates)]
    barred = why_not_allowed(current, context) or why_no_more(current, context)
    if barred is not None:
        return [barred]
    if group.request.in_one_domain:
        domain = _domain_of(current, group.topology_key, context.views)
        if isinstance(domain, str):
            return _reunite(current, group, context, why=domain)
        placed = _in_domain(domain, current, group, context)
        if isinstance(placed, str):
            return [Blocked(placed)]
    else:
        plan = plan_anywhere(group, current, context.views, memo=None)
        if not isinstance(plan, Placed):
            if len(current.bound) < current.info.size:
                return clear_out(current, "it is only partly bound and cannot be completed")
            return [Blocked("its running pods are not in domains of their own; delete the leader")]
        placed = plan
    reservation = holds_for(placed, group, current)
    large = why_too_large(reservation)
    if large:
        return [Blocked(large, gist="size")]
    return [WriteHold(hold) for hold in reservation.holds]


def why_not_allowed(current: MembersState, context: Context) -> Blocked | None:
    """Whether no group may take domains of the keys that it asks for (setting topology-keys)."""
    why = context.policy.why_not_asked(current.request)
    return Blocked(why, Hindrance.NOT_ALLOWED, gist="key") if why else None


def why_no_more(current: MembersState, context: Context) -> Blocked | None:
    """Whether groups of its namespace hold all the domains that they may."""
    request, observed = current.request.of_size(current.info.size), current.observed
    why = context.policy.why_not_more(
        observed.id.namespace,
        held=observed.held_beside,
        asked=len(request.subgroups) + bool(request.outer),
    )
    return Blocked(why, Hindrance.NOT_ALLOWED, gist="domains") if why else None


def _domain_of(current: MembersState, key: str, views: ClusterSnapshot) -> DomainName | str:
    """The domain that the group runs in, or, in words, that it is not one."""
    nodes = (views.node_view(pod.node) for pod in current.bound.values() if pod.node is not None)
    values = {view.node.labels.get(key, "") for view in nodes if view is not None}
    if len(values) != 1 or "" in values:
        where = ", ".join(sorted(v or f"a node without {key}" for v in values)) or "unknown nodes"
        return f"its running pods are not in one domain of {key}: {where}"
    return DomainName(key, values.pop())


def _in_domain(
    domain: DomainName, current: MembersState, group: Group, context: Context
) -> Placed | str:
    bound = {rank: pod.node for rank, pod in current.members.items() if pod.node is not None}
    view_of = current.soon(context.views).domain(domain)
    if view_of is None:
        return f"its pods run in {domain}, which has no nodes"
    if is_too_large(group, view_of):
        why = Reason(Why.TOO_LARGE, nodes=len(view_of.nodes))
        return f"its pods run in {domain}, which {domain_in_words(why, context.name_of)}"
    owners = view_of.holders | view_of.overlapping | view_of.occupants
    others = opponents(claim_of(group), owners)
    if others:
        names = ", ".join(sorted(map(context.name_of, others)))
        return f"its pods run in {domain} together with {names}; delete one of them"
    planned = plan_in_domain(group, view_of)
    return Placed(domain, bound if isinstance(planned, Reason) else planned)


def _reunite(current: MembersState, group: Group, context: Context, *, why: str) -> list[Action]:
    """Restarts the group if it then has a domain; it runs on otherwise."""
    lws = current.observed.lws
    if lws is None or not lws.restarts_whole:
        return [Blocked(f"{why}; delete the leader pod to have the group placed anew")]
    gone = replace(current, members={}, going=pods_by_node(current.observed.pods))
    plan = plan_anywhere(made_anew(group), gone, context.views, memo=None)
    if isinstance(plan, Placed):
        return clear_out(current, why)
    return [Blocked(f"{why}; it is restarted whole once a domain has room for it")]
