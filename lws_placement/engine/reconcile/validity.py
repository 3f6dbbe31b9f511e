"""Whether a reservation still serves its group. Checked each time the group is observed.

A bound member has only to be where the reservation has it; an unbound one has to fit there now, in
what is reserved for it. A whole group is left alone when one of its nodes is relabelled; an
incomplete group is not completed over a node of another domain.
"""

from collections.abc import Sequence

from lws_placement.engine.base.quantities import first_lack, total
from lws_placement.engine.fit.node_filters import why_not_static
from lws_placement.engine.messages import larger_note, member_in_words, more_in_words
from lws_placement.engine.model.pods import Demand, Rank
from lws_placement.engine.model.reservation import Reservation
from lws_placement.engine.model.snapshot import ClusterSnapshot
from lws_placement.engine.model.what_if import WhatIf
from lws_placement.engine.objects.nodes import NodeName
from lws_placement.engine.reconcile.group_state import MembersState
from lws_placement.engine.reconcile.placement import is_outside


def why_not_kept(current: MembersState, reservation: Reservation, views: ClusterSnapshot) -> str:
    """Why the reservation's assignment no longer serves the group; empty if it does."""
    nodes = reservation.nodes
    outside = _why_outside(current, reservation, views)
    if outside:
        return outside
    asked = _still_to_be_bound(current)
    for rank in (*current.members, *asked):
        if rank not in nodes:
            return f"member {rank} has no node assigned"
        pod = current.members.get(rank)
        if pod is not None and pod.node not in (None, nodes[rank]):
            return f"member {rank} runs on {pod.node}, not on {nodes[rank]}"
    taking: dict[NodeName, list[Demand]] = {}
    for rank, demand in asked.items():
        taking.setdefault(nodes[rank], []).append(demand)
    soon = current.soon(views)
    for node, demands in sorted(taking.items()):
        why = _why_not_there(node, demands, soon)
        if why:
            larger = current.templates.larger if current.templates is not None else ""
            return f"{why}; {larger}" if larger else why
    return ""


def why_larger(current: MembersState, reservation: Reservation) -> str:
    """Which member requests, or will request, more than is reserved for it; empty if none."""
    reserved = reservation.demands
    for rank, demand in _still_to_be_bound(current).items():
        if rank in reservation.nodes and not reservation.covers(rank, demand):
            given = reserved.get(rank, Demand(()))
            return larger_note([more_in_words(member_in_words(rank), demand, given)])
    return ""


def _why_outside(current: MembersState, reservation: Reservation, views: ClusterSnapshot) -> str:
    """Which node of an incomplete group is in another domain; empty if none."""
    if len(current.bound) == len(current.members):
        return ""
    ranks = current.members.keys() | _still_to_be_bound(current).keys()
    for rank in sorted(ranks & reservation.nodes.keys()):
        view = views.node_view(reservation.nodes[rank])
        if view is not None and is_outside(reservation, current.request, rank, view.node.labels):
            return f"node {view.node.name} is not in {reservation.where} any more"
    return ""


def _still_to_be_bound(current: MembersState) -> dict[Rank, Demand]:
    """Unbound members; also members without a pod, as long as nothing is bound.

    A leader must not be bound where its workers no longer fit. Once it runs, it is not restarted
    for a member that may come when the node recovers.
    """
    asked = {rank: pod.demand for rank, pod in current.members.items() if pod.node is None}
    if not current.bound and current.templates is not None:
        absent = (rank for rank in range(current.info.size) if rank not in current.members)
        asked |= {rank: current.templates.demand(rank) for rank in absent}
    return asked


def _why_not_there(node: NodeName, demands: Sequence[Demand], views: WhatIf) -> str:
    view = views.node_view(node)
    if view is None:
        return f"node {node} is gone"
    for demand in demands:
        refusal = why_not_static(demand, view.node)
        if refusal is not None:
            return f"node {node}: {refusal}"
    lack = first_lack(total(dict(d.resources) for d in demands), view.free)
    return f"node {node} has too little {lack} left" if lack else ""
