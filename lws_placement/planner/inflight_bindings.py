"""Foreign pods that kube-scheduler has assigned to a node while their Binding is in flight.

The cache shows them on no node, and the guard let them pass, as nothing was held there. So if a
queued foreign pod requests a device that a new hold reserves, and fits on its nodes, the planner
waits until the hold has been visible for a moment, and reads the nodes again before it pins. After
that moment the guard keeps such pods off, and pods that had passed it are bound. Without such a pod
nothing is read and nothing waits. Repair handles a pod that is bound even later.
"""

import asyncio
from collections.abc import Sequence, Set

from lws_placement.cluster.api.client import Api
from lws_placement.cluster.cache.cluster_cache import ClusterCache
from lws_placement.engine.fit.node_filters import fits_node
from lws_placement.engine.model.pods import Demand
from lws_placement.engine.model.reservation import Hold
from lws_placement.engine.objects.nodes import NodeName
from lws_placement.errors import ConflictError

_VISIBLE_S = 0.2  # for the extenders' watches and a Binding in flight
_NO_DEVICES = frozenset({"cpu", "memory", "ephemeral-storage", "pods"})


class InflightBindings:
    def __init__(self, api: Api, cache: ClusterCache) -> None:
        self._api = api
        self._cache = cache

    async def look_again(self, holds: Sequence[Hold]) -> None:
        """`holds`: of one plan, just written. Raises ConflictError if a pod was bound there."""
        nodes = {node for hold in holds for node in hold.nodes.values()}
        queued = {pod.demand for pod in self._cache.unbound.queued}
        if not any(self._races(demand, holds) for demand in queued):
            return
        before = self._occupants_on(nodes)
        await asyncio.sleep(_VISIBLE_S)
        await asyncio.gather(*map(self._read, sorted(nodes)))
        if not self._occupants_on(nodes) <= before:
            raise ConflictError(f"a pod was bound in {holds[0].domain} meanwhile", status=409)

    def _races(self, demand: Demand, holds: Sequence[Hold]) -> bool:
        asked = {name for name, amount in demand.resources if amount} - _NO_DEVICES
        for hold in holds:
            views = [self._cache.domains.node_view(n) for n in sorted({*hold.nodes.values()})]
            reserved = {name for d in hold.demands.values() for name, _ in d.resources}
            if asked & reserved and any(
                v is not None and fits_node(demand, v.without({hold.group})) for v in views
            ):
                return True
        return False

    def _occupants_on(self, nodes: Set[NodeName]) -> Set[str]:
        return {o.uid for node in nodes for o in self._cache.domains.occupants_on(node)}

    async def _read(self, node: NodeName) -> None:
        where = {"fieldSelector": f"spec.nodeName={node}"}
        items, _ = await self._api.list_all("/api/v1/pods", **where)
        for raw in items:
            self._cache.put_pod(raw)
