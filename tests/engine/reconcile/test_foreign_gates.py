"""Groups whose pods carry scheduling gates of others (`engine/reconcile/foreign_gates.py`)."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
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

from lws_placement.engine.base import keys
from lws_placement.engine.model.groups import Group, GroupId, Member
from lws_placement.engine.model.hold_states import HoldState
from lws_placement.engine.objects.placement_request import TopologyRequest
from lws_placement.engine.reconcile.actions import Blocked, DeletePod, EndHold, Hindrance, Pin
from lws_placement.engine.reconcile.quota import Quota, QuotaState

QUOTA = keys.KUEUE_GATE
LACKING, CHECKING, GRANTED = map(Quota, QuotaState)
BOTH = {"gates": (QUOTA, keys.GATE)}
THEIRS = {"gates": (QUOTA,), "gated": False}
WAITS = Blocked(
    f"waits for scheduling gate {QUOTA} of others on pod llm-0 to be removed",
    Hindrance.GATED,
    gist=QUOTA,
)


def who_waits() -> Group:
    other = GroupId("ns", "other", "other-uid", "key-9")
    return Group(other, TopologyRequest(KEY), tuple(Member(rank, WHOLE_NODE) for rank in range(2)))


@pytest.mark.parametrize("gates", [(QUOTA, keys.GATE), (keys.GATE, QUOTA)])
def test_a_group_that_others_keep_from_running_is_not_planned(gates):
    assert decide(a_seen(a_member(0, gates=gates)), an_index("a")) == [WAITS]


def test_it_is_planned_when_the_gate_of_others_is_gone():
    actions = decide(a_seen(a_member(0, gates=(keys.GATE,))), an_index("a"))
    assert kinds(actions) == ["WriteHold", "Pin"]


def test_one_gated_worker_keeps_the_whole_group_back():
    (action,) = decide(a_seen(a_member(0), a_member(1, **BOTH)), an_index("a"))
    assert isinstance(action, Blocked)
    assert "on pod llm-0-1" in action.why


def test_a_group_that_came_back_keeps_its_domain_while_nobody_else_could_use_it():
    index = an_index("a")
    seen = a_seen(a_member(0, **BOTH), holds=held(index, a_hold()))
    seen = replace(seen, current=frozenset({"r1"}))
    assert kinds(decide(seen, index)) == ["Blocked", "KeepHold"]
    yields = decide(seen, index, waiting=(who_waits(),))
    assert yields == [WAITS, EndHold(seen.holds[0], returning=True)]


def test_its_domain_ends_after_a_while_if_it_is_not_as_held():
    index = an_index("a")
    seen = a_seen(a_member(0, **BOTH), holds=held(index, a_hold(revision="r0")))
    assert decide(seen, index) == [WAITS, EndHold(seen.holds[0], returning=True)]


def test_a_member_that_was_let_go_does_not_outlive_the_hold():
    """Else it would be bound where it is pinned, by then somebody else's, when the gate goes."""
    index = an_index("a")
    leader = a_member(0, **THEIRS, pinned="a-0", plan="plan-1")
    seen = a_seen(leader, holds=held(index, a_hold()))
    seen = replace(seen, current=frozenset({"r1"}))
    assert kinds(decide(seen, index)) == ["Blocked", "KeepHold"]
    yields = decide(seen, index, waiting=(who_waits(),))
    assert kinds(yields) == ["Blocked", "DeletePod", "EndHold"]
    gone = decide(replace(seen, holds=()), index)
    assert gone == [WAITS, DeletePod(leader, "no hold covers it any more")]


def test_holds_are_left_alone_while_old_pods_are_terminating():
    index = an_index("a")
    old = a_member(0, uid="old", node="a-0", gated=False, terminating=True, created_s=0.0)
    seen = a_seen(old, a_member(0, **BOTH), holds=held(index, a_hold()))
    assert decide(seen, index) == [WAITS]


def test_nobody_is_evicted_any_more_for_a_group_that_is_held_back():
    index = an_index("a")
    seen = a_seen(a_member(0, **BOTH), holds=held(index, a_hold(state=HoldState.COMING)))
    assert decide(seen, index) == [WAITS, EndHold(seen.holds[0], returning=False)]


def test_beside_a_bound_leader_only_members_that_nobody_holds_back_are_pinned():
    index = an_index("a")
    leader = a_member(0, node="a-0", gated=False, pinned="a-0", size=2)
    bind(index, leader)
    seen = a_seen(leader, a_member(1, **BOTH), holds=held(index, a_hold()))
    (action,) = decide(seen, index)
    assert isinstance(action, Blocked)
    assert "on pod llm-0-1" in action.why
    free = a_seen(leader, a_member(1, gates=(keys.GATE,)), holds=seen.holds)
    (pin,) = decide(free, index)
    assert isinstance(pin, Pin)
    assert pin.node == "a-1"


def test_a_group_that_is_bound_is_not_disturbed():
    index = an_index("a")
    pods = [a_member(r, node=f"a-{r}", gated=False, pinned=f"a-{r}") for r in range(2)]
    bind(index, *pods)
    assert decide(a_seen(*pods, holds=held(index, a_hold())), index) == []


