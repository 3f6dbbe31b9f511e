"""Cluster queries of the extender: cached facts for hints, live reads where a promise depends on
the answer.
"""

from collections.abc import Sequence

from lws_placement.cluster.api.client import Api, pod_path
from lws_placement.cluster.api.coalesced_reads import CoalescedReads
from lws_placement.cluster.cache.cluster_cache import ClusterCache
from lws_placement.cluster.cache.informers import Informers
from lws_placement.cluster.cache.listener import News
from lws_placement.cluster.codec.objects import decode_pod
from lws_placement.cluster.stores.hold_store import HoldStore
from lws_placement.engine.base.raw import Raw
from lws_placement.engine.model.pods import Pod
from lws_placement.errors import NotFoundError

_GATHER_S = 0.002
"""kube-scheduler binds the workers of a group a millisecond or two apart. A later bind shares the
next read; a longer wait would cost each bind more than a read.
"""


class ExtenderWorld:
    """Implements the extender's `World` over the cache and the API server."""

    def __init__(
        self, api: Api, cache: ClusterCache, *, informers: Informers, store: HoldStore
    ) -> None:
        self._api = api
        self._informers = informers
        domains = cache.domains
        self.pod = cache.pod
        arrivals = News[str]()
        cache.on_new_pod.append(arrivals.tell)
        self.pod_comes = arrivals.next_of
        """Waits until the cache has a pod of this UID, which it does not have yet."""
        self.group_of = cache.keeps_room_for
        self.anything_held = cache.anything_held
        self.topology_keys = cache.topology_keys
        self.node_changes = domains.node_changes
        self.node = domains.node
        self.node_view = domains.node_view
        self.holds_on = domains.holds_on
        self.domains = domains.domains
        self.fetch_holds = CoalescedReads(store.fetch, gather_s=_GATHER_S).fetch
        """Reads the holds on a domain live."""
        self.fetch_pods_on = CoalescedReads(self._list_pods_on, gather_s=_GATHER_S).fetch
        """Reads live the pods that are bound to a node."""

    def ready(self) -> bool:
        return self._informers.synced

    async def _list_pods_on(self, node: str) -> Sequence[Pod]:
        """A consistent list, which the API server answers from its own cache, by an index."""
        pods = await self._api.list("/api/v1/pods", fieldSelector=f"spec.nodeName={node}")
        return [decode_pod(raw) for raw in pods.get("items") or ()]

    async def fetch_pod(self, namespace: str, name: str) -> Pod | None:
        """Reads the pod live."""
        try:
            return decode_pod(await self._api.get(pod_path(namespace, name)))
        except NotFoundError:
            return None

    async def bind(self, namespace: str, name: str, *, uid: str, node: str) -> None:
        """Create the Binding; the UID ensures that it binds this pod and not a successor."""
        body: Raw = {
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {"name": name, "namespace": namespace, "uid": uid},
            "target": {"apiVersion": "v1", "kind": "Node", "name": node},
        }
        await self._api.create(f"{pod_path(namespace, name)}/binding", body)
