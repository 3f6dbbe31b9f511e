"""What the extender waits for (`cluster/adapters/extender_world.py`)."""

import asyncio
from types import SimpleNamespace

from lws_placement.cluster.adapters.extender_world import ExtenderWorld
from lws_placement.cluster.cache.cluster_cache import ClusterCache
from lws_placement.cluster.cache.topology_index import TopologyIndex


def a_pod(name):
    meta = {"name": name, "namespace": "ns", "uid": f"uid-{name}", "resourceVersion": "1"}
    return {"metadata": meta, "spec": {"containers": []}}


async def test_who_waits_for_a_pod_goes_on_when_it_comes():
    cache = ClusterCache(TopologyIndex())
    world = ExtenderWorld(None, cache, informers=None, store=SimpleNamespace(fetch=None))
    waits = [asyncio.create_task(world.pod_comes(f"uid-{name}")) for name in "aab"]
    await asyncio.sleep(0)
    cache.put_pod(a_pod("a"))
    await asyncio.sleep(0)
    assert world.pod("uid-a") is not None
    assert [wait.done() for wait in waits] == [True, True, False]
    waits[2].cancel()
