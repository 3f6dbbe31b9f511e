"""Whole rollouts, by looping the pure step: what holds in every one of them."""

from hypothesis import given, settings
from hypothesis import strategies as st
from support.rollout_world import RolloutWorld

from lws_placement.engine.lws.rollout import Strategy


@st.composite
def some_strategies(draw, *, partition=False):
    replicas = draw(st.integers(1, 7))
    surge = draw(st.integers(0, replicas))
    return Strategy(
        replicas=replicas,
        partition=draw(st.integers(0, replicas + 1)) if partition else 0,
        unavailable=draw(st.integers(0 if surge else 1, replicas + 1)),
        surge=surge,
    )


SOMEBODY_ACTS = st.tuples(
    st.sampled_from(["control", "stateful_set", "kubelet"]), st.integers(0, 20)
)
A_USER_ACTS = st.one_of(
    st.tuples(st.just("template"), st.integers(0, 2)),
    st.tuples(st.just("replicas"), st.integers(0, 7)),
    st.tuples(st.just("partition"), st.integers(0, 8)),
)
A_GROUP_FAILS = st.tuples(st.just("fail"), st.integers(0, 20))


def act(world, what, number):
    match what:
        case "control":
            world.control()
        case "stateful_set":
            world.stateful_set(number)
        case "kubelet":
            world.kubelet(number)
        case "template":
            world.template = number
        case "replicas":
            surge = min(number, world.strategy.surge)
            unavailable = (
                world.strategy.unavailable if surge else max(1, world.strategy.unavailable)
            )
            world.configure(replicas=number, surge=surge, unavailable=unavailable)
        case "partition":
            world.configure(partition=number)
        case "fail":
            world.fail(number)


def is_done(world):
    """Every group from the partition on is at the template, and all are ready."""
    updated = [i >= world.strategy.partition for i in sorted(world.groups)]
    at_template = [r == world.template for r in world.revisions()]
    return all(
        there or not asked for there, asked in zip(at_template, updated, strict=True)
    ) and world.ready() == len(world.groups)


@given(some_strategies(), st.booleans(), st.lists(SOMEBODY_ACTS, max_size=60))
def test_an_update_ends_with_every_group_updated_and_never_too_few_ready(strategy, in_order, acts):
    world = RolloutWorld(strategy, in_order=in_order)
    world.template = 1
    for what, number in acts:
        act(world, what, number)
    world.settle()
    assert world.broken == []
    assert world.revisions() == [1] * strategy.replicas
    assert world.ready() == strategy.replicas


@settings(max_examples=400)
@given(
    some_strategies(partition=True),
    st.booleans(),
    st.lists(st.one_of(SOMEBODY_ACTS, SOMEBODY_ACTS, SOMEBODY_ACTS, A_USER_ACTS), max_size=80),
)
def test_whatever_users_change_meanwhile_the_promises_hold_and_it_ends(strategy, in_order, acts):
    world = RolloutWorld(strategy, in_order=in_order)
    world.template = 1
    for what, number in acts:
        act(world, what, number)
    world.settle()
    assert world.broken == []
    assert is_done(world)
    if world.strategy.partition == 0:
        assert len(world.groups) == world.strategy.replicas


@settings(max_examples=400)
@given(
    some_strategies(),
    st.booleans(),
    st.lists(st.one_of(SOMEBODY_ACTS, SOMEBODY_ACTS, A_USER_ACTS, A_GROUP_FAILS), max_size=80),
)
def test_groups_that_fail_on_their_own_never_make_us_take_more_than_is_allowed(
    strategy, in_order, acts
):
    world = RolloutWorld(strategy, in_order=in_order)
    world.template = 1
    for what, number in acts:
        act(world, what, number)
    world.settle()
    assert world.broken == []
    assert is_done(world)


@settings(max_examples=400)
@given(some_strategies(), st.booleans(), st.integers(0, 3), st.lists(SOMEBODY_ACTS, max_size=60))
def test_without_room_for_surge_groups_an_update_still_ends_if_groups_may_be_away(
    strategy, in_order, spare, acts
):
    world = RolloutWorld(strategy, room=strategy.replicas + spare, in_order=in_order)
    world.template = 1
    for what, number in acts:
        act(world, what, number)
    world.settle()
    assert world.broken == []
    if strategy.unavailable or spare:
        assert world.revisions() == [1] * strategy.replicas


@given(some_strategies(partition=True), st.booleans(), st.lists(SOMEBODY_ACTS, max_size=40))
def test_a_step_that_was_taken_is_not_asked_for_again(strategy, in_order, acts):
    """In a world that stands still the steps come to an end, each lower than the one before."""
    world = RolloutWorld(strategy, in_order=in_order)
    world.template = 1
    for what, number in acts:
        act(world, what, number)
    world.control()
    partitions = [world.asked.partition]
    while world.control():
        partitions.append(world.asked.partition)
        assert len(partitions) < 5
    assert partitions == sorted(partitions, reverse=True)


@given(some_strategies(partition=True))
def test_a_first_start_makes_no_surge_groups(strategy):
    world = RolloutWorld(strategy)
    world.groups.clear()
    world.asked = None
    for _ in range(strategy.replicas * 3):
        world.control()
        assert world.asked.replicas == strategy.replicas
        world.stateful_set()
        world.kubelet()
