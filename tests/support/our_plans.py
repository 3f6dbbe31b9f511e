"""What we plan for one group after another on a cluster, by the planner's own function.

The cache is kept and follows pods and claims, as the planner's does, so plans are made with
indexes that were made before.
"""

from support.our_verdicts import decoded, fill

from lws_placement.cluster.cache.cluster_cache import ClusterCache
from lws_placement.cluster.cache.intake import Intake
from lws_placement.cluster.cache.topology_index import TopologyIndex
from lws_placement.engine.model.groups import Group, GroupId, Member
from lws_placement.engine.model.pods import MemberInfo
from lws_placement.engine.objects.placement_request import PlacementRequest
from lws_placement.engine.objects.pod_volumes import PodIdentity
from lws_placement.engine.planning.single_domain import PlanMemo
from lws_placement.engine.reconcile.group_state import GroupState, MembersState
from lws_placement.engine.reconcile.placement import plan_anywhere


class OurPlans:
    """`items(path, **params)` lists, as `AdminApi.items`."""

    def __init__(self, items):
        self._items = items
        self._cache = ClusterCache(TopologyIndex())
        self._intake = Intake(self._cache, namespace="lws-placement-system")
        self._memo = PlanMemo()
        fill(self._intake, items)
        self._followed = [self._intake.devices["ResourceClaim"], self._intake.pods]
        self._seen = {kind.path: items(kind.path) for kind in self._followed}

    def nodes(self):
        return [view.node for view in self._cache.domains.node_views()]

    def domains(self, key):
        """Value -> names of its nodes."""
        return {d.name.value: sorted(d.node_names) for d in self._cache.domains.domains(key)}

    def plan(self, asked, raws):
        """`asked`: a random group; `raws`: its pods as the API server has them, by rank."""
        for kind in self._followed:
            self._follow(kind)
        pods = [decoded(raw) for raw in raws]
        self._cache.devices.expect(*(pod.demand for pod in pods))
        group = Group(
            GroupId(asked.namespace, asked.name, f"uid of {asked.name}", "0"),
            asked.request,
            tuple(Member(rank, pod.demand) for rank, pod in enumerate(pods)),
            identity_of=lambda rank: PodIdentity(labels=dict(pods[rank].labels)),
        )
        return plan_anywhere(
            group, _owning_nothing(group), self._cache.domains, memo=self._memo, owns=False
        )

    def _follow(self, kind):
        found = self._items(kind.path)
        there = {raw["metadata"]["uid"] for raw in found}
        for raw in self._seen[kind.path]:
            if raw["metadata"]["uid"] not in there:
                kind.drop(raw)
        for raw in found:
            kind.put(raw)
        self._seen[kind.path] = found


def _owning_nothing(group):
    observed = GroupState(group.id, pods=(), holds=(), lws=None, templates={}, plan_id="plan")
    info = MemberInfo(
        group_key="0",
        group_index="0",
        lws=group.id.lws,
        lws_uid=group.id.lws_uid,
        rank=0,
        size=group.size,
        revision="",
        request=PlacementRequest(),
        leader_name=f"{group.id.lws}-0",
    )
    return MembersState(observed, info, members={}, going={}, tied_to=frozenset())
