"""Taking several domains over: their holds count only together (`handover.py`)."""

from dataclasses import replace

import pytest
from support.decisions import GROUP, WHOLE_NODE, a_hold, a_member, a_seen, decide
from support.tenants import KEY, Town, a_group_id

from lws_placement.cluster.cache.preemption_facts import ComingHolds
from lws_placement.engine.model.hold_states import HoldState
from lws_placement.engine.model.reservation import place_of
from lws_placement.engine.objects.nodes import DomainName
from lws_placement.engine.objects.placement_request import PlacementRequest, Scope
from lws_placement.engine.preemption.search import WhyNoPreemption
from lws_placement.engine.reconcile.actions import EndHold, Evict, Pin, TryEvictions, WriteHold
from lws_placement.engine.reconcile.foreign_preemption import is_for_pod

LOW = a_group_id("low")
TPUS = {"google.com/tpu": 4}
SUBGROUPS = PlacementRequest(subgroup_topology=KEY, subgroup_size=2)
GANG = PlacementRequest(gang=True)


def members(request, size, **fields):
    pods = [a_member(rank, size=size, priority=100, **fields) for rank in range(size)]
    return [replace(p, member=replace(p.member, request=request)) for p in pods]


def waiting(town, request=SUBGROUPS, *, size=4, holds=(), **fields):
    """What the preemptor sees: gated members of priority 100."""
    for hold in holds:
        town.put_hold(hold)
    seen = a_seen(*members(request, size, **fields), holds=tuple(holds), size=size)
    return replace(seen, lws=replace(seen.lws, request=request))


def low_in(town, *values, **fields):
    """A group of priority 0 that has these domains."""
    for value in values:
        town.add_domain(value, nodes=2, **TPUS)
        for i in range(2):
            name = f"low-{value}-{i}"
            town.add_pod(name, f"{value}-{i}", group=LOW, demand=WHOLE_NODE, **fields)
        town.hold(value, LOW, parts=len(values))


def coming(*values, evicts=(LOW,), **fields):
    """The holds of one plan; the members have their nodes in them in turn."""
    holds = []
    for number, value in enumerate(values):
        nodes = {2 * number + i: f"{value}-{i}" for i in range(2)}
        hold = a_hold(value, nodes, size=4, parts=2, state=HoldState.COMING, evicts=evicts)
        holds.append(replace(hold, **fields))
    return holds


def test_evictions_are_tried_before_the_first_of_all_holds_is_written():
    town = Town()
    low_in(town, "a", "b")
    attempt, *writes = decide(waiting(town), town.index, tenants=town)
    assert isinstance(attempt, TryEvictions)
    assert tuple(w.hold for w in writes) == attempt.holds
    assert [h.domain.value for h in attempt.holds] == ["a", "b"]
    assert {(h.state, h.parts, h.evicts) for h in attempt.holds} == {(HoldState.COMING, 2, (LOW,))}
    assert len({h.plan for h in attempt.holds}) == 1


def test_a_gang_claims_room_and_no_domain():
    town = Town()
    low_in(town, "a")
    attempt, write = decide(waiting(town, GANG, size=2), town.index, tenants=town)
    assert [v.group for v in attempt.victims] == [LOW]
    assert (write.hold.domain, write.hold.scope) == (place_of(GROUP), Scope.NOBODY)
    assert not is_for_pod(write.hold)


def test_a_group_that_would_still_lack_a_domain_evicts_nobody():
    town = Town()
    low_in(town, "a")
    (wait,) = decide(waiting(town), town.index, tenants=town)
    assert wait.nobody.why is WhyNoPreemption.NO_HELP


def test_nobody_goes_for_holds_that_are_not_all_written():
    holds = ComingHolds()
    first, second = coming("a", "b")
    holds.replace(None, first)
    assert list(holds.for_which_goes(LOW)) == []
    holds.replace(None, replace(second, resource_version=""))
    assert list(holds.for_which_goes(LOW)) == []
    holds.replace(second, second)
    assert list(holds.for_which_goes(LOW)) == [first, second]


