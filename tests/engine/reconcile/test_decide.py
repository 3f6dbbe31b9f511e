"""What the planner does for one group, case by case (`engine/reconcile/decide.py`)."""

from dataclasses import replace

import pytest
from support.decisions import (
    KEY,
    WHOLE_NODE,
    a_hold,
    a_member,
    a_seen,
    an_index,
    bind,
    decide,
    held,
    kinds,
)

from lws_placement.engine.model.groups import GroupId, Occupant
from lws_placement.engine.model.hold_states import HoldState
from lws_placement.engine.model.pods import Demand, Pod
from lws_placement.engine.objects.nodes import DomainName, Node
from lws_placement.engine.reconcile.actions import (
    Blocked,
    DeletePod,
    EndHold,
    LeaveHold,
    Pin,
    Wait,
    WriteHold,
)

SMALL = Demand(resources=(("cpu", 1000), ("pods", 1)))


def test_a_lone_leader_gets_a_domain_for_the_members_that_do_not_exist_yet() -> None:
    actions = decide(a_seen(a_member(0)), an_index("a"))
    assert kinds(actions) == ["WriteHold", "Pin"]
    assert isinstance(actions[0], WriteHold)
    assert set(actions[0].hold.nodes.values()) == {"a-0", "a-1"}
    assert actions[0].hold.plan == "plan-2"


def test_members_that_come_later_are_pinned_to_what_was_reserved() -> None:
    index = an_index("a")
    leader = a_member(0, gated=False, node="a-0")
    holds = held(index, a_hold())
    bind(index, leader)
    actions = decide(a_seen(leader, a_member(1), holds=holds), index)
    assert actions == [Pin(a_member(1), 1, "a-1", "plan-1")]


def test_a_group_that_fits_nowhere_waits_with_a_reason_per_domain() -> None:
    index = an_index("a", "b")
    for node in ("a-0", "b-1"):
        index.put_occupant(node, Occupant("foreign", WHOLE_NODE), owner_uid="")
    actions = decide(a_seen(a_member(0), a_member(1)), index)
    assert isinstance(actions[0], Wait)
    assert sorted(actions[0].verdict.reasons) == ["a", "b"]


def test_a_domain_of_another_group_is_not_taken() -> None:
    index = an_index("a")
    other = GroupId("elsewhere", "other", "u", "k")
    held(index, replace(a_hold(), group=other))
    assert kinds(decide(a_seen(a_member(0)), index)) == ["Wait"]


def test_a_domain_of_another_key_that_shares_a_node_is_not_taken() -> None:
    index = an_index("a")
    index.put_node(Node("a-1", {KEY: "a", "rack": "r"}, {"google.com/tpu": 4, "pods": 9}))
    other = replace(a_hold(), domain=DomainName("rack", "r"), group=GroupId("n", "o", "u", "k"))
    held(index, other)
    assert kinds(decide(a_seen(a_member(0)), index)) == ["Wait"]


@pytest.mark.parametrize(
    ("pods", "lws", "returning"),
    [
        pytest.param((), True, True, id="a restart: it is expected back"),
        pytest.param((), False, False, id="its LeaderWorkerSet is gone"),
    ],
)
def test_the_hold_of_a_group_without_pods_ends(
    pods: tuple[Pod, ...], lws: bool, returning: bool
) -> None:
    index = an_index("a")
    holds = held(index, a_hold())
    assert decide(a_seen(*pods, holds=holds, lws=lws), index) == [EndHold(holds[0], returning)]


def test_the_hold_stays_while_pods_are_terminating() -> None:
    index = an_index("a")
    holds = held(index, a_hold())
    leader = a_member(0, gated=False, node="a-0", terminating=True)
    assert decide(a_seen(leader, holds=holds, lws=False), index) == []


