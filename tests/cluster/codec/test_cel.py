"""Selectors of devices in CEL: Kubernetes' answers, and bounds for what tenants write."""

import subprocess
import sys

import pytest
from support.devices import a_device, a_slice

from lws_placement.cluster.codec.cel import Selectors
from lws_placement.cluster.codec.cel_library import Library
from lws_placement.cluster.codec.devices import decode_slice
from lws_placement.engine.model.devices.allocation import NotProvenError
from lws_placement.engine.model.devices.capacity import AllocationError

RAW = a_device(
    "d0",
    model="a100",
    numa=1,
    healthy=True,
    capacity={"hbm": {"value": "40Gi"}, "cores": {"value": "1500m"}},
)
RAW["attributes"]["driverVersion"] = {"version": "1.10.0-rc.1+build"}
RAW["attributes"]["vendor.example.com/tier"] = {"string": "gold"}


def decoded(raw=RAW):
    return decode_slice(a_slice("s", raw, node="n")).devices[0]


def matches(expression, raw=RAW):
    return Selectors().matches(expression, decoded(raw))


OWN = 'device.attributes["gpu.example.com"]'
HBM = 'device.capacity["gpu.example.com"].hbm'


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ('device.driver == "gpu.example.com"', True),
        ("!device.allowMultipleAllocations", True),
        (f'{OWN}.model == "a100" && {OWN}.numa > 0 && {OWN}.healthy', True),
        (f'{OWN}["model"].matches("^a[0-9]+$")', True),
        (f'{OWN}.model in ["a100", "h100"]', True),
        (f'{OWN}.model.lowerAscii().startsWith("b")', False),
        (f"{OWN}.?memory.orValue(8) == 8", True),
        (f'["a100", "h100"].exists(m, m == {OWN}.model)', True),
        (f'cel.bind(own, {OWN}, own.numa == 1 && own.model == "a100")', True),
        ('device.attributes["vendor.example.com"].tier == "gold"', True),
        (f"has({OWN}.model) && !has({OWN}.memory)", True),
        (f'"model" in {OWN}', True),
        ('"tier" in device.attributes["gpu.example.com"]', False),
        # A domain without attributes reads as an empty map, but is in no list of them.
        ('has(device.attributes["none.example.com"].model)', False),
        ('"none.example.com" in device.attributes', False),
        (f'{HBM}.compareTo(quantity("40Gi")) == 0', True),
        (f'{HBM}.isGreaterThan(quantity("39Gi")) && {HBM}.isLessThan(quantity("1Ti"))', True),
        (f'{HBM} == quantity("40960Mi")', True),
        (f'{HBM}.add(quantity("1Gi")).sub(1073741824) == {HBM}', True),
        (f"{HBM}.isInteger() && {HBM}.asInteger() == 42949672960", True),
        ('device.capacity["gpu.example.com"].cores.isInteger()', False),
        ('device.capacity["gpu.example.com"].cores.asApproximateFloat() == 1.5', True),
        (f'sign({HBM}) == 1 && isQuantity("1Gi") && !isQuantity("much")', True),
        (f'{OWN}.driverVersion.isLessThan(semver("1.10.0"))', True),
        (f'{OWN}.driverVersion.compareTo(semver("1.9.9")) == 1', True),
        (f'{OWN}.driverVersion.isGreaterThan(semver("1.10.0-beta"))', True),
        (f'{OWN}.driverVersion.isLessThan(semver("1.10.0-rc.2"))', True),
        (f'{OWN}.driverVersion == semver("1.10.0-rc.1")', True),
        (f"{OWN}.driverVersion.major() == 1 && {OWN}.driverVersion.minor() == 10", True),
        ('semver("v1.02", true) == semver("1.2.0") && isSemver("1.2.3") && !isSemver("1.2")', True),
        # An error beside what decides alone does not count.
        (f"{OWN}.memory == 8 || true", True),
    ],
)
def test_kubernetes_answers(expression, expected):
    assert matches(expression) is expected


@pytest.mark.parametrize(
    "expression",
    [
        f"{OWN}.memory == 8",
        'device.attributes["none.example.com"].model == "a100"',
        f"{OWN}.numa",
        f'{OWN}.numa < "1"',
        f'{OWN}.driverVersion.isLessThan(quantity("1"))',
        'quantity("much") == quantity("1")',
    ],
)
def test_what_kube_scheduler_calls_an_error(expression):
    with pytest.raises(AllocationError):
        matches(expression)


DEEP = "(" * 500 + "true" + ")" * 500
WIDE = f"[{', '.join(['1'] * 60)}]"


@pytest.mark.parametrize(
    "expression",
    [
        "device.driver ==",
        'url("https://example.com").getHost() == "x"',
        'ip("127.0.0.1").family() == 4',
        "nothing == 1",
        DEEP,
        f"{WIDE}.all(a, {WIDE}.all(b, {WIDE}.all(c, true)))",
        f"{WIDE * 8}.all(a, true)",
        f'"{"x" * 3_000}" == device.driver',
        'cel.bind(a, device.attributes, a["none.example.com"].x == 1)',
    ],
    ids=lambda e: e[:30],
)
def test_what_cannot_be_read_or_may_take_long_is_not_proven(expression):
    with pytest.raises(NotProvenError):
        matches(expression)


def test_an_answer_holds_for_all_devices_that_read_alike(monkeypatch):
    asked = []
    evaluate = Library.evaluate
    monkeypatch.setattr(Library, "evaluate", lambda *a: asked.append(a) or evaluate(*a))
    selectors = Selectors()
    for raw, number in ((RAW, 1), ({**RAW, "name": "other"}, 1), (a_device("d1", model="x"), 2)):
        selectors.matches(f'{OWN}.model == "a100"', decoded(raw))
        assert len(asked) == number


def test_a_version_that_is_none_is_an_error():
    raw = {"name": "d", "attributes": {"v": {"version": "1.2"}}}
    with pytest.raises(AllocationError):
        matches("true", raw)


def test_the_library_is_loaded_with_the_first_expression():
    asked = """
import sys
from lws_placement import process
from lws_placement.cluster.cache.cluster_cache import ClusterCache
from lws_placement.cluster.cache.topology_index import TopologyIndex
devices = ClusterCache(TopologyIndex()).devices
print("cel_expr_python" in sys.modules)
devices.reads("true")
print("cel_expr_python" in sys.modules)
"""
    told = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert told.stdout.split() == ["False", "True"]
