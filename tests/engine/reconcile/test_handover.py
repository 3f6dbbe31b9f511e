"""Each step of taking a domain over, of the preemptor and of the victim (`handover.py`)."""

from dataclasses import replace

import pytest
from support.decisions import GROUP, WHOLE_NODE, a_hold, a_member, a_seen, decide, kinds
from support.tenants import KEY, Town, a_budget, a_group_id

from lws_placement.engine.model.hold_states import HoldState
from lws_placement.engine.objects.nodes import DomainName
from lws_placement.engine.preemption.search import WhyNoPreemption
from lws_placement.engine.reconcile.actions import (
    EndHold,
    Evict,
    LeaveHold,
    Pin,
    TryEvictions,
    WriteHold,
)

LOW = a_group_id("low")
A = DomainName(KEY, "a")
TPUS = {"google.com/tpu": 4}
COMING = replace(a_hold(), state=HoldState.COMING, evicts=(LOW,))


def members(**fields):
    return [a_member(rank, priority=100, **fields) for rank in range(2)]


def waiting(town, *, holds=(), **fields):
    """What the preemptor sees: two gated members of priority 100."""
    for hold in holds:
        town.put_hold(hold)
    return replace(a_seen(*members(**fields), holds=tuple(holds)))


def low_in(town, value, *, state=HoldState.ACTIVE, **fields):
    """A group of priority 0 that has the domain, and its hold."""
    town.add_domain(value, nodes=2, **TPUS)
    for i in range(2):
        name = f"low-{value}-{i}"
        town.add_pod(name, f"{value}-{i}", group=LOW, demand=WHOLE_NODE, **fields)
    town.hold(value, LOW, state=state)
    return town.holds_of(LOW)[-1]


def test_a_group_that_outranks_another_tries_the_evictions_and_then_claims_the_domain():
    town = Town()
    low_in(town, "a")
    attempt, write = decide(waiting(town), town.index, tenants=town)
    assert isinstance(attempt, TryEvictions)
    assert [p.name for v in attempt.victims for p in v.pods] == ["low-a-0", "low-a-1"]
    assert write == WriteHold(attempt.holds[0])
    assert (write.hold.domain, write.hold.state, write.hold.evicts) == (A, HoldState.COMING, (LOW,))
    assert sorted(write.hold.nodes.values()) == ["a-0", "a-1"]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        pytest.param({"priority": 0}, WhyNoPreemption.NO_HELP, id="of no higher priority"),
        pytest.param({"preempts": False}, WhyNoPreemption.NEVER, id="preemptionPolicy Never"),
    ],
)
def test_a_group_that_must_not_preempt_waits_and_says_why(change, why):
    town = Town()
    low_in(town, "a")
    seen = waiting(town)
    seen = replace(seen, pods=tuple(replace(p, **change) for p in seen.pods))
    (wait,) = decide(seen, town.index, tenants=town)
    assert wait.nobody.why is why


def test_a_victim_is_evicted_and_then_leaves_its_holds():
    town = Town()
    hold = a_hold()
    pods = members(gated=False)
    pods = [replace(p, node=f"a-{p.member.rank}") for p in pods]
    town.add_domain("a", nodes=2, **TPUS)
    town.put_hold(hold)
    by = replace(COMING, group=LOW, evicts=(GROUP,))
    seen = replace(a_seen(*pods, holds=(hold,)), yields_to=by)
    *evictions, leave = decide(seen, town.index, tenants=town)
    assert evictions == [Evict(pod, by) for pod in pods]
    assert isinstance(leave, LeaveHold)
    assert (leave.hold, leave.preempted_by) == (hold, LOW)


def test_a_victim_without_pods_is_not_waited_for():
    town = Town()
    hold = a_hold()
    town.add_domain("a", nodes=2, **TPUS)
    town.put_hold(hold)
    seen = replace(a_seen(holds=(hold,)), yields_to=replace(COMING, group=LOW))
    assert decide(seen, town.index, tenants=town) == [EndHold(hold, returning=False)]


