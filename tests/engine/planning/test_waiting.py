"""Asking a few of the waiting groups places as many as planning them all."""

import gc
import tracemalloc
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from lws_placement.engine.model.exclusivity import claim_of
from lws_placement.engine.model.groups import Group, GroupId, Member
from lws_placement.engine.model.pods import Demand
from lws_placement.engine.model.snapshot import DomainSet, DomainView, NodeView
from lws_placement.engine.model.verdicts import Placed
from lws_placement.engine.objects.nodes import DomainName, Node
from lws_placement.engine.objects.placement_request import TopologyRequest
from lws_placement.engine.planning.single_domain import PlanMemo, plan_group
from lws_placement.engine.planning.waiting import WaitingClasses

KEY = "example.com/slice"


def a_group(number, *, tpu=1, priority=0, since_s=0.0):
    demand = Demand(resources=(("tpu", tpu),))
    key = GroupId("ns", "llm", "uid", f"g{number}")
    return Group(
        key, TopologyRequest(KEY), (Member(0, demand),), priority=priority, since_s=since_s
    )


def a_domain(value, *, tpu, holder=None):
    node = Node(f"{value}-0", {KEY: value}, {"tpu": tpu})
    holders = frozenset() if holder is None else frozenset({holder})
    return DomainView(DomainName(KEY, value), (NodeView(node, node.allocatable),), holders)


def place(group, domains, memo):
    plan = plan_group(group, domains, memo=memo)
    if isinstance(plan, Placed):
        view = domains.get(plan.domain.value)
        domains.put(replace(view, holders=frozenset({claim_of(group)})))
    return isinstance(plan, Placed)


def waiting(*groups):
    questions = WaitingClasses()
    for group in groups:
        questions.put(group)
    return questions


def worth_asking(questions, domains, memo=None):
    """Of all classes that want one domain."""
    memo = memo or PlanMemo()
    found = [
        questions.worth_asking(question, lambda _: domains, memo)
        for question in questions.questions(several=False)
    ]
    return set().union(*found)


def test_of_groups_that_ask_the_same_as_many_are_asked_as_domains_are_free():
    domains = DomainSet([a_domain("a", tpu=1), a_domain("b", tpu=1), a_domain("c", tpu=0)])
    groups = [a_group(1, since_s=3), a_group(2, since_s=1), a_group(3, priority=1, since_s=9)]
    found = worth_asking(waiting(*groups), domains)
    assert found == {groups[1].id, groups[2].id}


def test_nobody_is_asked_for_room_that_fits_nobody():
    domains = DomainSet([a_domain("a", tpu=1), a_domain("b", tpu=9, holder=claim_of(a_group(7)))])
    questions = waiting(a_group(1, tpu=2), a_group(2, tpu=2))
    assert worth_asking(questions, domains) == set()


def test_a_group_that_asks_something_else_is_asked_once_under_its_new_question():
    domains = DomainSet([a_domain("a", tpu=1)])
    questions = waiting(a_group(1, tpu=2), a_group(1, tpu=1))
    assert worth_asking(questions, domains) == {a_group(1).id}
    assert questions.drop(a_group(1).id)
    assert not questions.drop(a_group(1).id)
    assert len(questions) == 0


def test_a_thousand_large_groups_that_ask_the_same_cost_little_each():
    def a_large_group(number):
        members = tuple(Member(rank, Demand((("tpu", 1), ("pods", 1)))) for rank in range(512))
        return replace(a_group(number), members=members)

    questions = WaitingClasses()
    questions.put(a_large_group(0))
    gc.collect()
    tracemalloc.start()
    try:
        for number in range(1, 1001):
            assert not questions.put(a_large_group(number))
        gc.collect()
        each = tracemalloc.get_traced_memory()[0] / 1000
    finally:
        tracemalloc.stop()
    assert each < 3000
    assert len(questions) == 1001


@settings(max_examples=200)
@given(
    st.lists(st.tuples(st.integers(1, 3), st.integers(0, 2)), min_size=1, max_size=6),
    st.lists(st.tuples(st.sampled_from("abcd"), st.integers(0, 3)), max_size=8),
)
def test_asking_those_worth_it_places_the_same_groups_as_planning_all(kinds, events):
    groups = [a_group(i, tpu=t, priority=p, since_s=i) for i, (t, p) in enumerate(kinds)]
    some, every = DomainSet(), DomainSet()
    questions, memo = waiting(*groups), PlanMemo()
    left = list(groups)
    for value, tpu in events:
        for domains in (some, every):
            old = domains.get(value)
            view = a_domain(value, tpu=tpu)
            domains.put(replace(view, holders=old.holders) if old else view)
        asked = worth_asking(questions, some, memo)
        in_order = sorted(groups, key=lambda g: (-g.priority, g.since_s, g.id))
        for group in in_order:
            if group.id in asked and place(group, some, memo):
                questions.drop(group.id)
        left = [g for g in in_order if g in left and not place(g, every, None)]
        assert set(questions) == {g.id for g in left}
