"""What users are told of an update that does not go on by itself."""

from dataclasses import replace

import pytest

from lws_placement.engine.lws.rollout import Asked, Progress, Strategy
from lws_placement.engine.lws.rollout_messages import why_at_a_standstill

OLD = Progress(ready=True, old=True)
DONE = Progress(ready=True, updated=True)
STUCK = Progress(updated=True, unplaceable=True)
STARTING = Progress(updated=True)


def told(strategy, *groups):
    asked = Asked(partition=0, replicas=len(groups), for_replicas=strategy.replicas)
    found = why_at_a_standstill(strategy, asked, groups, name="llm")
    return found and found.message


def test_a_larger_set_without_room_for_its_new_group_says_what_keeps_the_old_one():
    assert told(Strategy(2), OLD, STUCK) == (
        "the update stands still: llm-1 finds no room, and llm-0 stays at the old revision, as 1 "
        "of 2 groups must stay ready (maxUnavailable 1) and 1 is. It goes on once that group has "
        "room: free it, or raise maxUnavailable to 2"
    )


def test_what_it_says_to_raise_maxunavailable_to_is_enough():
    strategy = Strategy(4, unavailable=2)
    groups = (OLD, OLD, STUCK, STUCK)
    assert "raise maxUnavailable to 3" in told(strategy, *groups)
    assert told(replace(strategy, unavailable=3), *groups) is None
    assert told(strategy, OLD, OLD, OLD, STUCK) is None, "one of them may go"


@pytest.mark.parametrize(
    "groups",
    [
        (OLD, STARTING),
        (DONE, STUCK),
        (Progress(old=True), STUCK),
    ],
    ids=["it starts", "nothing is old", "the old one is not ready"],
)
def test_an_update_that_goes_on_is_not_said_to_stand_still(groups):
    assert told(Strategy(len(groups)), *groups) is None


def test_groups_below_the_partition_are_not_waited_for():
    assert told(Strategy(2, partition=1), OLD, STUCK) is None


def test_surge_groups_without_room_where_none_may_be_unavailable_stand_still():
    strategy = Strategy(1, unavailable=0, surge=1)
    assert told(strategy, OLD, STUCK).startswith("surge group llm-1 finds no room and maxUnav")
