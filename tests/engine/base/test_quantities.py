"""Quantities as Kubernetes reads them."""

import pytest

from lws_placement.engine.base.quantities import amount_available, amount_requested
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
