"""Numbers that people write: bounded, ASCII, and read in no time."""

import pytest

from lws_placement.engine.base.group_names import parent_and_ordinal
from lws_placement.engine.base.keys import (
    LWS_SUBGROUP_EXCLUSIVE_TOPOLOGY,
    LWS_SUBGROUP_SIZE,
    RESTART_BACKOFF_SECONDS,
    RESTART_BUDGET,
)
from lws_placement.engine.base.whole_numbers import INT32, MOST_SIZE, whole_number
from lws_placement.engine.lws.restart_budget import budget_of
from lws_placement.engine.lws.validation import problems_of, why_not_made
from lws_placement.engine.objects.label_terms import meets
from lws_placement.engine.objects.nodes import Operator, Requirement
from lws_placement.engine.objects.placement_request import placement_request_of

NO_NUMBERS = [
    "",
    "-1",
    "+1",
    " 1",
    "1_0",
    "1.0",
    "0x1",
    "\u0661",  # a digit of another script: str.isdecimal takes it
    "\u00b2",
    pytest.param("9" * 5000, id="more digits than int() takes"),
    "2147483648",
    None,
    True,
    1.0,
    [],
    {},
    -1,
    pytest.param(10**5000, id="a huge integer"),
]


@pytest.mark.parametrize(("value", "number"), [("0", 0), ("007", 7), (str(INT32), INT32), (5, 5)])
def test_text_and_json_numbers_are_read(value, number):
    assert whole_number(value) == number


@pytest.mark.parametrize("value", NO_NUMBERS)
def test_what_is_no_number_is_none(value):
    assert whole_number(value) is None


@pytest.mark.parametrize("value", [value for value in NO_NUMBERS if not hasattr(value, "id")])
def test_nothing_is_asked_by_what_is_no_number(value):
    notes = {LWS_SUBGROUP_SIZE: value, LWS_SUBGROUP_EXCLUSIVE_TOPOLOGY: "rack"}
    assert not placement_request_of(notes).subgroup_topology
    assert budget_of({"metadata": {"annotations": {RESTART_BUDGET: value}}}) is None
    given = {RESTART_BUDGET: "3", RESTART_BACKOFF_SECONDS: value}
    assert budget_of({"metadata": {"annotations": given}}).first_wait_s == 10


@pytest.mark.parametrize("value", ["9" * 5000, "\u0661", "2147483648"])
def test_a_restart_budget_that_is_no_number_is_refused(value):
    for key in (RESTART_BUDGET, RESTART_BACKOFF_SECONDS):
        lws = an_lws(notes={key: value})
        assert [p.path for p in problems_of(lws)] == [f"metadata.annotations[{key}]"]
        assert len(str(problems_of(lws)[0])) < 300


def test_ordinals_are_those_of_stateful_sets():
    assert parent_and_ordinal("llm-0-3") == ("llm-0", 3)
    for name in ("llm-" + "9" * 5000, "llm-\u0661", "llm-4294967296", "llm-", "llm"):
        assert parent_and_ordinal(name) is None


@pytest.mark.parametrize(
    ("label", "limit", "is_more"),
    [
        ("10", "9", True),
        ("-1", "-2", True),
        (str(2**63 - 1), str(2**63 - 2), True),
        (str(2**63), "0", False),
        ("1_0", "0", False),
        pytest.param("9" * 5000, "0", False, id="long"),
    ],
)
def test_gt_compares_integers_of_64_bits_and_nothing_else(label, limit, is_more):
    assert meets({"k": label}, Requirement("k", Operator.GT, (limit,))) is is_more


def an_lws(*, size=4, notes=None, rolling=None, **spec):
    template = {"size": size, "workerTemplate": {"spec": {"containers": [{"name": "c"}]}}}
    spec = {"replicas": 1, "leaderWorkerTemplate": template, **spec}
    if rolling is not None:
        spec["rolloutStrategy"] = {"rollingUpdateConfiguration": rolling}
    return {"metadata": {"name": "llm", "annotations": notes or {}}, "spec": spec}


SIZE = "spec.leaderWorkerTemplate.size"
ROLLING = "spec.rolloutStrategy.rollingUpdateConfiguration"


def test_a_group_may_have_as_many_pods_as_the_setting_says():
    (problem,) = problems_of(an_lws(size=9), most_size=8)
    assert str(problem) == (
        f"{SIZE}: Invalid value: 9: size must be equal or less than 8 (setting max_group_size)"
    )
    assert problems_of(an_lws(size=8), most_size=8) == []


def test_a_set_that_was_stored_larger_can_still_be_edited_but_not_grow():
    stored = an_lws(size=9)
    assert problems_of(an_lws(size=9, replicas=2), stored, most_size=8) == []
    assert [p.path for p in problems_of(an_lws(size=10), stored, most_size=8)] == [SIZE]


@pytest.mark.parametrize(
    ("lws", "path"),
    [
        (an_lws(size=2_000_000_000), SIZE),
        (an_lws(size=MOST_SIZE + 1), SIZE),
        (an_lws(size="4"), SIZE),
        (an_lws(size=0), SIZE),
        (an_lws(replicas=2_000_000_000), "spec.replicas"),
        (an_lws(replicas=-1), "spec.replicas"),
        pytest.param(an_lws(replicas=10**5000), "spec.replicas", id="huge"),
        (an_lws(rolling={"maxSurge": "9" * 5000 + "%"}), f"{ROLLING}.maxSurge"),
        (an_lws(rolling={"maxSurge": 2**40}), f"{ROLLING}.maxSurge"),
        (an_lws(rolling={"maxUnavailable": "some"}), f"{ROLLING}.maxUnavailable"),
        (an_lws(rolling={"partition": 2**31}), f"{ROLLING}.partition"),
        (an_lws(rolling={"partition": True}), f"{ROLLING}.partition"),
    ],
)
def test_numbers_that_nothing_can_be_made_from_are_refused_and_named(lws, path):
    assert path in [p.path for p in problems_of(lws)]
    problem = why_not_made(lws)
    assert problem.path == path
    assert len(str(problem)) < 400


def test_what_a_write_to_scale_can_lead_to_is_carried_out():
    assert why_not_made(an_lws(rolling={"maxUnavailable": 0, "maxSurge": 0})) is None
    assert why_not_made(an_lws(replicas=1_000_000, size=4096)) is None
