"""Which waiting groups nodes are requested for, in what order, and when again."""

import asyncio
from dataclasses import replace

import pytest
from support.virtual_time import run

from lws_placement.engine.model.groups import Group, GroupId, Member
from lws_placement.engine.model.pods import Demand
from lws_placement.engine.model.verdicts import NoFit
from lws_placement.engine.objects.placement_request import TopologyRequest
from lws_placement.engine.preemption.search import NoPreemption, WhyNoPreemption
from lws_placement.engine.reconcile.actions import Wait
from lws_placement.engine.reconcile.group_state import GroupState
from lws_placement.planner.scale_up.candidates import Candidates

AFTER_S = 10.0


def a_group(name, *, priority=0, since_s=0.0):
    return Group(
        id=GroupId("ns", name, f"uid-{name}", "key"),
        request=TopologyRequest(outer="slice"),
        members=(Member(0, Demand((("cpu", 1000),))),),
        priority=priority,
        since_s=since_s,
    )


def decide(candidates, group, *actions):
    state = GroupState(group.id, (), (), None, {}, plan_id="plan")
    candidates.decided(state, actions)


def waits(candidates, group, why=WhyNoPreemption.NO_HELP):
    decide(candidates, group, Wait(NoFit("slice"), group, NoPreemption(why)))


def names(candidates, asked=()):
    return [group.id.lws for group in candidates.due(asked)[0]]


def story(check):
    run(check(Candidates(after_s=AFTER_S, most=2)))


def test_a_group_qualifies_once_it_has_waited_and_no_longer_when_it_does_not_wait():
    async def check(candidates):
        group = a_group("a")
        waits(candidates, group)
        assert candidates.due(()) == ([], AFTER_S)
        await asyncio.sleep(AFTER_S)
        waits(candidates, group)
        assert names(candidates) == ["a"]
        decide(candidates, group)
        assert names(candidates) == []

    story(check)


def test_the_first_of_the_queue_come_first_and_only_a_few_at_a_time():
    async def check(candidates):
        for group in (a_group("young", since_s=9), a_group("old"), a_group("vip", priority=1)):
            waits(candidates, group)
        await asyncio.sleep(AFTER_S)
        assert names(candidates) == ["vip", "old"]
        assert names(candidates, [a_group("vip").id]) == ["old"]
        assert names(candidates, [a_group("vip").id, a_group("old").id]) == []

    story(check)


def test_nothing_is_requested_for_a_group_that_a_domain_is_about_to_be_free_for():
    async def check(candidates):
        group = a_group("a")
        waits(candidates, group, WhyNoPreemption.FREEING)
        await asyncio.sleep(AFTER_S)
        assert names(candidates) == []
        waits(candidates, group)
        assert names(candidates) == ["a"], "it has waited all the time"

    story(check)


def test_after_a_request_in_vain_the_next_group_has_its_turn_and_each_wait_is_longer():
    async def check(candidates):
        first, second = a_group("first"), a_group("second", since_s=1)
        waits(candidates, first)
        waits(candidates, second)
        await asyncio.sleep(AFTER_S)
        delays = []
        for _ in range(8):
            candidates.was_in_vain(first.id)
            groups, delay_s = candidates.due(())
            assert [g.id for g in groups] == [second.id]
            delays.append(delay_s)
            await asyncio.sleep(delay_s)
            assert names(candidates) == ["first", "second"]
        assert delays[0] <= 60
        assert delays[2] > delays[0]
        assert max(delays) <= 1800
        candidates.placed(first.id)
        candidates.was_in_vain(first.id)
        assert candidates.due(())[1] <= 60

    story(check)


def test_nothing_is_kept_of_a_group_that_is_gone():
    async def check(candidates):
        group = a_group("a")
        waits(candidates, group)
        candidates.was_in_vain(group.id)
        decide(candidates, group)
        waits(candidates, group)
        await asyncio.sleep(AFTER_S)
        assert names(candidates) == ["a"]

    story(check)


@pytest.mark.parametrize("change", [{"priority": 5}, {"revision": "new"}])
def test_the_group_is_known_as_it_was_planned_last(change):
    async def check(candidates):
        group = a_group("a")
        waits(candidates, group)
        waits(candidates, replace(group, **change))
        assert candidates.waiting(group.id) == replace(group, **change)
        assert candidates.waiting(a_group("b").id) is None

    story(check)
