"""What the extender asks of the cluster: cached facts for hints, live reads where a promise depends
on it.
"""

from collections.abc import Mapping, Sequence

from lws_placement.cluster.api.client import Api, pod_path
from lws_placement.cluster.api.coalesced_reads import CoalescedReads
from lws_placement.cluster.cache.cluster_cache import ClusterCache
from lws_placement.cluster.cache.informers import Informers
from lws_placement.cluster.codec.objects import decode_pod
from lws_placement.cluster.stores.hold_store import HoldStore
from lws_placement.engine.base.raw import Raw
from lws_placement.engine.model.groups import GroupId
from lws_placement.engine.model.nodes import DomainName
from lws_placement.engine.model.pods import Pod
from lws_placement.engine.model.reservation import Hold
from lws_placement.engine.model.snapshot import Changes, DomainSet, NodeView
from lws_placement.errors import NotFoundError

_GATHER_S = 0.002
"""kube-scheduler binds the workers of a group a millisecond or two after one another. Who comes
later shares the next read; to wait longer would cost each bind more than a read.
"""


class ExtenderWorld:
    """The extender's world over the mirrored cache and the API server."""

    def __init__(
        self, api: Api, cache: ClusterCache, *, mirror: Informers, store: HoldStore
    ) -> None:
        self._api = api
        self._cache = cache
        self._mirror = mirror
        self._holds = CoalescedReads(store.fetch, gather_s=_GATHER_S)

    def ready(self) -> bool:
        return self._mirror.synced

    def pod(self, uid: str) -> Pod | None:
        return self._cache.pod(uid)

    async def fetch_pod(self, namespace: str, name: str) -> Pod | None:
        """The pod as the API server has it now."""
        try:
            return decode_pod(await self._api.get(pod_path(namespace, name)))
        except NotFoundError:
            return None

    def group_of(self, pod: Pod) -> GroupId | None:
        return self._cache.group_of(pod)

    def group_pods(self, group: GroupId) -> Sequence[Pod]:
        return self._cache.group_pods(group)

    def node_labels(self, node: str) -> Mapping[str, str]:
        found = self._cache.domains.node(node)
        return found.labels if found is not None else {}

    @property
    def node_changes(self) -> Changes:
        return self._cache.domains.node_changes

    def node_view(self, node: str) -> NodeView | None:
        return self._cache.domains.node_view(node)

    def anything_held(self) -> bool:
        return self._cache.anything_held()

    def holds_on(self, node: str) -> Sequence[Hold]:
        return self._cache.domains.holds_on(node)

    def topology_keys(self) -> Sequence[str]:
        return self._cache.topology_keys()

    def domains(self, key: str) -> DomainSet:
        return self._cache.domains.domains(key)

    async def fetch_holds(self, domain: DomainName) -> Sequence[Hold]:
        """The holds on the domain as the API server has them now."""
        return await self._holds.fetch(domain)

    async def bind(self, namespace: str, name: str, *, uid: str, node: str) -> None:
        """Create the Binding; the UID makes sure that it is this pod and not a successor."""
        body: Raw = {
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {"name": name, "namespace": namespace, "uid": uid},
            "target": {"apiVersion": "v1", "kind": "Node", "name": node},
        }
        await self._api.create(f"{pod_path(namespace, name)}/binding", body)
