"""Quantities as Kubernetes reads them, and verdicts in the words people read."""

from dataclasses import replace

import pytest

from lws_placement.engine.base.quantities import amount_available, amount_requested
from lws_placement.engine.messages import domain_in_words, gist, waiting_note
from lws_placement.engine.model.groups import GroupId
from lws_placement.engine.model.verdicts import NoFit, Reason, Shortfall, Why
from lws_placement.errors import InvalidObjectError


@pytest.mark.parametrize(
    ("name", "text", "amount"),
    [
        ("cpu", "100m", 100),
        ("cpu", "1.5", 1500),
        ("cpu", "0.0001", 1),
        *(("memory", f"1{unit}i", 2 ** (10 * n)) for n, unit in enumerate("KMGTPE", start=1)),
        *(("memory", f"1{unit}", 10 ** (3 * n)) for n, unit in enumerate("kMGTPE", start=1)),
        ("memory", "1e3", 1000),
        ("memory", "1E3", 1000),
        ("google.com/tpu", "4", 4),
    ],
)
def test_requests_are_rounded_up(name, text, amount):
    assert amount_requested(name, text) == amount


def test_capacities_are_rounded_down():
    assert amount_available("cpu", "1.9999") == 1999


def test_a_kubelet_reports_memory_in_kibibytes():
    assert amount_available("memory", "263170900Ki") == 263170900 * 1024


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("1e9999999", 2**63 - 1),
        ("1e200000", 2**63 - 1),
        ("9223372036854775808", 2**63 - 1),
        ("8Ei", 2**63 - 1),
        ("-1e200000", -(2**63) + 1),
        pytest.param(10**5000, 2**63 - 1, id="no text in Python"),
        (1e300, 2**63 - 1),
        ("1e-9999999", 1),
        ("0e9999999", 0),
        (None, 0),
    ],
)
def test_more_than_the_most_is_the_most_and_less_than_the_least_the_least(text, amount):
    assert amount_requested("memory", text) == amount


def test_large_quantities_are_exact():
    assert amount_requested("cpu", "9223372036854775.807") == 9223372036854775807
    assert amount_requested("memory", "123456789012345678.0000000001") == 123456789012345679


@pytest.mark.parametrize("given", ["", "much", "1Qi", "1K", "--1", "1e3m", "\u0661", "1_0", "NaN"])
def test_what_is_no_quantity_is_an_error(given):
    with pytest.raises(InvalidObjectError):
        amount_requested("cpu", given)


@pytest.mark.parametrize(
    "given", ["9" * 10**6, "1" + " " * 70 + "m", {}, ["1"], True, float("nan")]
)
def test_what_cannot_be_a_quantity_is_an_error_in_few_words(given):
    with pytest.raises(InvalidObjectError) as raised:
        amount_requested("cpu", given)
    assert len(str(raised.value)) < 200


NEAR = Reason(Why.TOO_FEW_NODES, fit=3, nodes=4, shortfall=Shortfall(3, "google.com/tpu", 4, 1))
ME, OTHER = GroupId("ns", "llm", "u", "me"), GroupId("ns", "other", "v", "other")


def test_the_nearest_miss_comes_first_and_classes_are_counted():
    nearly = replace(NEAR, shortfall=replace(NEAR.shortfall, largest_free=0))
    held = Reason(Why.HELD, nodes=4, holder=OTHER)
    verdict = NoFit("rack", {"a": held, "b": NEAR, "c": nearly})
    note = waiting_note(verdict, size=4)
    assert note == (
        "waits for a whole domain of rack for 4 pods: 2 domains have 3 of 4 nodes that fit "
        "(worker 3 needs 4 google.com/tpu, largest free node left has 1), "
        "1 domain held by another group"
    )


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        (NEAR, "worker 3 needs 4 google.com/tpu, largest free node left has 1 (3 of 4 nodes fit)"),
        (
            Reason(Why.TOO_FEW_NODES, 0, 1, Shortfall(0, "cpu", 2500, 1000)),
            "leader needs 2500m cpu, largest free node has 1 (0 of 1 node fit)",
        ),
        (
            Reason(Why.TOO_FEW_NODES, 1, 2, Shortfall(1, rule="cordoned")),
            "no other node for worker 1: cordoned (1 of 2 nodes fits)",
        ),
        (Reason(Why.TOO_FEW_NODES, 3, 3), "has only 3 nodes, each for one member"),
        (Reason(Why.HELD, holder=OTHER), "held by other"),
        (Reason(Why.OVERLAPS, holder=OTHER), "shares nodes with the domain of other"),
        (Reason(Why.FIXED_ELSEWHERE), "is not where the group's running pods are"),
    ],
)
def test_a_domain_says_what_it_lacks_for_which_member(reason, words):
    assert domain_in_words(reason, lambda group: group.lws) == words


def test_the_gist_stays_while_only_numbers_change():
    one = NoFit("rack", {"a": NEAR, "b": Reason(Why.HELD, holder=OTHER)})
    two = NoFit("rack", {"a": replace(NEAR, fit=2), "b": NEAR, "c": Reason(Why.HELD, holder=ME)})
    other = NoFit("rack", {"a": NEAR})
    assert gist(one) == gist(two) != gist(other)


def test_a_key_that_no_node_carries_says_so():
    assert "no node carries the label rack" in waiting_note(NoFit("rack"), size=1)


def test_notes_fit_into_an_event():
    reasons = {
        str(i): Reason(Why.TOO_FEW_NODES, 1, i + 2, Shortfall(1, rule="x" * 200)) for i in range(40)
    }
    assert len(waiting_note(NoFit("rack", reasons), size=4)) <= 1024
