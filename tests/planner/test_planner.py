"""What one group's writes wait for, and what the planner looks at again."""

import asyncio
from dataclasses import replace

from bench.objects import a_member
from bench.world import a_large_cluster

from lws_placement.engine.model.failure_history import Policy
from lws_placement.engine.reconcile.actions import Pin, WriteHold
from lws_placement.planner.assumed_holds import AssumedHolds
from lws_placement.planner.failure_tracker import FailureTracker
from lws_placement.planner.limits.pace import Pace
from lws_placement.planner.planner import Planner


class Slow:
    """Holds are written at once; no pin is answered before all members' pins are under way."""

    def __init__(self, cache, size):
        self.cache = cache
        self.pins = []
        self.size = size
        self.all_under_way = asyncio.Event()
        self.assumed = AssumedHolds(cache)

    async def apply(self, group, action):
        match action:
            case WriteHold(hold):
                self.cache.put_hold(replace(hold, resource_version="1", uid="lease"))
            case Pin(pod):
                self.pins.append(pod.name)
                if len(self.pins) == self.size:
                    self.all_under_way.set()
                await self.all_under_way.wait()


async def test_pins_of_one_group_do_not_wait_for_each_other():
    cache = a_large_cluster(8)
    for rank in range(4):
        cache.put_pod(a_member(0, rank))
    actor = Slow(cache, size=4)
    pace = Pace(clock=asyncio.get_running_loop().time, hold_s=0)
    failures = FailureTracker(cache, store=None, clock=lambda: 0.0, policy=Policy())
    task = asyncio.create_task(Planner(cache, actor, pace=pace, failures=failures).run())
    await asyncio.wait_for(actor.all_under_way.wait(), 30)
    assert sorted(actor.pins) == ["bench-0", "bench-0-1", "bench-0-2", "bench-0-3"]
    task.cancel()
    await asyncio.wait([task])


class Listener:
    def __init__(self):
        self.changed = []

    def group_changed(self, group):
        self.changed.append(group)

    def pod_waits(self, uid):
        pass

    def lws_changed(self, namespace, name):
        pass

    def capacity_changed(self):
        pass

    def room_taken(self, node):
        pass


def test_a_status_that_says_nothing_new_makes_nobody_look_again():
    cache = a_large_cluster(4)
    cache.put_pod(a_member(0, 0, version=1))
    listener = Listener()
    cache.listeners.append(listener)
    later = a_member(0, 0, version=2)
    later["status"]["podIP"] = "10.0.0.1"
    cache.put_pod(later)
    assert listener.changed == []
    assert cache.pod("uid-bench-0").resource_version == "2"
    cache.put_pod(a_member(0, 0, gated=False, version=3))
    assert len(listener.changed) == 1
