"""The plan on the nodes that can matter is the plan on the whole cluster."""

from hypothesis import given, settings
from hypothesis import strategies as st
from support.multi_domain_strategies import ME, RACK, SLICE, ZONE, asks, demands

from lws_placement.cluster.cache.topology_index import TopologyIndex
from lws_placement.engine.fit.assignment import NoMatch
from lws_placement.engine.fit.index_cache import FitIndexCache
from lws_placement.engine.messages import gist, waiting_note
from lws_placement.engine.model.groups import Group, GroupId, Member, Occupant
from lws_placement.engine.model.pods import Demand
from lws_placement.engine.model.queue_order import turn_of
from lws_placement.engine.model.reservation import Hold
from lws_placement.engine.model.verdicts import Placed
from lws_placement.engine.objects.nodes import DomainName, Node
from lws_placement.engine.objects.placement_request import PlacementRequest, Scope
from lws_placement.engine.planning.backfill import RoomToCome
from lws_placement.engine.planning.candidates import subset_for
from lws_placement.engine.planning.infeasible import why_infeasible
from lws_placement.engine.planning.multi_domain import place_multi_domain, plan_multi_domain
from lws_placement.engine.planning.single_domain import PlanMemo
from lws_placement.engine.reconcile import placement as placing
from lws_placement.engine.reconcile.placement import is_room_for

NODES = 14
EARLIER = GroupId("ns", "other", "uid2", "earlier")


@st.composite
def towns(draw):
    """Mostly alike, so that there is more to choose from than a group needs."""
    index = TopologyIndex()
    slices = draw(st.integers(3, 9))
    crossing = draw(st.booleans())
    for i in range(NODES):
        value = i % slices
        rack = draw(st.integers(0, 2)) if crossing else value % 3
        zone = draw(st.integers(0, 1)) if crossing else rack % 2
        labels = {SLICE: f"s{value}", RACK: f"r{rack}", ZONE: f"z{zone}"}
        room = {"cpu": draw(st.sampled_from([2, 2, 4])), "tpu": draw(st.sampled_from([0, 2, 2]))}
        index.put_node(Node(f"n{i:02}", labels, room))
    return index


@st.composite
def large_groups(draw):
    ask = draw(asks)
    size = draw(st.integers(1, 5))
    if ask.subgroup_topology:
        size = draw(st.sampled_from([3, 5] if ask.leader_excluded else [2, 4]))
    leader = draw(demands)
    worker = draw(st.one_of(st.just(leader), demands))
    members = [Member(rank, worker if rank else leader) for rank in range(size)]
    if draw(st.integers(0, 4)) == 0:
        members[-1] = Member(size - 1, draw(demands))
    return Group(ME, ask.of_size(size), tuple(members), scope=ask.claims)


def things_that_happen(draw, index):
    """A few changes between two questions."""
    others = GroupId("far", "other", "uid3", "stranger"), GroupId("ns", "llm", "uid", "sister")
    for number in range(draw(st.integers(0, 5))):
        node = f"n{draw(st.integers(0, NODES - 1)):02}"
        match draw(st.integers(0, 3)):
            case 0:
                group = draw(st.sampled_from([None, *others]))
                guest = Occupant(f"x{number}", Demand((("cpu", 2),)), group, Scope.NOBODY)
                index.put_occupant(node, guest, owner_uid="")
            case 1:
                index.drop_occupant(node, f"x{draw(st.integers(0, 4))}")
            case 2:
                scope = draw(st.sampled_from([Scope.CLUSTER, Scope.LWS]))
                domain = DomainName(SLICE, f"s{draw(st.integers(0, 8))}")
                group = draw(st.sampled_from(others))
                index.put_hold(Hold(domain, group, "0", "l", "r", 1, "p", {}, {}, scope))
            case 3:
                index.await_room(
                    (0, draw(st.sampled_from([-1.0, 1.0])), EARLIER), frozenset({node})
                )


@settings(max_examples=500)
@given(towns(), st.lists(large_groups(), min_size=1, max_size=2), st.data())
def test_the_plan_is_that_of_the_whole_cluster(index, groups, data):
    rooms = FitIndexCache()
    for _ in range(3):
        things_that_happen(data.draw, index)
        for group in groups:
            found = place_multi_domain(group, subset_for(group, index, rooms))
            assert found == place_multi_domain(group, index)


