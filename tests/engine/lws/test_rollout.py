"""The steps of rolling updates: upstream's, state by state, and where ours are safer."""

import pytest
from support.rollout_world import RolloutWorld

from lws_placement.engine.lws.rollout import (
    Asked,
    Progress,
    Step,
    Strategy,
    is_finished,
    next_step,
    strategy_of,
)

READY = Progress(ready=True, updated=True)
OLD = Progress(ready=True, old=True)
OLD_DOWN = Progress(old=True)
STARTING = Progress(updated=True)
NO_ROOM = Progress(updated=True, unplaceable=True)


def steps_of(strategy):
    """(partition, replicas) of a whole update in which everybody keeps up."""
    world = RolloutWorld(strategy)
    world.template = 1
    while world.control():
        while world.stateful_set():
            pass
        while world.kubelet():
            pass
    assert world.broken == []
    assert set(world.revisions()[strategy.partition :]) == {1}
    return world.steps


@pytest.mark.parametrize(
    ("strategy", "steps"),
    [
        pytest.param(
            Strategy(4, unavailable=1),
            [(4, 4), (3, 4), (2, 4), (1, 4), (0, 4)],
            id="one by one from the top",
        ),
        pytest.param(Strategy(4, unavailable=2), [(4, 4), (2, 4), (0, 4)], id="two at a time"),
        pytest.param(Strategy(4, unavailable=9), [(4, 4), (0, 4)], id="all at once"),
        pytest.param(
            Strategy(4, unavailable=0, surge=1),
            [(4, 5), (3, 5), (2, 5), (1, 5), (0, 5), (0, 4)],
            id="a surge group is kept to the end",
        ),
        pytest.param(
            Strategy(4, unavailable=1, surge=1),
            [(4, 5), (2, 5), (0, 5), (0, 4)],
            id="two at a time beside a surge group",
        ),
        pytest.param(
            Strategy(4, unavailable=2, surge=2),
            [(4, 6), (0, 6), (0, 4)],
            id="surge groups that are ready speed it up",
        ),
        pytest.param(
            Strategy(4, unavailable=1, surge=4),
            [(4, 7), (0, 7), (0, 4)],
            id="no more surge than needed",
        ),
        pytest.param(
            Strategy(4, partition=2, unavailable=1),
            [(4, 4), (3, 4), (2, 4)],
            id="it stops at the partition",
        ),
        pytest.param(
            Strategy(4, partition=2, unavailable=0, surge=1),
            [(4, 5), (3, 5), (2, 5)],
            id="surge groups stay while groups below the partition are old",
        ),
    ],
)
def test_a_whole_update(strategy, steps):
    assert steps_of(strategy) == steps


@pytest.mark.parametrize(
    ("strategy", "asked", "groups", "step"),
    [
        pytest.param(
            Strategy(4, unavailable=1),
            Asked(3, 4, 4),
            [OLD, OLD, OLD, STARTING],
            Step(3, 4),
            id="an updated group that is not ready stops it",
        ),
        pytest.param(
            Strategy(4, unavailable=1),
            Asked(4, 4, 4),
            [OLD_DOWN, OLD, OLD, OLD],
            Step(4, 4),
            id="an unhealthy group below holds it back",
        ),
        pytest.param(
            Strategy(4, unavailable=2),
            Asked(4, 4, 4),
            [OLD_DOWN] * 4,
            Step(2, 4),
            id="groups that never were ready are replaced, some at a time",
        ),
        pytest.param(
            Strategy(4, unavailable=2),
            Asked(4, 4, 4),
            [OLD, OLD_DOWN, OLD_DOWN, OLD],
            Step(4, 4),
            id="a ready group is not taken while as many as may be are down",
        ),
        pytest.param(
            Strategy(4, unavailable=1),
            Asked(4, 4, 4),
            [OLD, OLD, OLD, OLD_DOWN],
            Step(3, 4),
            id="a group that is down may be replaced at any time",
        ),
        pytest.param(
            Strategy(6, unavailable=1),
            Asked(2, 4, 4),
            [OLD, OLD, READY, READY],
            Step(2, 6),
            id="groups are added first",
        ),
        pytest.param(
            Strategy(2, unavailable=1),
            Asked(3, 4, 4),
            [OLD, OLD, OLD, STARTING],
            Step(2, 2),
            id="scaled below what is being updated",
        ),
        pytest.param(
            Strategy(4, unavailable=1, surge=1),
            Asked(0, 4, 4),
            [READY, STARTING, STARTING, READY],
            Step(0, 4),
            id="groups that fail later bring no surge group",
        ),
        pytest.param(
            Strategy(2, unavailable=0, surge=2),
            Asked(0, 4, 4),
            [READY, STARTING, READY, STARTING],
            Step(0, 2),
            id="a plain scale-down keeps no groups for others",
        ),
        pytest.param(
            Strategy(4, unavailable=0, surge=2),
            Asked(0, 6, 4),
            [READY, READY, READY, STARTING, STARTING, READY],
            Step(0, 6),
            id="a surge group is not given back while it stands in for another",
        ),
        pytest.param(
            Strategy(4, unavailable=1, surge=1),
            Asked(3, 5, 4),
            [OLD, OLD, OLD, READY, NO_ROOM],
            Step(2, 5),
            id="a surge group without room is reckoned without",
        ),
        pytest.param(
            Strategy(4, unavailable=0, surge=1),
            Asked(4, 5, 4),
            [OLD, OLD, OLD, OLD, NO_ROOM],
            Step(4, 5),
            id="but not if no group may be away",
        ),
        pytest.param(
            Strategy(4, unavailable=1, surge=1),
            Asked(1, 5, 4),
            [STARTING, READY, READY, READY, READY],
            Step(0, 4),
            id="a surge group goes when what is left may be unavailable",
        ),
        pytest.param(
            Strategy(4, partition=3, unavailable=1),
            Asked(2, 4, 4),
            [OLD, OLD, READY, READY],
            Step(3, 4),
            id="the user's partition always counts",
        ),
    ],
)
def test_a_step(strategy, asked, groups, step):
    assert next_step(strategy, asked, groups, changed=False) == step


