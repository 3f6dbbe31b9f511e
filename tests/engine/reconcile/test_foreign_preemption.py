"""Groups that are evicted whole for one foreign pod (`engine/reconcile/foreign_preemption.py`)."""

from dataclasses import replace

import pytest
from support.tenants import KEY, Town, a_budget, a_demand, a_group_id

from lws_placement.engine.model.groups import GroupId
from lws_placement.engine.model.hold_states import HoldState
from lws_placement.engine.model.reservation import Hold
from lws_placement.engine.objects.nodes import DomainName, Node
from lws_placement.engine.objects.placement_request import Scope
from lws_placement.engine.reconcile.actions import EndHold, TryEvictions, WriteHold
from lws_placement.engine.reconcile.foreign_preemption import (
    decide_for_pod,
    is_for_pod,
    preempt_for_pod,
    waits_for_room,
)

LOW = a_group_id("low")


def low_has(town, value="a", *, group=LOW, priority=0, **fields):
    town.add_domain(value, nodes=2, gpu=4)
    nodes = {i: f"{value}-{i}" for i in range(2)}
    for i, node in nodes.items():
        name = f"{group.lws}-{i}"
        town.add_pod(name, node, group=group, rank=i, priority=priority, gpu=4, **fields)
    demands = dict.fromkeys(nodes, a_demand(gpu=4))
    hold = Hold(DomainName(KEY, value), group, "0", "l", "r", 2, "p", nodes, demands)
    town.put_hold(hold)
    return hold


def an_urgent_pod(town, *, priority=100, gpu=1, **fields):
    fields = {"unschedulable": "0/2 nodes are available", **fields}
    return town.add_pod("urgent", None, priority=priority, gpu=gpu, **fields)


def preempted(town, pod):
    holds = [h for found in town.holds.values() for h in found]
    return preempt_for_pod(pod, holds, town.index, town, plan_id="plan-1")


def test_a_group_goes_whole_for_a_pod_that_outranks_it():
    town = Town()
    low_has(town)
    attempt, write = preempted(town, an_urgent_pod(town))
    assert isinstance(attempt, TryEvictions)
    (victim,) = attempt.victims
    assert [p.name for p in victim.pods] == ["low-0", "low-1"]
    assert isinstance(write, WriteHold)
    hold = write.hold
    assert (hold.domain.value, hold.evicts, hold.state) == ("a", (LOW,), HoldState.COMING)
    assert hold.nodes == {0: "a-0"}
    assert hold.scope is Scope.NOBODY
    assert is_for_pod(hold)


def test_the_group_of_lowest_priority_goes():
    town = Town()
    low_has(town, "a", group=a_group_id("middle"), priority=10)
    low_has(town, "b", group=LOW)
    _, write = preempted(town, an_urgent_pod(town))
    assert write.hold.evicts == (LOW,)


@pytest.mark.parametrize(
    "pod",
    [
        pytest.param({"priority": 0}, id="of the same priority"),
        pytest.param({"preempts": False}, id="preemptionPolicy Never"),
        pytest.param({"gpu": 5}, id="that would not fit either"),
    ],
)
def test_nobody_goes_for_a_pod(pod):
    town = Town()
    low_has(town)
    assert preempted(town, an_urgent_pod(town, **pod)) == []


def test_nobody_goes_where_the_pod_fits_or_soon_will():
    town = Town()
    low_has(town)
    town.index.put_node(Node("a-1", {KEY: "a"}, {"gpu": 5, "pods": 110}))
    assert preempted(town, an_urgent_pod(town)) == []


def test_a_budget_of_the_group_is_respected():
    town = Town()
    low_has(town)
    town.budgets = [a_budget("keep", allowed=1)]
    assert preempted(town, an_urgent_pod(town)) == []


@pytest.mark.parametrize(
    ("pod", "waits"),
    [
        pytest.param({}, True, id="unschedulable"),
        pytest.param({"unschedulable": ""}, False, id="not looked at yet"),
        pytest.param({"nominated": "a-0"}, False, id="kube-scheduler makes room for it"),
        pytest.param({"gates": ("example.com/later",)}, False, id="gated"),
        pytest.param({"terminating": True}, False, id="going"),
    ],
)
def test_only_pods_that_kube_scheduler_cannot_help_wait_for_us(pod, waits):
    assert waits_for_room(an_urgent_pod(Town(), **pod)) is waits


def a_hold_for(pod):
    group = GroupId.of_pod(pod.namespace, pod.name, pod.uid)
    domain = DomainName(KEY, "a")
    hold = Hold(domain, group, "", pod.name, "", 1, "p", {0: "a-0"}, {0: pod.demand})
    return replace(hold, scope=Scope.NOBODY, state=HoldState.COMING, evicts=(LOW,))


def test_its_room_is_kept_while_the_group_goes_and_then_for_a_while():
    town = Town()
    low_has(town)
    pod = an_urgent_pod(town)
    hold = a_hold_for(pod)
    assert decide_for_pod(hold, pod, town) == []
    town.holds.clear()
    assert decide_for_pod(hold, pod, town) == [EndHold(hold, returning=True)]


@pytest.mark.parametrize("change", [None, {"node": "a-0"}, {"terminating": True}])
def test_its_room_is_given_back_when_it_is_bound_or_gone(change):
    town = Town()
    pod = an_urgent_pod(town)
    hold = a_hold_for(pod)
    now = replace(pod, **change) if change is not None else None
    assert decide_for_pod(hold, now, town) == [EndHold(hold, returning=False)]
