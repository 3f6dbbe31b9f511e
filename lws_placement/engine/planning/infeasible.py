"""Why a group of several domains or of a region finds no room, from the indexes of its shapes.

The answer equals that of a plan on the whole cluster (`multi_domain.py`) where each domain by
itself refuses the group, or one of its subgroups. It costs only the domains that changed since the
last call, not a check of all domains.
"""

from collections.abc import Sequence
from dataclasses import replace

from lws_placement.engine.model.groups import Group, Member
from lws_placement.engine.model.pods import Rank
from lws_placement.engine.model.snapshot import ClusterSnapshot
from lws_placement.engine.model.verdicts import NoFit, Placed
from lws_placement.engine.planning.candidates import part_of, subgroup_shapes, subset_for
from lws_placement.engine.planning.multi_domain import place_multi_domain
from lws_placement.engine.planning.single_domain import PlanMemo, refuse


def why_infeasible(group: Group, views: ClusterSnapshot, memo: PlanMemo) -> NoFit | None:
    """For a group that owns nothing and fits nowhere. None: no reason per domain explains it."""
    request = group.request
    if request.outer:
        if request.subgroups or not _are_within(request.outer, request.required_topology, views):
            return None
        return _refused(group, request.outer, group.members, views=views, memo=memo)
    if not request.subgroups or request.required_topology:
        return None
    inside = request.in_subgroups
    without_loose = replace(group, members=tuple(m for m in group.members if m.rank in inside))
    if len(inside) < group.size and isinstance(
        place_multi_domain(without_loose, subset_for(without_loose, views, memo.indexes)), Placed
    ):
        return None
    hardest = _hardest(group, views=views, memo=memo)
    found = _refused(group, request.inner, hardest, views=views, memo=memo)
    return replace(found, wanted=len(request.subgroups))


def _refused(
    group: Group, key: str, members: Sequence[Member], *, views: ClusterSnapshot, memo: PlanMemo
) -> NoFit:
    part = part_of(group, key, members)
    return refuse(part, memo.indexes.of_ranks(part, views.domains(key)))


def _hardest(group: Group, *, views: ClusterSnapshot, memo: PlanMemo) -> Sequence[Member]:
    """The members of the subgroup that the fewest domains would take."""
    shapes = subgroup_shapes(group)
    if len(shapes) == 1:
        return shapes[0]
    domains = views.domains(group.request.inner)

    def takers(members: Sequence[Member]) -> tuple[int, Rank]:
        part = part_of(group, group.request.inner, members)
        return memo.free_domains(part, domains), members[0].rank

    return min(shapes, key=takers)


def _are_within(key: str, region: str, views: ClusterSnapshot) -> bool:
    """Whether each domain of `key` lies in one region as a whole."""
    if not region:
        return True
    for domain in views.domains(key):
        values = {node.node.labels.get(region) for node in domain.nodes}
        if len(values) > 1 or None in values:
            return False
    return True
