"""Who is evicted for a group, and that it is nobody in vain (`engine/preemption/search.py`)."""

from dataclasses import replace

import pytest
from support.tenants import KEY, ME, Town, a_budget, a_demand, a_group, a_group_id

from lws_placement.engine.messages import preemption_note
from lws_placement.engine.model.hold_states import HoldState
from lws_placement.engine.model.pods import PodPhase
from lws_placement.engine.model.queue_order import turn_of
from lws_placement.engine.objects.nodes import DomainName
from lws_placement.engine.objects.placement_request import Scope
from lws_placement.engine.preemption.search import (
    NoPreemption,
    Preemption,
    PreemptionMemo,
    WhyNoPreemption,
    preempt,
)

EIGHT = a_demand(gpu=8)
FOUR = a_group(EIGHT, EIGHT, EIGHT, EIGHT)
ONE = a_group(a_demand(gpu=1))


def victims(answer):
    assert isinstance(answer, Preemption), answer
    return [v.name for v in answer.victims]


def preempted(town, group):
    return preempt(group, town.domains(), town)


def a_slice_of(town, value, name, *, priority=0, nodes=4, **fields):
    """A group that has a whole domain."""
    town.add_domain(value, nodes=nodes, gpu=8)
    group = a_group_id(name)
    for i in range(nodes):
        pod = f"{name}-{i}"
        town.add_pod(pod, f"{value}-{i}", group=group, priority=priority, gpu=8, **fields)
    town.hold(value, group)
    return group


def test_a_group_spread_over_a_slice_goes_whole_for_one_that_outranks_it():
    town = Town()
    low = a_slice_of(town, "a", "low")
    answer = preempted(town, FOUR)
    assert [v.group for v in answer.victims] == [low]
    assert [p.name for p in answer.victims[0].pods] == ["low-0", "low-1", "low-2", "low-3"]
    assert answer.domain == DomainName(KEY, "a")
    assert answer.nodes == {i: f"a-{i}" for i in range(4)}


def test_a_group_goes_whole_though_one_of_its_nodes_would_do():
    town = Town()
    a_slice_of(town, "a", "low")
    (victim,) = preempted(town, ONE).victims
    assert len(victim.pods) == 4


def test_nobody_is_evicted_where_it_does_not_help():
    """Four nodes of 8, each with 6 of higher and 2 of lower priority."""
    town = Town()
    town.add_domain("a", nodes=4, gpu=8)
    for i in range(4):
        town.add_pod(f"high-{i}", f"a-{i}", gpu=6, priority=1000)
        town.add_pod(f"low-{i}", f"a-{i}", gpu=2)
    assert preempted(town, FOUR) == NoPreemption(WhyNoPreemption.NO_HELP)


def test_only_those_foreign_pods_go_whose_room_is_needed():
    town = Town()
    town.add_domain("a", nodes=2, gpu=8)
    for i in range(2):
        for k in range(4):
            town.add_pod(f"low-{i}{k}", f"a-{i}", gpu=2)
    assert victims(preempted(town, a_group(a_demand(gpu=4), a_demand(gpu=2)))) == [
        "ns/low-00",
        "ns/low-01",
        "ns/low-02",
    ]


def test_the_lowest_priority_goes_first_however_many_that_are():
    town = Town()
    town.add_domain("a", gpu=2)
    town.add_pod("middle", "a-0", priority=50, gpu=2)
    town.add_domain("b", gpu=2)
    town.add_pod("low-1", "b-0", priority=10)
    town.add_pod("low-2", "b-0", priority=10)
    assert victims(preempted(town, a_group(a_demand(gpu=2)))) == ["ns/low-1", "ns/low-2"]


def test_foreign_pods_go_before_a_group_of_the_same_priority():
    town = Town()
    a_slice_of(town, "a", "low", nodes=1)
    town.add_domain("b", gpu=8)
    for i in range(8):
        town.add_pod(f"x-{i}", "b-0")
    assert len(victims(preempted(town, a_group(EIGHT)))) == 8


@pytest.mark.parametrize("priority", [100, 101])
def test_an_equal_or_higher_group_bars_its_domain(priority):
    town = Town()
    a_slice_of(town, "a", "other", priority=priority)
    assert preempted(town, FOUR) == NoPreemption(WhyNoPreemption.NO_HELP)


def test_one_member_of_higher_priority_protects_its_group():
    town = Town()
    group = a_slice_of(town, "a", "low", nodes=2)
    town.add_pod("low-2", None, group=group, priority=100)
    assert preempted(town, ONE) == NoPreemption(WhyNoPreemption.NO_HELP)


