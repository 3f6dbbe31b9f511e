"""A group's first pods come while the planner writes its holds: they are pinned all the same."""

import asyncio
from types import SimpleNamespace

from bench.objects import NAMESPACE, a_member, node_name
from bench.world import a_large_cluster, held

from lws_placement.cluster.adapters.admission_lookup import AdmissionLookup


def a_lookup(cache):
    informers = SimpleNamespace(synced=True)
    return AdmissionLookup(None, cache, informers=informers, extender_configured=True)


async def test_a_leader_that_comes_before_its_hold_is_pinned():
    cache = a_large_cluster(8)
    lookup = a_lookup(cache)
    asked = asyncio.create_task(lookup.pin_soon(a_member(0, 0), namespace=NAMESPACE))
    await asyncio.sleep(0)
    assert not asked.done()
    held(cache, 0, number=0, name="bench")
    pin = await asked
    assert pin.node == node_name(0)


async def test_a_leader_that_nothing_is_planned_for_is_gated_in_the_end():
    lookup = a_lookup(a_large_cluster(8))
    assert await lookup.pin_soon(a_member(0, 0), namespace=NAMESPACE) is None


async def test_a_leader_of_a_group_that_is_known_to_wait_is_gated_at_once():
    cache = a_large_cluster(8)
    cache.put_pod(a_member(0, 0))
    asked = asyncio.create_task(a_lookup(cache).pin_soon(a_member(0, 0), namespace=NAMESPACE))
    await asyncio.sleep(0)
    assert asked.done()
    assert asked.result() is None


async def test_nothing_is_left_of_those_who_waited_in_vain():
    lookup = a_lookup(a_large_cluster(8))
    await asyncio.gather(*(lookup.pin_soon(a_member(0, 0), namespace=NAMESPACE) for _ in range(3)))
    assert lookup._changes._waiting == {}
