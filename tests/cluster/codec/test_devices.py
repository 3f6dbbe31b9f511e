"""`resource.k8s.io/v1` objects as they are read; what nobody may write harms nothing."""

import copy
from fractions import Fraction

import pytest
from support.devices import a_claim, a_class, a_device, a_slice, a_template

from lws_placement.cluster.cache.cluster_cache import ClusterCache
from lws_placement.cluster.cache.intake import Intake
from lws_placement.cluster.cache.topology_index import TopologyIndex
from lws_placement.cluster.codec.devices import (
    decode_claim,
    decode_claim_spec,
    decode_slice,
    decode_taint_rule,
)
from lws_placement.cluster.codec.objects import UNREADABLE
from lws_placement.engine.objects.devices.claims import DeviceToleration, GivenDevice, Request


def test_a_request_has_the_defaults_of_the_api():
    spec = decode_claim_spec(
        {"devices": {"requests": [{"name": "r", "exactly": {"deviceClassName": "c"}}]}}
    )
    assert spec.requests[0].options == (Request("r", "c", 1),)
    assert not spec.requests[0].is_list


def test_an_allocation_with_shares_and_access_for_administrators():
    raw = a_claim("c", devices=["d0", "d1"], node="n", users=["u"])
    first, second = raw["status"]["allocation"]["devices"]["results"]
    first |= {"shareID": "s", "consumedCapacity": {"hbm": "1.5"}}
    second["adminAccess"] = True
    claim = decode_claim(raw)
    assert claim.reserved == {"u"}
    assert claim.allocation.devices == (
        GivenDevice(
            ("gpu.example.com", "n", "d0"), shared=True, consumed=(("hbm", Fraction(3, 2)),)
        ),
        GivenDevice(("gpu.example.com", "n", "d1"), admin=True),
    )


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        ({}, "a request"),
        ({"exactly": {"deviceClassName": "c", "allocationMode": "Some"}}, "allocation mode Some"),
        ({"exactly": {"deviceClassName": "c", "selectors": [{"regex": "x"}]}}, "a selector"),
        ({"exactly": {"deviceClassName": "c", "derivedAttributes": [{}]}}, "derivedAttributes"),
    ],
)
def test_what_is_not_known_of_a_claim_is_named(request_, field):
    raw = {"devices": {"requests": [{"name": "r", **request_}]}}
    assert decode_claim_spec(raw).unmodelled == field


def test_a_taint_rule_without_a_selector_taints_nothing():
    taint = {"key": "k", "effect": "NoSchedule"}
    assert decode_taint_rule({"spec": {"taint": taint}}) is None
    assert (
        decode_taint_rule({"spec": {"taint": taint | {"effect": "None"}, "deviceSelector": {}}})
        is None
    )
    assert decode_taint_rule({"spec": {"taint": taint, "deviceSelector": {}}}) is not None


def test_a_toleration_tolerates_by_operator():
    rule = decode_taint_rule(
        {
            "spec": {
                "taint": {"key": "k", "value": "v", "effect": "NoSchedule"},
                "deviceSelector": {},
            }
        }
    )
    for toleration, tolerates in (
        (("k", "Exists", "", ""), True),
        (("", "Exists", "", "NoExecute"), False),
        (("k", "Equal", "v", ""), True),
        (("k", "", "other", ""), False),
        (("k", "Gt", "v", ""), False),
    ):
        assert DeviceToleration(*toleration).tolerates(rule.taint) is tolerates


def _broken(raw):
    """The object with each of its parts replaced by something else."""
    for junk in (None, 7, "x", [], {}, [7], {"x": 7}, 10**400, float("nan")):
        for path in _paths(raw):
            broken = copy.deepcopy(raw)
            place = broken
            for step in path[:-1]:
                place = place[step]
            place[path[-1]] = junk
            yield broken


def _paths(value, path=()):
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, part in items:
        if not path and key in ("kind", "apiVersion", "metadata"):
            continue
        yield (*path, key)
        if isinstance(part, dict | list):
            yield from _paths(part, (*path, key))


POLICY = {"default": "1", "validRange": {"min": "1", "step": "1", "max": "9"}}
DEVICE = a_device(
    "d",
    model="x",
    capacity={"hbm": {"value": "1", "requestPolicy": POLICY}},
    taints=[{"key": "k", "effect": "NoSchedule"}],
    consumesCounters=[{"counterSet": "c", "counters": {"u": {"value": "1"}}}],
)
RULE = {
    "apiVersion": "resource.k8s.io/v1",
    "kind": "DeviceTaintRule",
    "metadata": {"name": "r", "uid": "r"},
    "spec": {"taint": {"key": "k", "effect": "NoSchedule"}, "deviceSelector": {"pool": "p"}},
}


@pytest.mark.parametrize(
    "raw",
    [
        a_class("c", resource="example.com/x"),
        a_slice("s", DEVICE, node="n"),
        a_slice("s", node="n", sharedCounters=[{"name": "c", "counters": {"u": {"value": "1"}}}]),
        a_template("t", "c", constraints=[{"matchAttribute": "a/b", "requests": ["r"]}]),
        a_claim("c", devices=["d"], node="n", users=["u"]),
        RULE,
    ],
    ids=lambda raw: raw["kind"],
)
def test_no_object_ends_a_watch(raw):
    cache = ClusterCache(TopologyIndex())
    intake = Intake(cache, namespace="x")
    kind = intake.devices[raw["kind"]]
    for broken in _broken(raw):
        kind.on_event("MODIFIED", broken)
        kind.on_event("MODIFIED", raw)
    kind.on_event("DELETED", raw)


def test_a_slice_with_an_unreadable_attribute_is_unreadable():
    raw = a_slice("s", {"name": "d", "attributes": {"a": {"new": "x"}}}, node="n")
    with pytest.raises(UNREADABLE):
        decode_slice(raw)
