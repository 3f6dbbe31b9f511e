"""How a group takes over the place that another group of its set has left for good.

Where groups have keys of their own instead of ordinals (`MemberInfo.keyed`), a group that restarts
is a new one: its leader has another name and another key, and mostly comes while the old pods are
still Terminating. The set needs the same domain, where its weights are cached. So a group that
waits takes over the hold of a group of its set that is *over* (without a living leader):

1. It writes its own hold there, COMING, beside the old one, as in a preemption (`handover.py`): no
   other group gets the domain meanwhile. It evicts nothing: the old pods go by themselves, in their
   own time.
2. When they are gone, the old hold ends and the new one becomes ACTIVE.

The group gives up, and is planned anywhere, when the place no longer serves it, or the old pods do
not go: on a dead node, or `_PATIENCE_S` beyond their grace.
"""

from collections.abc import Mapping, Sequence

from lws_placement.engine.model.groups import Group
from lws_placement.engine.model.hold_states import HoldState
from lws_placement.engine.model.reservation import Hold, Reservation, have_room_together
from lws_placement.engine.model.snapshot import ClusterSnapshot
from lws_placement.engine.model.verdicts import Placed
from lws_placement.engine.model.what_if import WhatIf, pods_by_node
from lws_placement.engine.planning.multi_domain import place_multi_domain
from lws_placement.engine.planning.single_domain import plan_in_domain
from lws_placement.engine.planning.subset import SubsetSnapshot
from lws_placement.engine.reconcile.actions import Action, EndHold, LookAgain, WriteHold
from lws_placement.engine.reconcile.group_state import GroupState, LeftPlace, MembersState
from lws_placement.engine.reconcile.placement import has_shape, holds_for, names_in
from lws_placement.engine.rules.pod_rules import with_rules

_PATIENCE_S = 30.0


def inherit(current: MembersState, group: Group, views: ClusterSnapshot) -> list[Action]:
    """Step 1, for a group that holds nothing; empty if there is no place for it."""
    observed = current.observed
    for left in observed.left:
        if not has_shape(left.holds, current.request, current.info.size):
            continue
        placed = _as_if_gone(group, left.holds, left, observed=observed, views=views)
        if placed is not None:
            evicts = (left.group,)
            coming = holds_for(placed, group, current, state=HoldState.COMING, evicts=evicts)
            if not _are_listed_together(coming, left):
                continue
            writes = (WriteHold(hold) for hold in coming.holds)
            return [*writes, *_patience(left, observed)]
    return []


def inherited(observed: GroupState, coming: Reservation) -> LeftPlace | None:
    """The place that `coming` takes over; None: the old group is gone, or this is a preemption."""
    return next((left for left in observed.left if left.group in coming.evicts), None)


def await_place(
    group: Group,
    coming: Reservation,
    left: LeftPlace,
    *,
    observed: GroupState,
    views: ClusterSnapshot,
) -> list[Action]:
    """Step 2, while the domain is not free."""
    if _as_if_gone(group, coming.holds, left, observed=observed, views=views) is None:
        return [EndHold(hold) for hold in coming.holds]
    return _patience(left, observed)


def _are_listed_together(coming: Reservation, left: LeftPlace) -> bool:
    """Whether each Lease can list both groups."""
    return all(
        have_room_together([hold, *(h for h in left.holds if h.domain == hold.domain)])
        for hold in coming.holds
    )


def _as_if_gone(
    group: Group,
    holds: Sequence[Hold],
    left: LeftPlace,
    *,
    observed: GroupState,
    views: ClusterSnapshot,
) -> Placed | None:
    """Plans the group there without the old group; None: no fit, or the wait is too long."""
    domains, failures = {hold.domain for hold in holds}, observed.failures
    if _is_stuck(left, views, failures.now_s):
        return None
    if domains & failures.last_choice or domains & group.excluded.keys():
        return None
    left_on = pods_by_node(left.pods)
    names = names_in(holds, views) | left_on.keys()
    # Groups that wait for what the set has do not get it, as long as the set wants it.
    then = WhatIf(views, left_on, frozenset({left.group}), owner=group.id, heeds_turns=False)
    group = with_rules(group, then)
    if not group.request.in_one_domain:
        plan = place_multi_domain(group, SubsetSnapshot(then, names))
        return plan if isinstance(plan, Placed) else None
    domain = then.domain(holds[0].domain)
    nodes = plan_in_domain(group, domain) if domain is not None else None
    return Placed(holds[0].domain, nodes) if isinstance(nodes, Mapping) else None


def _is_stuck(left: LeftPlace, views: ClusterSnapshot, now_s: float) -> bool:
    going = [p for p in left.pods if p.going]
    if any(now_s > pod.deleted_s + _PATIENCE_S for pod in going):
        return True
    nodes = (views.node_view(name) for name in pods_by_node(going))
    return any(view is None or not view.node.ready for view in nodes)


def _patience(left: LeftPlace, observed: GroupState) -> list[Action]:
    """When the group gives up, as far as that is known."""
    now_s = observed.failures.now_s
    ends = [pod.deleted_s for pod in left.pods if pod.terminating and not pod.finished]
    if not ends or not now_s:
        return []
    return [LookAgain(max(min(ends) + _PATIENCE_S - now_s, 0.0) + 0.1)]