def test_preemption_policy_never_evicts_nobody():
    town = Town()
    a_slice_of(town, "a", "low")
    assert preempted(town, replace(FOUR, outranks=None)) == NoPreemption(WhyNoPreemption.NEVER)


def test_a_group_that_is_coming_back_keeps_its_domain():
    town = Town()
    group = a_slice_of(town, "a", "low", nodes=1, terminating=True)
    assert preempted(town, ONE) == NoPreemption(WhyNoPreemption.NO_HELP)
    town.pods.clear()
    town.index.drop_occupant("a-0", "uid-low-0")
    assert town.holds_of(group)
    assert preempted(town, ONE) == NoPreemption(WhyNoPreemption.NO_HELP)


def test_nobody_is_evicted_while_a_domain_is_being_left():
    town = Town()
    a_slice_of(town, "a", "low")
    town.add_domain("b", nodes=4, gpu=8)
    leaving = a_group_id("leaving")
    town.add_pod("leaving-0", "b-0", group=leaving, gpu=8, priority=1000)
    town.hold("b", leaving, state=HoldState.LEAVING)
    domain = DomainName(KEY, "b")
    assert preempted(town, FOUR) == NoPreemption(WhyNoPreemption.FREEING, domain)


def test_nobody_is_evicted_where_pods_are_going_already():
    town = Town()
    town.add_domain("a", gpu=1)
    town.add_pod("low", "a-0")
    town.add_domain("b", gpu=1)
    town.add_pod("going", "b-0", terminating=True, priority=1000)
    assert preempted(town, ONE) == NoPreemption(WhyNoPreemption.FREEING, DomainName(KEY, "b"))


@pytest.mark.parametrize("owner", ["DaemonSet", "Node"])
def test_pods_that_would_be_back_at_once_are_not_evicted(owner):
    town = Town()
    town.add_domain("a", gpu=1)
    town.add_pod("agent", "a-0", owner_kind=owner)
    assert preempted(town, ONE) == NoPreemption(WhyNoPreemption.NO_HELP)


def test_a_group_without_a_domain_of_its_own_goes_with_its_pods_elsewhere():
    town = Town()
    town.add_domain("a", gpu=1)
    town.add_domain("b", gpu=8)
    guest = a_group_id("guest")
    town.add_pod("guest-0", "a-0", group=guest)
    town.add_pod("guest-1", "b-0", group=guest)
    town.add_pod("high", "b-0", priority=1000, gpu=7)
    (victim,) = preempted(town, ONE).victims
    assert [p.name for p in victim.pods] == ["guest-0", "guest-1"]


def test_a_group_beside_which_it_may_be_is_left_alone():
    """Both are alone among the groups of their own LeaderWorkerSets only."""
    town = Town()
    town.add_domain("a", gpu=2)
    beside = a_group_id("beside")
    town.add_pod("beside-0", "a-0", group=beside, scope=Scope.LWS)
    town.hold("a", beside, scope=Scope.LWS)
    town.add_pod("foreign", "a-0")
    group = replace(ONE, scope=Scope.LWS)
    assert victims(preempted(town, group)) == ["ns/foreign"]
    both = replace(a_group(a_demand(gpu=2)), scope=Scope.LWS)
    assert preempted(town, both) == NoPreemption(WhyNoPreemption.NO_HELP)


def test_a_budget_is_counted_over_all_pods_of_a_victim():
    town = Town()
    a_slice_of(town, "a", "low")
    town.budgets = [a_budget("one-at-a-time", allowed=1)]
    answer = preempted(town, FOUR)
    assert answer == NoPreemption(
        WhyNoPreemption.BUDGET,
        DomainName(KEY, "a"),
        "PodDisruptionBudget ns/one-at-a-time allows 1 of 4 evictions",
    )
    town.budgets = [a_budget("all", allowed=4)]
    assert isinstance(preempted(town, FOUR), Preemption)


def test_others_go_where_a_budget_protects_the_cheapest():
    town = Town()
    town.add_domain("a", gpu=1)
    town.add_pod("kept", "a-0", labels=(("app", "kept"),))
    town.add_domain("b", gpu=1)
    town.add_pod("higher", "b-0", priority=50)
    town.budgets = [a_budget("b", app="kept")]
    assert victims(preempted(town, ONE)) == ["ns/higher"]


