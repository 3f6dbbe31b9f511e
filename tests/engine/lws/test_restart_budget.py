"""Restarts in a row: at once, then later and later, then no more."""

import pytest

from lws_placement.engine.lws.restart_budget import (
    RestartBudget,
    RestartRecord,
    budget_of,
    crash_looping,
    decode_records,
    encode_records,
    next_look_s,
    record_of,
)

BUDGET = RestartBudget(restarts=3, first_wait_s=10.0)


def an_lws(**notes):
    names = {"budget": "restart-budget", "backoff": "restart-backoff-seconds"}
    annotations = {f"lws-placement.dev/{names[k]}": v for k, v in notes.items()}
    return {"metadata": {"name": "llm", "annotations": annotations}}


@pytest.mark.parametrize(
    ("lws", "budget"),
    [
        (an_lws(), None),
        (an_lws(backoff="5"), None),
        (an_lws(budget="many"), None),
        (an_lws(budget="3"), BUDGET),
        (an_lws(budget="3", backoff="5"), RestartBudget(3, 5.0)),
    ],
)
def test_there_is_no_budget_unless_asked_for(lws, budget):
    assert budget_of(lws) == budget


def test_each_restart_in_a_row_waits_twice_as_long_up_to_five_minutes():
    waits = [BUDGET.wait_s(n) for n in (1, 2, 3, 4, 7, 1000)]
    assert waits == [0.0, 10.0, 20.0, 40.0, 300.0, 300.0]


def test_a_leader_that_has_its_note_keeps_it_until_another_comes():
    first = record_of(BUDGET, None, leader="a", revision="r", now_s=100.0)
    assert first == RestartRecord(1, 100.0, "a", "r")
    assert record_of(BUDGET, first, leader="a", revision="r", now_s=500.0) == first
    second = record_of(BUDGET, first, leader="b", revision="r", now_s=101.0)
    assert second == RestartRecord(2, 110.0, "b", "r")


@pytest.mark.parametrize(
    ("revision", "now_s", "restart"),
    [
        ("r", 200.0, 3),
        pytest.param("r", 701.0, 1, id="it went on for ten minutes"),
        pytest.param("other", 200.0, 1, id="its template is another one"),
    ],
)
def test_when_a_restart_counts_as_one_in_a_row(revision, now_s, restart):
    before = RestartRecord(2, 100.0, "a", "r")
    made = record_of(BUDGET, before, leader="b", revision=revision, now_s=now_s)
    assert made.restart == restart


def test_it_is_said_which_groups_restart_again_and_again():
    notes = {
        "0": RestartRecord(1, 0.0, "a", "r"),
        "2": RestartRecord(2, 0.0, "b", "r"),
        "10": RestartRecord(4, 0.0, "c", "r"),
    }
    spent = crash_looping(BUDGET, notes, leaders={"10": "c"}, now_s=1.0)
    assert (spent.reason, spent.message) == (
        "RestartBudgetSpent",
        "left alone after 3 restarts in a row: group 10",
    )
    helped = crash_looping(BUDGET, notes, leaders={"10": "a new one"}, now_s=1.0)
    assert (helped.reason, helped.message) == (
        "BackOff",
        "restarted more than once in a row: groups 2, 10",
    )
    assert crash_looping(BUDGET, notes, leaders={}, now_s=601.0) is None


def test_when_to_look_again():
    assert next_look_s({"0": RestartRecord(2, 110.0, "a", "r")}, 100.0) == 10.0
    assert next_look_s({"0": RestartRecord(2, 110.0, "a", "r")}, 110.0) == 600.0
    assert next_look_s({"0": RestartRecord(2, 110.0, "a", "r")}, 710.0) is None


@pytest.mark.parametrize("text", ["", "{", "[]", '{"0": 1}', '{"0": {"restart": 1}}'])
def test_an_unreadable_annotation_is_no_note(text):
    assert decode_records(text) == {}


def test_notes_survive_the_annotation():
    notes = {"0": RestartRecord(2, 110.5, "a", "r"), "1": RestartRecord(1, 1.0, "b", "r")}
    assert decode_records(encode_records(notes)) == notes
