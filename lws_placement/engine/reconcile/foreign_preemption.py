"""A foreign pod that outranks a group preempts it whole, not one member at a time.

kube-scheduler looks for victims node by node, and the extender drops every node where they would be
members of a group. This module serves the pods for which kube-scheduler then finds no room and
evicts nothing. The victim is the group of lowest priority that makes room for the pod on one node,
within budgets. The pod gets a hold as a preempting group does (`handover.py`): COMING, beside the
victim's, without a claim to the domain. The hold keeps the room until kube-scheduler has bound the
pod, there or elsewhere. As placement models less than kube-scheduler checks, it lasts only for a
while after the victim is gone, and a pod is helped once.
"""

from collections.abc import Iterable

from lws_placement.engine.fit.node_filters import fits_node
from lws_placement.engine.model.groups import GroupId, GroupKind
from lws_placement.engine.model.hold_states import HoldState
from lws_placement.engine.model.pods import Pod
from lws_placement.engine.model.reservation import Hold
from lws_placement.engine.model.snapshot import ClusterSnapshot, NodeView
from lws_placement.engine.model.what_if import WhatIf
from lws_placement.engine.objects.nodes import NodeName
from lws_placement.engine.objects.placement_request import Scope
from lws_placement.engine.preemption.disruption_budgets import why_not_evicted
from lws_placement.engine.preemption.victims import Tenants, Victim, as_victim
from lws_placement.engine.reconcile.actions import Action, EndHold, TryEvictions, WriteHold


def waits_for_room(pod: Pod) -> bool:
    """Whether kube-scheduler found no node for the pod and evicts nothing for it."""
    waits = pod.node is None and pod.living and bool(pod.unschedulable)
    return waits and not pod.nominated and not pod.gates


def is_for_pod(hold: Hold) -> bool:
    """Whether the hold keeps room for a foreign pod."""
    return hold.group.kind is GroupKind.POD


def preempt_for_pod(
    pod: Pod, holds: Iterable[Hold], views: ClusterSnapshot, tenants: Tenants, *, plan_id: str
) -> list[Action]:
    """Empty: nothing is evicted for the pod. `holds`: all holds of the cluster."""
    if not pod.preempts or any(_fits(pod, view) for view in views.node_views()):
        return []
    for hold, victim in _cheapest_first(pod, holds, tenants):
        for node in sorted(set(hold.nodes.values())):
            going = frozenset(p.uid for p in tenants.pods_on(node) if p.terminating)
            soon = WhatIf(views, {node: going}).node_view(node)
            gone = frozenset({hold.group})
            then = WhatIf(views, {node: going | victim.uids}, gone).node_view(node)
            if soon is None or then is None:
                continue
            if _fits(pod, soon):
                return []
            if _fits(pod, then):
                return _claim(pod, node, hold, victim, plan_id=plan_id)
    return []


def _cheapest_first(pod: Pod, holds: Iterable[Hold], tenants: Tenants) -> list[tuple[Hold, Victim]]:
    """Holds of groups that the pod may preempt: lowest priority first, then fewest pods."""
    found = []
    for hold in holds:
        if hold.state is HoldState.ACTIVE and not hold.domain.anywhere:
            victim = as_victim(hold.group, pod.priority, tenants)
            if isinstance(victim, Victim):
                found.append((hold, victim))
    found.sort(key=lambda f: (f[1].priority, len(f[1].pods), f[1].name, f[0].domain))
    return [f for f in found if not why_not_evicted(f[1].pods, tenants.budgets_of)]


def _fits(pod: Pod, node: NodeView) -> bool:
    """Checks room first, as it runs for thousands of nodes."""
    free = node.free
    if any(free.get(name, 0) < amount for name, amount in pod.demand.resources):
        return False
    return fits_node(pod.demand, node)


def _claim(pod: Pod, node: NodeName, hold: Hold, victim: Victim, *, plan_id: str) -> list[Action]:
    coming = Hold(
        domain=hold.domain,
        group=GroupId.of_pod(pod.namespace, pod.name, pod.uid),
        group_index="",
        leader_name=pod.name,
        revision="",
        size=1,
        plan=plan_id,
        nodes={0: node},
        demands={0: pod.demand},
        scope=Scope.NOBODY,
        state=HoldState.COMING,
        evicts=(hold.group,),
    )
    return [TryEvictions((coming,), (victim,)), WriteHold(coming)]


def decide_for_pod(hold: Hold, pod: Pod | None, tenants: Tenants) -> list[Action]:
    """The actions for a hold of a foreign pod."""
    if pod is None or pod.node is not None or not pod.living:
        return [EndHold(hold)]
    theirs = (h for group in hold.evicts for h in tenants.holds_of(group))
    if any(h.domain == hold.domain for h in theirs):
        return []
    return [EndHold(hold, returning=True)]