@settings(max_examples=300)
@given(towns(), st.lists(large_groups(), min_size=1, max_size=2), st.data())
def test_a_refusal_is_that_of_the_whole_cluster_word_for_word(index, groups, data):
    memo = PlanMemo()
    for _ in range(3):
        things_that_happen(data.draw, index)
        for group in groups:
            alone = plan_multi_domain(group, index)
            if isinstance(alone, Placed):
                continue
            told = why_infeasible(group, index, memo)
            if told is not None:
                assert told == alone
                assert waiting_note(told, size=group.size) == waiting_note(alone, size=group.size)
                assert gist(told) == gist(alone)


def test_a_refusal_names_the_groups_own_member_though_another_group_asks_for_as_much():
    index = TopologyIndex()
    index.put_node(Node("n0", {SLICE: "s0"}, {"cpu": 2}))
    worker = Demand(resources=(("cpu", 1), ("tpu", 1)))

    def a_group_of(size, *, leader_excluded):
        ask = PlacementRequest(
            subgroup_topology=SLICE, subgroup_size=2, leader_excluded=leader_excluded
        )
        members = tuple(Member(rank, worker) for rank in range(size))
        return Group(ME, ask.of_size(size), members, scope=ask.claims)

    memo = PlanMemo()
    for size, leader_excluded, rank in ((2, False, 0), (3, True, 1), (2, False, 0)):
        told = why_infeasible(a_group_of(size, leader_excluded=leader_excluded), index, memo)
        assert told.reasons["s0"].shortfall.rank == rank


def test_nodes_that_serve_nobody_are_left_out_and_of_many_that_do_a_few_are_looked_at():
    index = TopologyIndex()
    for i in range(100):
        index.put_node(Node(f"n{i:02}", {SLICE: f"s{i}"}, {"tpu": 1 if i % 2 else 0}))
    members = tuple(Member(rank, Demand((("tpu", 1),))) for rank in range(2))
    gang = Group(ME, PlacementRequest(gang=True).of_size(2), members, scope=Scope.NOBODY)
    ask = PlacementRequest(subgroup_topology=SLICE, subgroup_size=1)
    apart = Group(ME, ask.of_size(2), members)
    for group in gang, apart:
        part = subset_for(group, index, FitIndexCache())
        names = {n.node.name for n in part.node_views()}
        assert names <= {f"n{i:02}" for i in range(1, 100, 2)}
        assert len(names) <= 5


@settings(max_examples=300)
@given(towns(), large_groups(), st.data())
def test_what_a_group_waits_for_serves_it_once_nobody_is_there_and_there_is_such_a_place_if_any(
    index, group, data
):
    coming = RoomToCome()
    for _ in range(2):
        things_that_happen(data.draw, index)
        nodes = coming.of(group, index)
        empty = without_groups(index, group)
        serves = isinstance(place_multi_domain(group, empty), Placed)
        assert bool(nodes) is serves
        if nodes:
            for name in set(NAMES) - nodes:
                empty.drop_node(name)
            assert isinstance(place_multi_domain(group, empty), Placed)


NAMES = [f"n{i:02}" for i in range(NODES)]


def without_groups(index, group):
    """The same nodes and foreign pods; what earlier groups wait for is away."""
    empty = TopologyIndex()
    for view in index.node_views():
        empty.put_node(view.node)
        for occupant in index.occupants_on(view.node.name):
            if occupant.group is None:
                empty.put_occupant(view.node.name, occupant, owner_uid="")
        earlier = {turn for turn in view.awaited if turn < turn_of(group)}
        if earlier:
            empty.await_room(min(earlier), frozenset({view.node.name}))
    return empty


def test_a_refusal_is_not_asked_for_twice_in_one_state(monkeypatch):
    asked = []

    def counting(group, where):
        asked.append(group)
        return NoMatch.IMPOSSIBLE

    monkeypatch.setattr(placing, "place_multi_domain", counting)
    index = TopologyIndex()
    members = (Member(0, Demand((("tpu", 1),))),)
    gang = Group(ME, PlacementRequest(gang=True).of_size(2), members, scope=Scope.NOBODY)
    memo = PlanMemo()
    assert not is_room_for(gang, index, memo)
    assert not is_room_for(gang, index, memo)
    assert len(asked) == 1
