"""Quantities as Kubernetes reads them, and verdicts in the words people read."""

import pytest

from lws_placement.engine.explain import waiting_note
from lws_placement.engine.model import NoFit, Reason, Why
from lws_placement.engine.resources import amount_available, amount_requested
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


@pytest.mark.parametrize("text", ["", "much", "1Qi", "1K", "--1"])
def test_what_is_no_quantity_is_an_error(text):
    with pytest.raises(InvalidObjectError):
        amount_requested("cpu", text)


def test_the_nearest_miss_comes_first_and_classes_are_counted():
    near = Reason(Why.TOO_FEW_NODES, fit=3, nodes=4)
    verdict = NoFit("rack", {"a": Reason(Why.HELD), "b": near, "c": near})
    note = waiting_note(verdict, size=4)
    assert note == (
        "waits for a whole domain of rack for 4 pods: "
        "2 domains have 3 of 4 nodes that fit, 1 domain held by another group"
    )


def test_a_key_that_no_node_carries_says_so():
    assert "no node carries the label rack" in waiting_note(NoFit("rack"), size=1)


def test_notes_fit_into_an_event():
    reasons = {
        str(i): Reason(Why.TOO_FEW_NODES, fit=1, nodes=i + 2, detail="x" * 200) for i in range(40)
    }
    assert len(waiting_note(NoFit("rack", reasons), size=4)) <= 1024