def test_a_pinned_member_whose_node_was_cordoned_gets_the_spare_node_of_its_domain() -> None:
    index = an_index("a")
    index.put_node(Node("a-2", {KEY: "a"}, {"google.com/tpu": 4, "cpu": 8000, "pods": 110}))
    leader = a_member(0, gated=False, node="a-0")
    worker = a_member(1, gated=False, pinned="a-1")
    holds = held(index, a_hold())
    bind(index, leader)
    index.put_node(
        Node("a-1", {KEY: "a"}, {"google.com/tpu": 4, "cpu": 1, "pods": 1}, unschedulable=True)
    )
    actions = decide(a_seen(leader, worker, holds=holds), index)
    assert kinds(actions) == ["WriteHold", "DeletePod"]
    assert isinstance(actions[0], WriteHold)
    assert actions[0].hold.nodes == {0: "a-0", 1: "a-2"}
    assert actions[0].hold.resource_version == "7"


def test_a_partly_bound_group_that_cannot_be_completed_is_restarted_whole() -> None:
    index = an_index("a")
    leader = a_member(0, gated=False, node="a-0")
    worker = a_member(1, gated=False, pinned="a-1")
    holds = held(index, a_hold())
    bind(index, leader)
    index.drop_node("a-1")
    actions = decide(a_seen(leader, worker, holds=holds), index)
    assert kinds(actions) == ["LeaveHold", "DeletePod"]
    assert isinstance(actions[1], DeletePod)
    assert (actions[1].pod, actions[1].whole) == (leader, True)


def test_an_unbound_group_whose_domain_broke_leaves_it_and_only_its_ungated_pods_go() -> None:
    index = an_index("a")
    holds = held(index, a_hold())
    index.drop_node("a-1")
    leader = a_member(0, gated=False, pinned="a-0")
    actions = decide(a_seen(leader, a_member(1), holds=holds), index)
    assert kinds(actions) == ["LeaveHold", "DeletePod"]
    assert [a.pod for a in actions if isinstance(a, DeletePod)] == [leader]


def test_a_move_under_way_is_finished_and_not_mistaken_for_an_adoption() -> None:
    index = an_index("a", "b")
    holds = held(index, a_hold(state=HoldState.LEAVING))
    leader = a_member(0, gated=False, node="a-0")
    bind(index, leader)
    actions = decide(a_seen(leader, holds=holds), index)
    assert [a.whole for a in actions if isinstance(a, DeletePod)] == [True]


def test_a_left_hold_ends_when_nobody_of_the_group_is_there_any_more() -> None:
    index = an_index("a", "b")
    left, now = held(
        index, a_hold(state=HoldState.LEAVING), a_hold("b", resource_version="8", uid="other")
    )
    pods = [a_member(r, gated=False, node=f"b-{r}") for r in (0, 1)]
    bind(index, *pods)
    assert decide(a_seen(*pods, holds=(left, now)), index) == [EndHold(left, False)]


def test_a_group_that_ran_before_us_is_adopted_where_it_runs() -> None:
    index = an_index("a", "b")
    pods = [a_member(r, gated=False, marked=False, node=f"b-{r}") for r in (0, 1)]
    bind(index, *pods)
    actions = decide(a_seen(*pods), index)
    assert isinstance(actions[0], WriteHold)
    assert actions[0].hold.domain == DomainName(KEY, "b")
    assert actions[0].hold.nodes == {0: "b-0", 1: "b-1"}


def test_two_groups_found_on_one_domain_are_reported_not_killed() -> None:
    index = an_index("a")
    pods = [a_member(0, gated=False, marked=False, node="a-0")]
    bind(index, *pods)
    other = GroupId("ns", "other", "u", "k")
    index.put_occupant("a-1", Occupant("x", SMALL, other), owner_uid="")
    (action,) = decide(a_seen(*pods), index)
    assert isinstance(action, Blocked)
    assert "ns/other" in action.why


def test_a_new_revision_is_planned_again_in_its_own_domain_first() -> None:
    index = an_index("0", "a")
    holds = held(index, a_hold())
    actions = decide(a_seen(a_member(0, revision="r2"), holds=holds), index)
    assert isinstance(actions[0], WriteHold)
    assert actions[0].hold.domain.value == "a"
    assert (actions[0].hold.revision, actions[0].hold.resource_version) == ("r2", "7")


