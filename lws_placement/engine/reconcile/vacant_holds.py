"""Keeps or ends the holds of a group that has no pod: planned ahead of its pods, or between two
incarnations; or no pod that can run (`foreign_gates.py`).

Facts end them, not time. A group that is no longer wanted (its LeaderWorkerSet is gone, is not ours
any more, or was scaled below it), or whose quota Kueue has taken away, loses them at once. A group
that is wanted as held keeps them while nothing else waits for the room, however long its pods are
delayed (a quota, a controller that is down). When a group, or a foreign pod that is kept off held
room, waits and could use it, the holds last for the hold time, counted from when the group was seen
without a pod. So they do if the LeaderWorkerSet has changed since: the group may be on its way back
to its own domain.

So it is for a group whose members do not come beside a bound leader (a quota forbids them, their
controller is down): while another group or pod could use its room, it keeps it for the hold time.
Then it gives its room up, restarts and waits, like one that no scheduler serves, twice as long with
each time in a row. Until it was whole once it preempts nobody.

The check tries one waiting group per shape, only in the domains that the room is part of. A group
of several domains counts as able to use the room if one of its members is: after a wrong yes, the
absent group is planned when its pods come.
"""

from collections.abc import Set

from lws_placement.engine.fit.node_filters import fits_node
from lws_placement.engine.messages import missing_note
from lws_placement.engine.model.groups import Group
from lws_placement.engine.model.hold_states import HoldState
from lws_placement.engine.model.pods import Demand
from lws_placement.engine.model.reservation import Hold
from lws_placement.engine.model.verdicts import Reason
from lws_placement.engine.model.what_if import WhatIf, domains_around, pods_by_node
from lws_placement.engine.objects.nodes import NodeName
from lws_placement.engine.planning.single_domain import plan_in_domain
from lws_placement.engine.reconcile.actions import Action, EndHold, KeepHold, LookAgain
from lws_placement.engine.reconcile.context import Context
from lws_placement.engine.reconcile.group_state import GroupState, MembersState
from lws_placement.engine.reconcile.placement import has_shape, names_in
from lws_placement.engine.reconcile.repair import Refusal


def without_pods(observed: GroupState, context: Context) -> list[Action]:
    """For a group without a living pod; empty while a bound pod is still Terminating. One that was
    never bound takes nothing, however long a finalizer keeps it.
    """
    if any(p.going for p in observed.pods):
        return []
    return kept_or_ended(observed, context)


def kept_or_ended(observed: GroupState, context: Context) -> list[Action]:
    """The actions for the holds of a group that cannot run now."""
    kept = _is_as_held(observed) and not _is_wanted(observed, context)
    return [
        KeepHold(hold) if kept and back else EndHold(hold, returning=back)
        for hold, back in ((h, _returns(observed, h)) for h in observed.holds)
    ]


def absence(current: MembersState, context: Context) -> Refusal | LookAgain | None:
    """Members that do not come while others wait for the room."""
    observed = current.observed
    failures, since_s = observed.failures, observed.failures.missing_since_s
    if since_s is None or current.going or not _is_wanted(observed, context):
        return None
    left_s = since_s + failures.policy.missing_after_s - failures.now_s
    if left_s > 0:
        return LookAgain(left_s)
    missing = [rank for rank in range(current.info.size) if rank not in current.members]
    words = missing_note(missing, current.info.size)
    return Refusal(missing[0], words, words, everywhere=True, missing=True)


def _returns(observed: GroupState, hold: Hold) -> bool:
    """Whether the group comes (back): not if its LeaderWorkerSet is gone, or was scaled below it,
    or Kueue has taken its quota away. A keyed group never does, but another one of its set may
    (`succession.py`).
    """
    if observed.lws is None or observed.lws.deleting or hold.state is not HoldState.ACTIVE:
        return False
    if observed.yields_to is not None or observed.lacks_quota:
        return False
    if not observed.lws.request.places:
        return False
    if observed.keyed:
        return observed.lacks_groups
    return not hold.group_index.isdecimal() or int(hold.group_index) < observed.lws.replicas


def _is_as_held(observed: GroupState) -> bool:
    """Whether the holds match the LeaderWorkerSet as it is now."""
    if observed.lws is None:
        return False
    size = observed.lws.templates.size
    same = all(h.size == size and h.revision in observed.current for h in observed.active)
    return same and has_shape(observed.active, observed.lws.request, size)


def _is_wanted(observed: GroupState, context: Context) -> bool:
    """Whether a waiting group or foreign pod could use what the group holds."""
    if not context.refused and not context.waiting:
        return False
    views = context.views
    names = names_in(observed.active, views)
    without = WhatIf(views, pods_by_node(observed.pods), frozenset({observed.id}))
    if any(_fits_somewhere(demand, names, without) for demand in context.refused):
        return True
    return any(_could_use(group, names, without) for group in context.waiting)


def _could_use(group: Group, names: Set[NodeName], views: WhatIf) -> bool:
    if not group.request.in_one_domain:
        demands = {m.demand for m in group.members}
        return any(_fits_somewhere(d, names, views) for d in demands)
    return any(
        not isinstance(plan_in_domain(group, view), Reason)
        for view in domains_around(names, group.topology_key, views)
    )


def _fits_somewhere(demand: Demand, names: Set[NodeName], views: WhatIf) -> bool:
    found = (views.node_view(name) for name in names)
    return any(n is not None and fits_node(demand, n) for n in found)
