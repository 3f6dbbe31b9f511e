"""What would have to end for a group to fit (`engine/preemption/blockers.py`)."""

from hypothesis import given, settings
from hypothesis import strategies as st

from lws_placement.cluster.cache.topology_index import TopologyIndex
from lws_placement.engine.fit.domain_index import Fit, fit_in
from lws_placement.engine.model.groups import Group, GroupId, Member, Occupant
from lws_placement.engine.model.pods import Demand
from lws_placement.engine.model.reservation import Hold
from lws_placement.engine.model.what_if import WhatIf
from lws_placement.engine.objects.nodes import DomainName, Node
from lws_placement.engine.objects.placement_request import TopologyRequest
from lws_placement.engine.preemption.blockers import Blockers, Infeasible, blockers_in

KEY = "example.com/slice"
DOMAIN = DomainName(KEY, "a")
ME, OTHER = GroupId("ns", "llm", "uid", "me"), GroupId("ns", "other", "uid2", "other")


def tpus(amount):
    return Demand(resources=(("tpu", amount),))


def an_index(nodes):
    index = TopologyIndex()
    for i in range(nodes):
        index.put_node(Node(f"a-{i}", {KEY: "a"}, {"tpu": 4}))
    return index


def a_group(size, amount=4):
    return Group(
        ME, TopologyRequest(KEY), tuple(Member(rank, tpus(amount)) for rank in range(size))
    )


def put(index, node, uid, amount, group=None):
    index.put_occupant(node, Occupant(uid, tpus(amount), group), owner_uid="")


def hold(index, group, nodes):
    demands = dict.fromkeys(nodes, tpus(4))
    index.put_hold(Hold(DOMAIN, group, "0", "other-0", "r", len(nodes), "p", nodes, demands))


def way(index, group):
    return blockers_in(group, index.domain(DOMAIN), views=index, occupants=index.occupants_on)


def test_a_domain_that_is_held_is_free_once_its_holder_ends():
    index = an_index(2)
    hold(index, OTHER, {0: "a-0", 1: "a-1"})
    put(index, "a-0", "o0", 4, OTHER)
    put(index, "a-1", "o1", 4, OTHER)
    assert way(index, a_group(2)) == Blockers(groups=(OTHER,))


def test_only_foreign_pods_that_are_in_the_way_are_named():
    index = an_index(3)
    put(index, "a-0", "small", 1)
    put(index, "a-0", "large", 3)
    put(index, "a-2", "whole", 4)
    assert way(index, a_group(1)) == Blockers()
    assert way(index, a_group(2)) == Blockers(pods=("whole",))
    assert way(index, a_group(3)) == Blockers(pods=("large", "small", "whole"))
    assert way(index, a_group(3, amount=1)) == Blockers()
    assert way(index, a_group(9, amount=1)) == Blockers(pods=("small", "whole"))


def test_groups_and_foreign_pods_may_both_have_to_end():
    index = an_index(2)
    hold(index, OTHER, {0: "a-0"})
    put(index, "a-0", "o0", 4, OTHER)
    put(index, "a-1", "foreign", 2)
    assert way(index, a_group(2)) == Blockers(groups=(OTHER,), pods=("foreign",))


def test_nothing_helps_a_group_that_is_too_large_for_the_domain():
    assert isinstance(way(an_index(2), a_group(3)), Infeasible)
    assert isinstance(way(an_index(2), a_group(1, amount=5)), Infeasible)


@settings(max_examples=200)
@given(
    st.lists(st.lists(st.integers(1, 2), max_size=3), min_size=1, max_size=3),
    st.integers(1, 3),
    st.integers(1, 4),
)
def test_what_is_named_suffices_and_none_of_it_could_stay(pods, size, amount):
    index = an_index(len(pods))
    for node, amounts in enumerate(pods):
        for i, taken in enumerate(amounts):
            put(index, f"a-{node}", f"{node}-{i}", taken)
    group = a_group(size, amount)

    def fits_without(uids):
        uids = frozenset(uids)
        gone = dict.fromkeys(index.nodes_of(DOMAIN), uids)
        return isinstance(fit_in(group, WhatIf(index, gone).domain(DOMAIN)), Fit)

    match way(index, group):
        case Infeasible():
            assert not fits_without(f"{n}-{i}" for n in range(3) for i in range(3))
        case Blockers(pods=named):
            assert fits_without(named)
            assert not any(fits_without(set(named) - {one}) for one in named)
