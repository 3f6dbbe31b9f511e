"""Whether claims get devices: the search against all ways to give them out."""

from fractions import Fraction
from itertools import combinations, permutations, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lws_placement.engine.base.effort import Effort
from lws_placement.engine.model.devices.allocation import NotProvenError, allocate
from lws_placement.engine.model.devices.allowance import Allowance
from lws_placement.engine.model.devices.pools import gather_pools
from lws_placement.engine.model.devices.usage import UsageWith
from lws_placement.engine.objects.devices.claims import (
    Constraint,
    DeviceClaimSpec,
    GivenDevice,
    Request,
    RequestList,
)
from lws_placement.engine.objects.devices.devices import Device, DeviceClass, NodeChoice, Slice
from lws_placement.engine.objects.nodes import Node

NODE = Node("n", {}, {})
CLASSES = {"any": DeviceClass("any"), "red": DeviceClass("red", ("red",))}
UNITS = {"chip": {"units": Fraction(4)}}


class Selecting:
    """An expression is the value of attribute `d/color`."""

    def matches(self, expression, device):
        return device.attribute("d/color") == ("string", expression)


class Nothing:
    def has(self, device):
        return False

    def shares(self, device):
        return None


def a_device(number, color, numa, units):
    uses = {"chip": {"units": Fraction(units)}} if units else None
    attributes = {"color": ("string", color), "numa": ("int", numa)}
    return Device(("d", "p", f"d{number}"), attributes, {}, uses=uses)


def pools(devices):
    one = Slice("s", ("d", "p"), 1, 2, NodeChoice("n"), {}, tuple(devices))
    counters = Slice("c", ("d", "p"), 1, 2, NodeChoice("n"), UNITS, ())
    return gather_pools(NODE, [one, counters], lambda pool: [one, counters])


def given_out(specs, devices, usage=None):
    usage = usage or Nothing()
    return allocate(
        specs,
        NODE,
        pools(devices),
        classes=CLASSES,
        usage=usage,
        selecting=Selecting(),
        effort=Effort(2_000),
    )


DEVICES = st.lists(
    st.tuples(st.sampled_from(["red", "blue"]), st.integers(0, 1), st.integers(0, 3)), max_size=5
).map(lambda rows: [a_device(n, *row) for n, row in enumerate(rows)])
OPTIONS = st.builds(
    lambda of_class, count: Request("r", of_class, count),
    st.sampled_from(["any", "red"]),
    st.integers(1, 2),
)
CONSTRAINTS = st.builds(
    lambda names, distinct: Constraint(frozenset(names), "d/numa", distinct),
    st.sets(st.sampled_from(["q0", "q1"])),
    st.booleans(),
)


@st.composite
def claim_specs(draw):
    requests = tuple(
        RequestList(f"q{n}", tuple(options), len(options) > 1)
        for n, options in enumerate(
            draw(st.lists(st.lists(OPTIONS, min_size=1, max_size=2), min_size=1, max_size=2))
        )
    )
    return DeviceClaimSpec(requests, tuple(draw(st.lists(CONSTRAINTS, max_size=2))))


def is_possible(specs, devices):
    """Every option of every request, with every set of devices for it."""
    requests = [(c, request) for c, spec in enumerate(specs) for request in spec.requests]
    for options in product(*(request.options for _, request in requests)):
        for chosen in product(*(combinations(devices, o.count) for o in options)):
            taken = [device for some in chosen for device in some]
            if len({d.id for d in taken}) < len(taken):
                continue
            fits = all(
                option.device_class == "any" or device.attributes["color"] == ("string", "red")
                for option, some in zip(options, chosen, strict=True)
                for device in some
            )
            units = sum(d.uses["chip"]["units"] for d in taken if d.uses)
            if fits and units <= 4 and _are_kept(specs, requests, chosen):
                return True
    return False


def _are_kept(specs, requests, chosen):
    for c, spec in enumerate(specs):
        for constraint in spec.constraints:
            values = [
                device.attributes["numa"]
                for (of, request), some in zip(requests, chosen, strict=True)
                if of == c and constraint.covers(request.name, "")
                for device in some
            ]
            if len(set(values)) != (len(values) if constraint.distinct else min(len(values), 1)):
                return False
    return True


@given(st.lists(claim_specs(), min_size=1, max_size=2), DEVICES)
def test_claims_get_devices_exactly_if_there_is_a_way(specs, devices):
    found = given_out(specs, devices)
    assert (found is not None) == is_possible(specs, devices)
    if found is not None:
        taken = [one.id for allocation in found for one in allocation.devices]
        assert len(set(taken)) == len(taken)


@given(claim_specs(), DEVICES, st.integers(1, 3))
def test_one_pod_after_another_takes_what_is_left(spec, devices, pods):
    """As one pod with all the claims would, if the claims are alike and any device will do."""
    usage = UsageWith(Nothing())
    for _ in range(pods):
        found = given_out([spec], devices, usage)
        if found is None:
            break
        before = {one.id for allocation in found for one in allocation.devices}
        assert not any(usage.has(device) for device in before)
        for allocation in found:
            usage.give(allocation.devices)


def test_a_share_without_capacity_is_a_share():
    """Only the first share of a device uses its counters."""
    device = Device(("d", "p", "d0"), {}, {}, uses={"chip": {"units": Fraction(4)}}, shareable=True)
    spec = DeviceClaimSpec((RequestList("q0", (Request("r", "any"),)),))
    usage = UsageWith(Nothing())
    for _ in range(3):
        (found,) = given_out([spec], [device], usage)
        assert found.devices == (GivenDevice(device.id, shared=True),)
        usage.give(found.devices)


def test_the_first_devices_in_order_are_taken():
    devices = [a_device(n, "red", n % 2, 0) for n in range(4)]
    spec = DeviceClaimSpec(
        (RequestList("q0", (Request("r", "any", 2),)),), (Constraint(frozenset(), "d/numa"),)
    )
    (found,) = given_out([spec], devices)
    assert found.devices == (GivenDevice(("d", "p", "d0")), GivenDevice(("d", "p", "d2")))


def test_a_search_that_would_take_long_is_not_proven():
    """Forty devices, of which no 21 have one value."""
    devices = [a_device(n, "red", n % 2, 0) for n in range(40)]
    spec = DeviceClaimSpec(
        (RequestList("q0", (Request("r", "any", 21),)),), (Constraint(frozenset(), "d/numa"),)
    )
    with pytest.raises(NotProvenError, match="too many ways"):
        given_out([spec], devices)


def test_slices_in_any_order_make_the_same_pool():
    devices = [a_device(n, "red", 0, 0) for n in range(3)]
    parts = [
        Slice(f"s{n}", ("d", "p"), 1, 3, NodeChoice("n"), {}, (device,))
        for n, device in enumerate(devices)
    ]
    for order in permutations(parts):
        (pool,) = gather_pools(NODE, order, lambda _, every=order: every)
        assert pool.devices == tuple(devices)


def test_cheap_answers_are_never_short_of_effort_and_dear_ones_end():
    allowance = Allowance(5_000, 16)
    for _ in range(10_000):
        assert allowance.spend(lambda effort: effort.spend(10))
    tries = sum(allowance.spend(_as_many_as_it_may) for _ in range(100))
    assert tries <= 5_000 + 100 * 16


def _as_many_as_it_may(effort):
    tries = 0
    while effort.spend(1):
        tries += 1
    return tries