@pytest.mark.parametrize(
    ("pod", "budget", "evicted"),
    [
        pytest.param({}, {}, False, id="ready: it counts"),
        pytest.param({"phase": PodPhase.PENDING}, {}, True, id="not started yet"),
        pytest.param({"ready": False}, {}, False, id="not ready, and too few are healthy"),
        pytest.param({"ready": False}, {"enough_healthy": True}, True, id="enough are healthy"),
        pytest.param({"ready": False}, {"unhealthy_always": True}, True, id="AlwaysAllow"),
    ],
)
def test_budgets_are_reckoned_as_the_eviction_api_does(pod, budget, evicted):
    town = Town()
    town.add_domain("a", gpu=1)
    town.add_pod("low", "a-0", **pod)
    town.budgets = [a_budget("b", **budget)]
    assert isinstance(preempted(town, ONE), Preemption) == evicted


def test_a_pod_in_two_budgets_is_never_evicted():
    town = Town()
    town.add_domain("a", gpu=1)
    town.add_pod("low", "a-0")
    town.budgets = [a_budget("b", allowed=9), a_budget("c", allowed=9)]
    answer = preempted(town, ONE)
    assert answer.why is WhyNoPreemption.BUDGET
    assert "ns/b and PodDisruptionBudget ns/c" in answer.detail


def test_at_the_bound_the_answer_is_valid_and_may_cost_more():
    town = Town()
    town.add_domain("a", nodes=4, gpu=8)
    for i in range(4):
        for k in range(4):
            town.add_pod(f"low-{i}{k}", f"a-{i}", gpu=1 + (i + k) % 3)
    group = a_group(*[a_demand(gpu=5)] * 3)
    exact = preempt(group, town.domains(), town, trials=10_000)
    quick = preempt(group, town.domains(), town, trials=1)
    assert exact.cost <= quick.cost


def test_groups_of_one_shape_share_an_answer_until_something_changes():
    town, memo = Town(), PreemptionMemo()
    town.add_domain("a", gpu=1)
    town.add_pod("kept", "a-0")
    town.budgets = [a_budget("b", allowed=0)]
    town.index.domains(KEY)

    def ask(group):
        return memo.ask(group, town.index.domains(KEY), town)

    first = ask(ONE)
    assert first.why is WhyNoPreemption.BUDGET
    assert ask(replace(ONE, id=a_group_id("another"))) is first
    assert ask(replace(ONE, outranks=0)) == NoPreemption(WhyNoPreemption.NO_HELP)
    town.budgets = []
    assert isinstance(ask(ONE), Preemption)
    town.add_pod("high", "a-0", priority=1000)
    assert ask(ONE) == NoPreemption(WhyNoPreemption.NO_HELP)


def test_answers_are_shared_only_while_no_group_waits_for_a_place():
    town, memo = Town(), PreemptionMemo()
    town.add_domain("a", gpu=1)
    town.add_pod("low", "a-0")
    later = replace(ONE, id=a_group_id("later"), since_s=9.0)

    def ask(group):
        return memo.ask(group, town.index.domains(KEY), town)

    assert ask(later) is ask(ONE)
    town.index.await_room(turn_of(ONE), frozenset({"a-0"}))
    assert victims(ask(ONE)) == ["ns/low"]
    assert ask(later) == NoPreemption(WhyNoPreemption.NO_HELP)
    assert victims(ask(ONE)) == ["ns/low"], "whatever the later group was told"


def test_its_own_pods_are_no_victims():
    town = Town()
    town.add_domain("a", gpu=1)
    town.add_pod("urgent-0", "a-0", group=ME)
    assert preempted(town, ONE) == NoPreemption(WhyNoPreemption.NO_HELP)


def test_what_preemption_costs_is_said_in_words():
    town = Town()
    a_slice_of(town, "a", "low")
    assert preemption_note(preempted(town, FOUR)) == (
        "would preempt group ns/low:0 (priority 0, 4 pods) in example.com/slice=a"
    )
    town.add_domain("b", gpu=1)
    town.add_pod("batch", "b-0", priority=-10)
    assert preemption_note(preempted(town, ONE)) == (
        "would preempt pod ns/batch (priority -10) in example.com/slice=b"
    )
    town.budgets = [a_budget("b", allowed=0)]
    assert preemption_note(preempted(town, ONE)) == (
        "preempts nobody: a budget forbids it "
        "(example.com/slice=b: PodDisruptionBudget ns/b allows 0 of 1 evictions)"
    )
    assert preemption_note(preempted(town, replace(ONE, outranks=None))) == (
        "preempts nobody: its preemptionPolicy is Never"
    )
