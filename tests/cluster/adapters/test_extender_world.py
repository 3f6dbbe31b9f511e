"""What the extender waits for (`cluster/adapters/extender_world.py`)."""

import asyncio
from types import SimpleNamespace

from lws_placement.cluster.adapters.extender_world import ExtenderWorld
from lws_placement.cluster.cache.cluster_cache import ClusterCache
from lws_placement.cluster.cache.topology_index import TopologyIndex
from lws_placement.cluster.codec.placeholders import encode_placeholder
from lws_placement.engine.model.groups import GroupId
from lws_placement.engine.model.pods import Demand
from lws_placement.engine.model.scale_up import Placeholder
from lws_placement.engine.objects.placement_request import Scope, TopologyRequest


def a_pod(name):
    meta = {"name": name, "namespace": "ns", "uid": f"uid-{name}", "resourceVersion": "1"}
    return {"metadata": meta, "spec": {"containers": []}}


def test_a_placeholder_counts_as_a_pod_of_its_group():
    """So the guard keeps kube-scheduler from preempting it."""
    cache = ClusterCache(TopologyIndex(), namespace="ours")
    world = ExtenderWorld(None, cache, informers=None, store=SimpleNamespace(fetch=None))
    group = GroupId("ns", "llm", "uid", "key")
    pod = encode_placeholder(
        Placeholder("0a1b", group, 0, Scope.CLUSTER),
        Demand((("cpu", 1000),)),
        namespace="ours",
        topology=TopologyRequest(outer="slice"),
        off=(),
    )
    pod["metadata"] |= {"uid": "u", "resourceVersion": "1"}
    cache.put_pod(pod)
    assert world.group_of(world.pod("u")) == group


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
