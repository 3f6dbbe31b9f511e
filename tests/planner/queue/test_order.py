"""Groups that come at once: the planner places the greatest prefix of the order that fits.

The order is priority, then age, then name (namespace, LeaderWorkerSet, group). All nodes are alike
and a member takes a whole one, so that a set of groups fits if, from the largest on, each finds a
domain of its own with as many usable nodes as it has members.
"""

import asyncio
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from lws_placement.cluster.cache.cluster_cache import ClusterCache
from lws_placement.cluster.cache.topology_index import TopologyIndex
from lws_placement.engine.model.failure_history import Policy
from lws_placement.engine.model.groups import Occupant
from lws_placement.engine.model.pods import Demand
from lws_placement.engine.objects.nodes import Node
from lws_placement.engine.reconcile.actions import Wait, WriteHold
from lws_placement.planner.assumed_holds import AssumedHolds
from lws_placement.planner.failure_tracker import FailureTracker
from lws_placement.planner.limits.pace import Pace
from lws_placement.planner.planner import Planner

KEY = "example.com/slice"
P = "leaderworkerset.sigs.k8s.io"
FOREIGN = Demand(resources=(("google.com/tpu", 4), ("pods", 1)))

names = st.tuples(st.sampled_from("ab"), st.sampled_from("xyz"), st.integers(0, 1))
asks = st.tuples(st.integers(1, 3), st.sampled_from((0, 0, 10)), st.sampled_from((0, 0, 0, 1)))
groups = st.dictionaries(names, asks, min_size=1, max_size=8)
"""(namespace, LWS, index) -> (size, priority, second of creation)."""
domains = st.lists(st.tuples(st.integers(1, 3), st.integers(0, 2)), max_size=6)
"""(nodes, of which foreign pods have taken), per domain."""


def a_pod(name, rank, *, size, priority, second):
    namespace, lws, index = name
    leader = f"{lws}-{index}"
    pod_name = f"{leader}-{rank}" if rank else leader
    return {
        "metadata": {
            "namespace": namespace,
            "name": pod_name,
            "uid": f"{namespace}/{pod_name}",
            "resourceVersion": "1",
            "creationTimestamp": f"2026-01-01T00:00:0{second}Z",
            "labels": {
                f"{P}/name": lws,
                f"{P}/group-key": f"key-{index}",
                f"{P}/group-index": str(index),
                f"{P}/worker-index": str(rank),
            },
            "annotations": {
                f"{P}/size": str(size),
                f"{P}/exclusive-topology": KEY,
                "lws-placement.dev/lws-uid": f"uid-{namespace}-{lws}",
            },
            "ownerReferences": [
                {
                    "kind": "StatefulSet",
                    "name": leader if rank else lws,
                    "uid": "owner",
                    "controller": True,
                }
            ],
        },
        "spec": {
            "priority": priority,
            "schedulingGates": [{"name": "lws-placement.dev/unplanned"}],
            "containers": [{"resources": {"requests": {"google.com/tpu": "4"}}}],
        },
    }


def a_cluster(asked, shapes):
    index = TopologyIndex()
    cache = ClusterCache(index)
    for d, (nodes, taken) in enumerate(shapes):
        for n in range(nodes):
            room = {"google.com/tpu": 4, "pods": 110}
            index.put_node(Node(f"d{d}-{n}", {KEY: f"d{d}"}, room))
            if n < taken:
                index.put_occupant(f"d{d}-{n}", Occupant(f"f{d}-{n}", FOREIGN), owner_uid="")
    for name, (size, priority, second) in asked.items():
        for rank in range(size):
            cache.put_pod(a_pod(name, rank, size=size, priority=priority, second=second))
    return cache


class Recorder:
    """Stands in for the API server: every write succeeds. Knows what became of each group."""

    def __init__(self, cache):
        self.cache = cache
        self.assumed = AssumedHolds(cache)
        self.holds = {}
        self.told = set()
        self.news = asyncio.Event()

    async def apply(self, group, action):
        name = (group.namespace, group.lws, int(group.group_key.removeprefix("key-")))
        match action:
            case WriteHold(hold):
                assert name not in self.holds, "a group is placed once"
                self.holds[name] = hold
                self.cache.put_hold(replace(hold, resource_version="1", uid="lease"))
            case Wait():
                self.told.add(name)
        self.news.set()


async def plan(asked, shapes):
    """Until every group has a hold or was told that it waits."""
    cache = a_cluster(asked, shapes)
    recorder = Recorder(cache)
    failures = FailureTracker(cache, store=None, clock=lambda: 0.0, policy=Policy())
    pace = Pace(clock=asyncio.get_running_loop().time, hold_s=0)
    task = asyncio.create_task(Planner(cache, recorder, pace=pace, failures=failures).run())
    async with asyncio.timeout(30):
        while len(recorder.told | set(recorder.holds)) < len(asked):
            await recorder.news.wait()
            recorder.news.clear()
    task.cancel()
    await asyncio.wait([task])
    return recorder


def fit_together(sizes, rooms):
    rooms = sorted(rooms, reverse=True)
    sizes = sorted(sizes, reverse=True)
    return len(sizes) <= len(rooms) and all(s <= r for s, r in zip(sizes, rooms, strict=False))


@settings(max_examples=150)
@given(groups, domains)
def test_the_greatest_prefix_of_the_order_that_fits_is_placed_whole(asked, shapes):
    recorder = asyncio.run(plan(asked, shapes))
    order = sorted(asked, key=lambda name: (-asked[name][1], asked[name][2], name))
    rooms = [max(nodes - taken, 0) for nodes, taken in shapes]
    length = max(
        n for n in range(len(order) + 1) if fit_together([asked[g][0] for g in order[:n]], rooms)
    )
    assert set(order[:length]) <= set(recorder.holds)

    used = [hold.domain for hold in recorder.holds.values()]
    assert len(used) == len(set(used)), "one group per domain"
    for name, hold in recorder.holds.items():
        assert sorted(hold.nodes) == list(range(asked[name][0])), "a node for every member"
        assert len(set(hold.nodes.values())) == asked[name][0], "of its own"

    if len({size for size, _, _ in asked.values()}) == 1:
        assert set(recorder.holds) == set(order[:length]), "and nobody out of turn"
        assert recorder.told >= set(order[length:]), "who waits is told"
