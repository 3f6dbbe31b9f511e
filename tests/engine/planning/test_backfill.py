"""A large group among small ones: its wait is bounded by what runs now, and room that it cannot use
is used.
"""

import pytest

from lws_placement.cluster.adapters.backfill import Backfill
from lws_placement.cluster.cache.topology_index import TopologyIndex
from lws_placement.engine.model.groups import Group, GroupId, Member, Occupant
from lws_placement.engine.model.pods import Demand
from lws_placement.engine.model.queue_order import turn_of
from lws_placement.engine.model.reservation import Hold, place_of
from lws_placement.engine.model.verdicts import Placed, Why
from lws_placement.engine.objects.nodes import Node
from lws_placement.engine.objects.placement_request import PlacementRequest, Scope, TopologyRequest
from lws_placement.engine.planning.backfill import RoomToCome
from lws_placement.engine.planning.single_domain import PlanMemo, plan_group
from lws_placement.engine.preemption.search import NoPreemption, WhyNoPreemption
from lws_placement.engine.reconcile.actions import Wait
from lws_placement.engine.reconcile.group_state import GroupState

SLICE, RACK = "example.com/slice", "example.com/rack"
CHIP = Demand(resources=(("tpu", 1),))
RACKS, SLICES = 3, 4
NOBODY = NoPreemption(WhyNoPreemption.NO_HELP)


def a_cluster():
    """Racks r0, r1, ... of four slices of one node each."""
    index = TopologyIndex()
    for r in range(RACKS):
        for s in range(SLICES):
            labels = {SLICE: f"r{r}s{s}", RACK: f"r{r}"}
            index.put_node(Node(f"r{r}s{s}", labels, {"tpu": 1}))
    return index


def a_group(name, *, key=SLICE, size=1, since_s=0.0, priority=0):
    members = tuple(Member(rank, CHIP) for rank in range(size))
    group = GroupId("ns", name, f"uid-{name}", "0")
    return Group(group, TopologyRequest(key), members, since_s=since_s, priority=priority)


class World:
    """Groups that come, run for a while and go, with the planner's own order and rule."""

    def __init__(self, *, backfilling=True):
        self.index = a_cluster()
        self.opened = []
        self.backfill = Backfill(self.index, opened=self._open) if backfilling else None
        self.memo = PlanMemo()
        self.waiting = []
        self.running = {}
        self.placed_at = {}
        self.now = 0

    def step(self):
        self.now += 1
        for group, (domain, until) in list(self.running.items()):
            if until <= self.now:
                self.index.drop_hold(domain, group)
                del self.running[group]
        for group, lifetime in sorted(self.waiting, key=lambda w: turn_of(w[0])):
            plan = plan_group(group, self.index.domains(group.topology_key), memo=self.memo)
            placed = isinstance(plan, Placed)
            if self.backfill is not None:
                actions = [] if placed else [Wait(plan, group, NOBODY)]
                self.decided(group.id, actions)
            if placed:
                self.index.put_hold(a_hold(group, plan))
                self.running[group.id] = (plan.domain, self.now + lifetime)
                self.placed_at[group.id.lws] = self.now
                self.waiting.remove((group, lifetime))

    def _open(self):
        self.opened.append(True)

    def decided(self, group, actions):
        """Have places been opened for others?"""
        self.opened.clear()
        self.backfill.decided(GroupState(group, (), (), None, {}, ""), actions)
        return bool(self.opened)


def a_hold(group, plan):
    demands = dict.fromkeys(plan.nodes, CHIP)
    return Hold(plan.domain, group.id, "0", "l", "r", group.size, "p", plan.nodes, demands)


LIFETIME = 5


def a_stream_of_small_groups(world, *, steps):
    """More than fit, so that each slice is taken again the moment it becomes free."""
    for step in range(steps):
        for i in range(6):
            small = a_group(f"small-{step}-{i}", since_s=float(step + 1))
            world.waiting.append((small, 1 + (step + i) % LIFETIME))
        if step == 3:
            world.waiting.append((a_group("large", key=RACK, size=4, since_s=3.5), 3))
        world.step()


def test_a_large_group_waits_no_longer_than_what_runs_in_one_domain_when_it_comes():
    world = World()
    a_stream_of_small_groups(world, steps=4 + LIFETIME + 1)
    assert world.placed_at["large"] <= 4 + LIFETIME


