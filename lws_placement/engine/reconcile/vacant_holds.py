"""What becomes of the holds of a group that has no pod: planned ahead of its pods, or between two
incarnations of them; or none that anybody could run (`foreign_gates.py`).

Facts end them, not time. A group that is not to be any more (its LeaderWorkerSet is gone, is not
ours any more, or was scaled below it) loses them at once. One that is wanted as it is held keeps
them while nobody else waits for the room, however long its pods are kept from coming (a quota, a
controller that is down). When a group, or a foreign pod that is kept off held room, waits and could
use it, the group has the hold time, counted from when it was seen without a pod; so it has when its
LeaderWorkerSet has changed since: it may be on its way back to its own domain, and has that long.

Who could use it is asked one by one, of one group per shape, and only of the domains that the room
is part of. A group that is spread over several domains is taken to be able to if one of its members
is: the price of a wrong yes is that the absent group is planned when its pods come.
"""

from collections.abc import Set

from lws_placement.engine.fit.node_filters import why_not_node
from lws_placement.engine.model.groups import Group
from lws_placement.engine.model.hold_states import HoldState
from lws_placement.engine.model.nodes import NodeName
from lws_placement.engine.model.pods import Demand
from lws_placement.engine.model.reservation import Hold
from lws_placement.engine.model.verdicts import Reason
from lws_placement.engine.model.what_if import WhatIf, domains_around
from lws_placement.engine.planning.single_domain import plan_in_domain
from lws_placement.engine.reconcile.actions import Action, EndHold, KeepHold
from lws_placement.engine.reconcile.context import Context
from lws_placement.engine.reconcile.group_state import GroupState
from lws_placement.engine.reconcile.placement import has_shape, names_in


def without_pods(observed: GroupState, context: Context) -> list[Action]:
    """Of a group none of whose pods is alive; nothing is done while one is still Terminating."""
    if not all(p.finished for p in observed.pods):
        return []
    return kept_or_ended(observed, context)


def kept_or_ended(observed: GroupState, context: Context) -> list[Action]:
    """The holds of a group that nobody could run now."""
    kept = _is_as_held(observed) and not _is_wanted(observed, context)
    return [
        KeepHold(hold) if kept and back else EndHold(hold, returning=back)
        for hold, back in ((h, _returns(observed, h)) for h in observed.holds)
    ]


def _returns(observed: GroupState, hold: Hold) -> bool:
    """Will the group come (back)? Not if its LeaderWorkerSet is gone, or was scaled below it. One
    that has a key of its own never does; another one of its set may (`succession.py`).
    """
    if observed.lws is None or observed.lws.deleting or hold.state is not HoldState.ACTIVE:
        return False
    if observed.yields_to is not None:
        return False
    if not observed.lws.request.places:
        return False
    if observed.keyed:
        return observed.lacks_groups
    return not hold.group_index.isdecimal() or int(hold.group_index) < observed.lws.replicas


def _is_as_held(observed: GroupState) -> bool:
    """Is what is held what the LeaderWorkerSet says now?"""
    if observed.lws is None:
        return False
    size = observed.lws.templates.size
    same = all(h.size == size and h.revision in observed.current for h in observed.active)
    return same and has_shape(observed.active, observed.lws.request, size)


def _is_wanted(observed: GroupState, context: Context) -> bool:
    """Does anybody wait who could use what it holds?"""
    views = context.views
    names = names_in(observed.active, views)
    without = WhatIf(views, groups=frozenset({observed.id}))
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
    return any(n is not None and why_not_node(demand, n) is None for n in found)
