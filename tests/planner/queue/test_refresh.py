"""Everybody who waits is told anew in turn, however often the room changes."""

import asyncio

from support.virtual_time import run

from lws_placement.engine.model.groups import Group, GroupId, Member
from lws_placement.engine.model.pods import Demand
from lws_placement.engine.objects.placement_request import PlacementRequest, Scope
from lws_placement.engine.planning.waiting import WaitingClasses
from lws_placement.planner.queue.refresh import Refresh

MANY = 120


def a_group(number, *, ask, cpu=1):
    members = (Member(0, Demand((("cpu", cpu),))),)
    name = GroupId("ns", "llm", "uid", f"{number:03}")
    return Group(name, ask.of_size(1), members, scope=ask.claims)


def told_while_room_keeps_changing(groups, *, seconds):
    """What is due, each time."""
    questions, batches = WaitingClasses(), []
    for group in groups:
        questions.put(group)

    async def story():
        refresh = Refresh(questions, due=batches.append)
        for _ in range(seconds):
            refresh.add(questions)
            refresh.later()
            await asyncio.sleep(1)

    run(story())
    return batches


def test_with_a_change_every_second_the_last_is_told_again_and_again_as_is_the_first():
    groups = [a_group(i, ask=PlacementRequest(topology="rack")) for i in range(MANY)]
    batches = told_while_room_keeps_changing(groups, seconds=30)
    times = [sum(g.id in batch for batch in batches) for g in groups]
    assert min(times) >= 4, "50 every two seconds, 120 in all"


def test_of_groups_of_several_domains_only_those_that_ask_the_same_are_told_at_once():
    gang = PlacementRequest(gang=True)
    assert gang.claims is Scope.NOBODY
    groups = [a_group(i, ask=gang, cpu=1 + i % 3) for i in range(MANY)]
    batches = told_while_room_keeps_changing(groups, seconds=120)
    cpus = {g.id: g.demands for g in groups}
    assert all(len({cpus[name] for name in batch}) == 1 for batch in batches)
    assert {name for batch in batches for name in batch} == set(cpus)