def test_without_the_rule_the_stream_keeps_it_waiting():
    """Else the test above proves little."""
    world = World(backfilling=False)
    a_stream_of_small_groups(world, steps=60)
    assert "large" not in world.placed_at


def test_meanwhile_small_groups_use_every_other_domain():
    world = World()
    a_stream_of_small_groups(world, steps=3)
    world.waiting.append((a_group("large", key=RACK, size=4), 3))
    world.step()
    (turn,) = world.index.awaiting()
    kept = {n.node.name for n in world.index.node_views() if turn in n.awaited}
    assert len(kept) == SLICES, "one rack and no more"
    elsewhere = [n for n in world.index.node_views() if n.node.name not in kept]
    assert all(n.holders for n in elsewhere)


def test_a_small_group_is_told_for_whom_the_room_is_kept():
    world = World()
    for r in range(RACKS):  # a foreign pod in each rack but the last
        if r < RACKS - 1:
            world.index.put_occupant(f"r{r}s1", Occupant(f"f{r}", CHIP), owner_uid="")
    world.index.put_hold(a_hold(a_group("y"), plan_group(a_group("y"), list_of(world, "r2s0"))))
    world.waiting.append((a_group("large", key=RACK, size=4), 1))
    world.step()
    later = a_group("later", since_s=9.0)
    plan = plan_group(later, list_of(world, "r2s1"))
    assert plan.reasons["r2s1"].why is Why.AWAITED
    assert plan.reasons["r2s1"].holder.lws == "large"
    urgent = a_group("urgent", since_s=9.0, priority=5)
    assert isinstance(plan_group(urgent, list_of(world, "r2s1")), Placed), "its turn is first"


def list_of(world, *values):
    return [d for d in world.index.domains(SLICE) if d.name.value in values]


def test_groups_that_all_want_whole_domains_of_one_key_keep_nothing_from_each_other():
    world = World()
    for i in range(RACKS * SLICES + 5):
        world.waiting.append((a_group(f"g{i}", since_s=float(i)), 3))
    world.step()
    assert world.index.awaiting() == []


def test_a_gang_names_the_nodes_it_would_have():
    index = a_cluster()
    gang = a_group("gang", key="", size=6)
    gang = Group(
        gang.id,
        PlacementRequest(gang=True, required_topology=RACK).of_size(6),
        gang.members,
        scope=Scope.NOBODY,
    )
    assert RoomToCome().of(gang, index) == frozenset(), "no rack has six nodes"
    small = Group(
        gang.id,
        TopologyRequest(required_topology=RACK),
        gang.members[:3],
        scope=Scope.NOBODY,
    )
    other = GroupId("ns", "other", "u", "0")
    nodes = {0: "r0s0", 1: "r1s0", 2: "r2s0"}
    demands = dict.fromkeys(nodes, CHIP)
    held = Hold(place_of(other), other, "0", "l", "r", 3, "p", nodes, demands, Scope.NOBODY)
    index.put_hold(held)
    assert len(RoomToCome().of(small, index)) == 3


@pytest.mark.parametrize("ending", ["placed", "gone"])
def test_a_place_is_open_again_when_nobody_waits_for_it(ending):
    world = World()
    a_stream_of_small_groups(world, steps=3)
    large = a_group("large", key=RACK, size=4)
    world.waiting.append((large, 1))
    world.step()
    assert world.index.awaiting()
    assert world.decided(large.id, []), "somebody else may have it"
    assert world.index.awaiting() == []
    assert not any(n.awaited for n in world.index.node_views())


def test_a_place_is_found_however_many_others_with_nobody_in_them_will_not_do():
    index = TopologyIndex()
    for i in range(100):
        index.put_node(Node(f"cpu{i}", {RACK: f"cpu{i}"}, {"cpu": 64}))
    index.put_node(Node("tpu", {RACK: "tpu", SLICE: "s"}, {"tpu": 1}))
    small = a_group("small")
    index.put_hold(a_hold(small, plan_group(small, index.domains(SLICE))))
    large = a_group("large", key=RACK)
    assert RoomToCome().of(large, index) == {"tpu"}