def test_what_was_not_written_to_the_end_is_ended():
    town = Town()
    low_in(town, "a", "b")
    first, _ = coming("a", "b")
    assert decide(waiting(town, holds=[first]), town.index, tenants=town) == [
        EndHold(first, returning=False)
    ]


def test_it_waits_until_the_last_domain_is_free():
    town = Town()
    town.add_domain("a", nodes=2, **TPUS)
    low_in(town, "b", terminating=True)
    town.yielding = {LOW}
    assert decide(waiting(town, holds=coming("a", "b")), town.index, tenants=town) == []


def test_when_all_are_free_each_becomes_active_by_compare_and_swap():
    town = Town()
    for value in ("a", "b"):
        town.add_domain(value, nodes=2, **TPUS)
    actions = decide(waiting(town, holds=coming("a", "b")), town.index, tenants=town)
    written = [a.hold for a in actions if isinstance(a, WriteHold)]
    assert [(h.domain.value, h.state, h.evicts) for h in written] == [
        ("a", HoldState.ACTIVE, ()),
        ("b", HoldState.ACTIVE, ()),
    ]
    assert {h.resource_version for h in written} == {"7"}
    assert {p.node for p in actions if isinstance(p, Pin)} == {"a-0", "a-1", "b-0", "b-1"}


def test_a_planner_that_finds_one_active_and_the_other_coming_goes_on():
    town = Town()
    for value in ("a", "b"):
        town.add_domain(value, nodes=2, **TPUS)
    first, second = coming("a", "b")
    first = replace(first, state=HoldState.ACTIVE, evicts=(), plan="later")
    actions = decide(waiting(town, holds=[first, second]), town.index, tenants=town)
    written = [a.hold for a in actions if isinstance(a, WriteHold)]
    assert {(h.domain.value, h.state, h.plan) for h in written} == {
        ("a", HoldState.ACTIVE, "plan-2"),
        ("b", HoldState.ACTIVE, "plan-2"),
    }
    assert not any(isinstance(a, EndHold) for a in actions)


def test_foreign_pods_go_after_the_groups():
    town = Town()
    low_in(town, "a", terminating=True)
    town.add_domain("b", nodes=2, **TPUS)
    foreign = town.add_pod("foreign", "b-1", demand=WHOLE_NODE)
    town.yielding = {LOW}
    holds = coming("a", "b")
    attempt, evict = decide(waiting(town, holds=holds), town.index, tenants=town)
    assert isinstance(attempt, TryEvictions)
    assert evict == Evict(foreign, holds[0])


def test_while_no_victim_is_touched_domains_that_are_free_are_taken():
    town = Town()
    low_in(town, "a", "b")
    for value in ("c", "d"):
        town.add_domain(value, nodes=2, **TPUS)
    holds = coming("a", "b")
    actions = decide(waiting(town, holds=holds), town.index, tenants=town)
    assert {a.hold.domain.value for a in actions if isinstance(a, WriteHold)} == {"c", "d"}
    assert [a.hold for a in actions if isinstance(a, EndHold)] == holds


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"revision": "r2"}, id="another revision"),
        pytest.param({"gated": False}, id="nobody of it waits"),
    ],
)
def test_all_of_it_is_given_up_when_the_group_no_longer_asks_for_it(change):
    town = Town()
    low_in(town, "a", "b")
    holds = coming("a", "b")
    ended = [EndHold(h, returning=False) for h in holds]
    assert decide(waiting(town, holds=holds, **change), town.index, tenants=town) == ended


def test_it_is_given_up_when_a_domain_is_gone():
    town = Town()
    low_in(town, "a", "b")
    holds = coming("a", "b")
    seen = waiting(town, holds=holds)
    for i in range(2):
        town.index.drop_node(f"b-{i}")
    assert town.index.domain(DomainName(KEY, "b")) is None
    assert decide(seen, town.index, tenants=town) == [EndHold(h, returning=False) for h in holds]