def test_nothing_is_done_while_victims_are_going():
    town = Town()
    low_in(town, "a", state=HoldState.LEAVING, terminating=True)
    assert decide(waiting(town, holds=[COMING]), town.index, tenants=town) == []


def test_when_the_victims_are_gone_the_hold_becomes_active_by_compare_and_swap():
    town = Town()
    town.add_domain("a", nodes=2, **TPUS)
    write, *pins = decide(waiting(town, holds=[COMING]), town.index, tenants=town)
    assert isinstance(write, WriteHold)
    assert (write.hold.state, write.hold.evicts) == (HoldState.ACTIVE, ())
    assert (write.hold.resource_version, write.hold.uid) == ("7", "lease-uid")
    assert kinds(pins) == ["Pin", "Pin"]


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"revision": "r2"}, id="another revision"),
        pytest.param({"gated": False}, id="nobody of it waits"),
        pytest.param({"gated": False, "node": "b-0"}, id="it is bound"),
    ],
)
def test_it_is_given_up_when_the_group_no_longer_asks_for_it(change):
    town = Town()
    low_in(town, "a")
    seen = waiting(town, holds=[COMING], **change)
    assert decide(seen, town.index, tenants=town) == [EndHold(COMING, returning=False)]


def test_it_is_given_up_when_the_group_would_not_fit_any_more():
    town = Town()
    low_in(town, "a")
    town.index.drop_node("a-1")
    assert decide(waiting(town, holds=[COMING]), town.index, tenants=town) == [
        EndHold(COMING, returning=False)
    ]


def test_it_ends_when_the_group_has_a_domain():
    town = Town()
    low_in(town, "a")
    town.add_domain("b", nodes=2, **TPUS)
    holds = [COMING, a_hold("b")]
    pins = decide(waiting(town, holds=holds), town.index, tenants=town)
    assert pins[0] == EndHold(COMING, returning=False)
    assert {p.node for p in pins if isinstance(p, Pin)} == {"b-0", "b-1"}


def test_while_no_victim_is_touched_another_domain_that_is_free_is_taken():
    town = Town()
    low_in(town, "a")
    town.add_domain("b", nodes=2, **TPUS)
    write, end, *_ = decide(waiting(town, holds=[COMING]), town.index, tenants=town)
    assert write.hold.domain == DomainName(KEY, "b")
    assert end == EndHold(COMING, returning=False)


def test_once_a_victim_is_going_its_domain_is_waited_for():
    town = Town()
    low_in(town, "a", state=HoldState.LEAVING, terminating=True)
    town.add_domain("b", nodes=2, **TPUS)
    assert decide(waiting(town, holds=[COMING]), town.index, tenants=town) == []


def beside_foreign(town, **fields):
    """Node a-1 has foreign pods that have to go as well."""
    town.add_domain("a", nodes=2, **TPUS)
    town.add_pod("low-a-0", "a-0", group=LOW, demand=WHOLE_NODE, **fields)
    town.hold("a", LOW)
    town.add_pod("foreign", "a-1", demand=WHOLE_NODE)


def test_foreign_pods_are_spared_until_the_groups_have_begun_to_go():
    town = Town()
    beside_foreign(town)
    town.yielding = {LOW}
    assert decide(waiting(town, holds=[COMING]), town.index, tenants=town) == []


def test_foreign_pods_go_after_the_groups():
    town = Town()
    beside_foreign(town, terminating=True)
    town.yielding = {LOW}
    attempt, evict = decide(waiting(town, holds=[COMING]), town.index, tenants=town)
    assert isinstance(attempt, TryEvictions)
    assert evict == Evict(town.pods["uid-foreign"], COMING)


def test_it_is_given_up_when_a_budget_protects_what_would_still_have_to_go():
    town = Town()
    beside_foreign(town, terminating=True)
    town.yielding = {LOW}
    town.budgets = [a_budget("keep")]
    assert decide(waiting(town, holds=[COMING]), town.index, tenants=town) == [
        EndHold(COMING, returning=False)
    ]
