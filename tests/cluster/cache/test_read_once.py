"""Reading a cluster once: kinds that a cluster may lack, and kinds that it may not."""

import pytest

from lws_placement.cluster.cache.cluster_cache import ClusterCache
from lws_placement.cluster.cache.informers import read_once
from lws_placement.cluster.cache.intake import PODS_PATH
from lws_placement.cluster.cache.topology_index import TopologyIndex
from lws_placement.errors import NotFoundError


class Api:
    """Serves everything but these paths, and has nothing."""

    def __init__(self, *lacks):
        self._lacks = lacks

    async def pages(self, path, **params):
        if path.startswith(self._lacks):
            raise NotFoundError("not served", status=404)
        yield [], "1"


async def read(*lacks):
    await read_once(Api(*lacks), ClusterCache(TopologyIndex()), namespace="ns")


async def test_a_cluster_may_lack_devices_and_leader_worker_sets():
    await read("/apis/resource.k8s.io/", "/apis/leaderworkerset.x-k8s.io/")


async def test_a_cluster_has_pods():
    with pytest.raises(NotFoundError):
        await read(PODS_PATH)