def test_a_member_that_was_admitted_larger_than_reserved_is_planned_again() -> None:
    index = an_index("a")
    holds = held(index, a_hold())
    larger = Demand(resources=(("cpu", 2000), *WHOLE_NODE.resources))
    actions = decide(a_seen(a_member(0, demand=larger), holds=holds), index)
    assert kinds(actions) == ["WriteHold", "Pin", "Tell"]


def test_a_pinned_pod_that_no_hold_covers_is_replaced() -> None:
    loose = a_member(0, gated=False, pinned="a-0")
    actions = decide(a_seen(loose, a_member(1)), an_index("a"))
    assert actions == [DeletePod(loose, "no hold covers it any more")]


def test_a_gated_group_whose_set_is_unknown_is_blocked_with_what_to_do() -> None:
    (action,) = decide(a_seen(a_member(0), lws=False), an_index("a"))
    assert isinstance(action, Blocked)
    assert "LeaderWorkerSet ns/llm" in action.why


def test_the_room_of_its_own_terminating_pods_counts_as_free() -> None:
    index = an_index("a")
    old = a_member(0, gated=False, node="a-0", terminating=True, uid="old")
    bind(index, old)
    actions = decide(a_seen(old, a_member(0), a_member(1)), index)
    assert isinstance(actions[0], WriteHold)


def test_deciding_twice_on_the_same_view_gives_the_same_actions() -> None:
    index = an_index("a", "b")
    seen = a_seen(a_member(0), a_member(1))
    assert decide(seen, index) == decide(seen, index)


def test_a_leader_is_not_bound_where_a_worker_to_come_no_longer_fits() -> None:
    index = an_index("a", "b")
    holds = held(index, a_hold())
    leader = a_member(0, gated=False, pinned="a-0")
    assert decide(a_seen(leader, holds=holds), index) == []
    index.drop_node("a-1")
    assert kinds(decide(a_seen(leader, holds=holds), index)) == ["LeaveHold", "DeletePod"]


def test_a_running_leader_is_not_restarted_for_a_worker_that_is_not_there_yet() -> None:
    index = an_index("a", "b")
    holds = held(index, a_hold())
    leader = a_member(0, gated=False, node="a-0")
    bind(index, leader)
    index.drop_node("a-1")
    assert decide(a_seen(leader, holds=holds), index) == []


@pytest.mark.parametrize("where", [{"node": "b-0"}, {"pinned": "b-0"}], ids=["bound", "pinned"])
def test_of_two_active_holds_the_one_where_the_pods_are_stays(where: dict[str, str]) -> None:
    """A deposed planner's write landed late, on a domain that comes first by name."""
    index = an_index("a", "b")
    late, real = held(index, a_hold("a"), a_hold("b", uid="other"))
    leader = a_member(0, gated=False, **where)
    if leader.node:
        bind(index, leader)
    (left,) = decide(a_seen(leader, holds=(late, real)), index)
    assert isinstance(left, LeaveHold)
    assert left.hold == late
    left_now = replace(late, state=HoldState.LEAVING)
    index.put_hold(left_now)
    ended = decide(a_seen(leader, holds=(left_now, real)), index)
    assert ended == [EndHold(left_now, returning=False)]


def test_of_two_active_holds_for_gated_pods_the_one_of_their_revision_stays() -> None:
    index = an_index("a", "b")
    late, real = held(index, a_hold("a", revision="r0"), a_hold("b", uid="other"))
    actions = decide(a_seen(a_member(0), holds=(late, real)), index)
    assert actions == [
        LeaveHold(late, f"the group has {KEY}=b already"),
        Pin(a_member(0), 0, "b-0", "plan-1"),
    ]


def test_a_hold_that_is_left_stays_while_a_pod_without_gate_and_pin_may_be_bound_there() -> None:
    index = an_index("a", "b")
    left, now = held(
        index, a_hold(state=HoldState.LEAVING), a_hold("b", resource_version="8", uid="other")
    )
    freed = a_member(1, gated=False)
    leader = a_member(0, gated=False, node="b-0")
    bind(index, leader)
    actions = decide(a_seen(leader, freed, holds=(left, now)), index)
    assert actions == [DeletePod(freed, "its gate was taken off by hand, its place is b-1")]
