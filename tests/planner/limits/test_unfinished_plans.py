"""Plans that were given up for their cost get a tenth of the time; all others are made at once."""

from types import SimpleNamespace

import pytest

from lws_placement.engine.base.effort import Effort
from lws_placement.engine.model.groups import Group, GroupId
from lws_placement.engine.model.verdicts import NoFit
from lws_placement.engine.objects.placement_request import TopologyRequest
from lws_placement.engine.preemption.search import NoPreemption, WhyNoPreemption
from lws_placement.engine.reconcile.actions import Wait
from lws_placement.planner.limits import unfinished_plans
from lws_placement.planner.limits.unfinished_plans import UnfinishedPlans


@pytest.fixture
def clock(monkeypatch):
    clock = SimpleNamespace(now=100.0, cpu=0.0)
    loop = SimpleNamespace(time=lambda: clock.now)
    fake = SimpleNamespace(get_running_loop=lambda: loop)
    monkeypatch.setattr(unfinished_plans, "asyncio", fake)
    monkeypatch.setattr(unfinished_plans, "time", SimpleNamespace(thread_time=lambda: clock.cpu))
    return clock


def a_wait(*, left):
    group = Group(GroupId("ns", "g", "u", ""), TopologyRequest("rack"), (), effort=Effort(left))
    return Wait(NoFit("rack", {}), group, NoPreemption(WhyNoPreemption.NEVER))


A, B = GroupId("ns", "a", "u", ""), GroupId("ns", "b", "u", "")


def decided(plans, clock, group, *, left, took=0.5):
    plans.begin()
    clock.cpu += took
    return plans.decided(group, [a_wait(left=left)])


def test_a_plan_that_was_given_up_waits_ten_times_as_long_as_it_took(clock):
    plans = UnfinishedPlans()
    assert plans.wait_s(A) == 0
    assert decided(plans, clock, A, left=-1) == 5.0
    clock.now += 2
    assert plans.wait_s(A) == 3.0
    assert plans.wait_s(B) == 0
    assert decided(plans, clock, B, left=-1) == 10.0, "they share the tenth"


def test_a_finished_plan_waits_for_nothing_however_long_it_took(clock):
    plans = UnfinishedPlans()
    assert decided(plans, clock, A, left=-1) > 0
    assert decided(plans, clock, A, left=0, took=9) == 0
    assert plans.wait_s(A) == 0
    assert plans.decided(B, []) == 0