def in_order(*numbers):
    return Asked(*numbers, in_order=True)


@pytest.mark.parametrize(
    ("strategy", "asked", "groups", "step"),
    [
        pytest.param(
            Strategy(4, unavailable=1, surge=1),
            in_order(3, 5, 4),
            [OLD, OLD, OLD, OLD, NO_ROOM],
            Step(3, 4),
            id="a surge group without room would stop it and is given up",
        ),
        pytest.param(
            Strategy(4, unavailable=1, surge=1),
            in_order(3, 4, 4),
            [OLD, OLD, OLD, STARTING],
            Step(3, 4),
            id="and not asked for again",
        ),
        pytest.param(
            Strategy(4, unavailable=0, surge=1),
            in_order(4, 5, 4),
            [OLD, OLD, OLD, OLD, NO_ROOM],
            Step(4, 5),
            id="if no group may be away it waits for room",
        ),
        pytest.param(
            Strategy(4, unavailable=0, surge=2),
            in_order(3, 6, 4),
            [OLD, OLD, OLD, OLD, READY, NO_ROOM],
            Step(3, 5),
            id="the update goes on with the surge group that has room",
        ),
        pytest.param(
            Strategy(4, unavailable=0, surge=2),
            in_order(3, 6, 4),
            [OLD, OLD, OLD, OLD, NO_ROOM, READY],
            Step(3, 5),
            id="the one below takes its room",
        ),
        pytest.param(
            Strategy(4, unavailable=0, surge=2),
            in_order(3, 6, 4),
            [OLD, OLD, OLD, STARTING, NO_ROOM, READY],
            Step(3, 6),
            id="but not while it stands in for another",
        ),
        pytest.param(
            Strategy(4, unavailable=1, surge=1),
            in_order(2, 5, 4),
            [OLD, OLD, OLD, READY, READY],
            Step(1, 5),
            id="with room it is as elsewhere",
        ),
    ],
)
def test_a_step_where_one_pod_is_replaced_after_the_other(strategy, asked, groups, step):
    assert next_step(strategy, asked, groups, changed=False) == step


@pytest.mark.parametrize(
    ("strategy", "asked", "groups", "step"),
    [
        pytest.param(Strategy(4), Asked(0, 4, 4), [OLD] * 4, Step(4, 4), id="nothing is taken yet"),
        pytest.param(Strategy(4), Asked(0, 2, 2), [OLD] * 2, Step(2, 4), id="and more groups"),
        pytest.param(
            Strategy(4, unavailable=0, surge=1),
            Asked(2, 5, 4),
            [OLD, OLD, OLD_DOWN, OLD, OLD],
            Step(5, 5),
            id="the surge group of the update before stands in for one that is down",
        ),
        pytest.param(
            Strategy(4, unavailable=0, surge=1),
            Asked(2, 5, 4),
            [OLD, OLD, OLD, OLD, OLD],
            Step(4, 5),
            id="it is the first one otherwise",
        ),
        pytest.param(
            Strategy(0, unavailable=1), Asked(0, 2, 2), [OLD] * 2, Step(0, 0), id="to none"
        ),
    ],
)
def test_the_first_step_after_the_template_has_changed(strategy, asked, groups, step):
    assert next_step(strategy, asked, groups, changed=True) == step


def test_back_to_the_first_template_only_what_had_been_updated_is_replaced():
    world = RolloutWorld(Strategy(4, unavailable=1))
    world.template = 1
    while world.revisions() != [0, 0, 1, 1]:
        world.control()
        world.stateful_set()
        world.kubelet()
    untouched = [world.groups[0], world.groups[1]]
    world.template = 0
    world.settle()
    assert [world.groups[0], world.groups[1]] == untouched
    assert world.revisions() == [0] * 4
    assert world.broken == []


@pytest.mark.parametrize(
    ("replicas", "rolling", "strategy"),
    [
        (4, {}, Strategy(4)),
        (4, {"maxUnavailable": "30%", "maxSurge": "30%"}, Strategy(4, unavailable=1, surge=2)),
        (3, {"maxUnavailable": 0, "maxSurge": 9}, Strategy(3, unavailable=0, surge=3)),
        (2, {"maxUnavailable": "25%", "partition": 1}, Strategy(2, partition=1, unavailable=1)),
    ],
)
def test_numbers_and_percentages(replicas, rolling, strategy):
    rollout = {"rollingUpdateConfiguration": rolling}
    lws = {"spec": {"replicas": replicas, "rolloutStrategy": rollout}}
    assert strategy_of(lws) == strategy


def test_finished_means_every_group_and_no_surge_group():
    strategy = Strategy(2)
    assert is_finished(strategy, Asked(0, 2, 2), [READY, READY])
    assert not is_finished(strategy, Asked(0, 3, 2), [READY, READY, READY])
    assert not is_finished(strategy, Asked(0, 2, 2), [READY, STARTING])
    assert not is_finished(Strategy(2, partition=1), Asked(1, 2, 2), [READY, READY])