STATES = st.sampled_from(
    [
        None,
        {"gates": (keys.GATE,)},
        BOTH,
        THEIRS,
        {"gated": False, "pinned": "a-0", "gates": ()},
        {"gated": False, "pinned": "a-1", "gates": (QUOTA,)},
        {"terminating": True, "gates": (QUOTA, keys.GATE)},
    ]
)
HOLDS = st.lists(
    st.tuples(st.sampled_from("ab"), st.sampled_from([*HoldState])),
    max_size=2,
    unique_by=lambda hold: hold[0],
)


@given(STATES, STATES, HOLDS, st.booleans())
def test_nothing_new_is_held_while_others_hold_a_group_back(leader, worker, holds, waits):
    """Whatever its pods and holds are, if nothing of it is bound."""
    index = an_index("a", "b")
    pods = [a_member(r, **f) for r, f in enumerate((leader, worker)) if f is not None]
    found = [a_hold(d, state=state, plan=f"plan-{d}") for d, state in holds]
    seen = a_seen(*pods, holds=held(index, *found))
    seen = replace(seen, current=frozenset({"r1"}))
    back = any(p.foreign_gates and not p.terminating for p in pods)
    done = set(kinds(decide(seen, index, waiting=(who_waits(),) if waits else ())))
    if back:
        assert not done & {"WriteHold", "Pin", "TryEvictions", "Evict", "Wait"}
        assert "Blocked" in done


# -- members that the API server would refuse ------------------------------------------------------


def refusing_workers(*pods, **fields):
    seen = a_seen(*pods, **fields)
    templates = replace(seen.templates["r1"], worker_forbidden="LimitRange small refuses them")
    return replace(seen, templates={"r1": templates}, current=frozenset({"r1"}))


def test_a_group_whose_workers_would_be_refused_is_not_planned():
    assert decide(refusing_workers(a_member(0)), an_index("a")) == [
        Blocked(
            "the API server would refuse its worker 1: LimitRange small refuses them",
            Hindrance.FORBIDDEN,
        )
    ]


def test_workers_that_exist_were_not_refused():
    actions = decide(refusing_workers(a_member(0), a_member(1)), an_index("a"))
    assert kinds(actions) == ["WriteHold", "Pin", "Pin"]


def test_a_group_that_came_back_to_be_refused_holds_its_domain_until_somebody_waits():
    index = an_index("a")
    seen = refusing_workers(a_member(0), holds=held(index, a_hold()))
    assert kinds(decide(seen, index)) == ["Blocked", "KeepHold"]
    assert kinds(decide(seen, index, waiting=(who_waits(),))) == ["Blocked", "EndHold"]


def test_a_group_that_is_bound_keeps_its_domain_and_says_who_is_refused():
    index = an_index("a")
    leader = a_member(0, gated=False, node="a-0")
    bind(index, leader)
    seen = refusing_workers(leader, holds=held(index, a_hold()))
    assert kinds(decide(seen, index)) == ["Blocked"]


# -- Kueue's quota ---------------------------------------------------------------------------------


def came_back(index, quota, *pods):
    """In its own domain, as held."""
    seen = a_seen(*pods, holds=held(index, a_hold()))
    return replace(seen, current=frozenset({"r1"}), quota=quota)


@pytest.mark.parametrize("quota", [None, GRANTED])
def test_a_group_with_quota_keeps_its_domain_until_kueues_gate_goes(quota):
    index = an_index("a")
    seen = came_back(index, quota, a_member(0, **BOTH))
    assert kinds(decide(seen, index)) == ["Blocked", "KeepHold"]


def test_a_group_whose_quota_is_taken_away_loses_its_domain_at_once():
    index = an_index("a")
    seen = came_back(index, LACKING, a_member(0, **BOTH))
    assert decide(seen, index) == [WAITS, EndHold(seen.holds[0])]
    without_pods = came_back(index, LACKING)
    assert decide(without_pods, index) == [EndHold(seen.holds[0])]


def test_while_its_pods_run_it_keeps_what_they_are_on():
    index = an_index("a")
    pods = [a_member(r, node=f"a-{r}", gated=False, plan="plan-1") for r in (0, 1)]
    bind(index, *pods)
    assert decide(came_back(index, LACKING, *pods), index) == []


def test_where_kueue_asks_us_it_is_held_behind_kueues_gate_and_not_pinned():
    index = an_index("a")
    seen = replace(a_seen(a_member(0, **BOTH)), quota=CHECKING)
    assert kinds(decide(seen, index)) == ["WriteHold"]
    assert decide(came_back(index, CHECKING, a_member(0, **BOTH)), index) == []
    assert kinds(decide(seen, an_index())) == ["Wait"]


def test_once_kueue_has_removed_its_gate_it_is_pinned_where_it_is_held():
    index = an_index("a")
    seen = came_back(index, GRANTED, a_member(0, gates=(keys.GATE,)))
    assert kinds(decide(seen, index)) == ["Pin"]


def test_gates_of_others_hold_it_back_though_kueue_asks_us():
    gates = (QUOTA, "example.com/other", keys.GATE)
    seen = replace(a_seen(a_member(0, gates=gates)), quota=CHECKING)
    (action,) = decide(seen, an_index("a"))
    assert isinstance(action, Blocked)
    assert "example.com/other" in action.why
