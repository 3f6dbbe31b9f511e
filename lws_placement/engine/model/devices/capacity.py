"""What a request takes of a device's capacity (consumable_capacity.go of kube-scheduler, 1.37).

A device that is not shared has its capacity for itself; the same checks hold for it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from math import ceil

from lws_placement.engine.objects.devices.devices import Amounts, Capacity, CapacityRange, Device

_MOST = 2**63 - 1


class AllocationError(Exception):
    """kube-scheduler ends the pod's attempt with an error; the text says why."""


@dataclass(frozen=True, slots=True)
class Taken:
    """`fits`: False if the device has too little, or cannot give such an amount."""

    fits: bool
    amounts: Mapping[str, Fraction]


_ALL = Taken(True, {})
"""It has all of the capacity, and nobody counts how much that is."""


def take_capacity(requests: Mapping[str, Fraction], device: Device, used: Amounts) -> Taken:
    """`used`: by other shares of the device. Raises AllocationError."""
    if not requests and not device.shareable:
        return _ALL
    if not requests.keys() <= device.capacity.keys():
        return Taken(False, {})
    amounts = dict(_amounts(requests, device.capacity))
    fits = all(
        not _breaks_policy(amount, device.capacity[name])
        and amount + used.get(name, Fraction(0)) <= device.capacity[name].value
        for name, amount in amounts.items()
    )
    return Taken(fits, amounts)


def _amounts(
    requests: Mapping[str, Fraction], capacity: Mapping[str, Capacity]
) -> Iterator[tuple[str, Fraction]]:
    for name, one in capacity.items():
        asked = requests.get(name)
        amount = _rounded(asked, one) if asked is not None else None
        if amount is None:
            amount = one.default if one.default is not None else one.value
        if amount < 0:
            raise AllocationError(f"capacity {name} is negative")
        yield name, amount


def _rounded(asked: Fraction, capacity: Capacity) -> Fraction:
    """Up to the next amount that the device can give."""
    if capacity.valid_range is not None:
        return _rounded_in(asked, capacity.valid_range)
    return next((v for v in capacity.valid_values if asked <= v), asked)


def _rounded_in(asked: Fraction, valid: CapacityRange) -> Fraction:
    if asked < valid.least or valid.step is None:
        return max(asked, valid.least)
    unit = _unit_of(valid)
    low, step, wanted = (ceil(n / unit) for n in (valid.least, valid.step, asked))
    if (unit != 1 and wanted * unit != asked) or step < 1:
        raise AllocationError("a requested capacity cannot be represented")
    found = low + -(-(wanted - low) // step) * step
    if found > _MOST:
        raise AllocationError("a requested capacity cannot be represented")
    return found * unit


def _breaks_policy(amount: Fraction, capacity: Capacity) -> bool:
    if amount == capacity.default:
        return False
    valid = capacity.valid_range
    if valid is not None:
        if valid.most is not None and amount > valid.most:
            return True
        if valid.step is None:
            return False
        unit = _unit_of(valid)
        low, step, given = (ceil(n / unit) for n in (valid.least, valid.step, amount))
        return (unit != 1 and given * unit != amount) or step < 1 or (given - low) % step != 0
    return bool(capacity.valid_values) and amount not in capacity.valid_values


def _unit_of(valid: CapacityRange) -> Fraction:
    """kube-scheduler counts in thousandths if all of the range is a number of these, else whole."""
    milli = Fraction(1, 1000)
    numbers = (valid.least, valid.most, valid.step)
    return milli if all(n is None or (n / milli).denominator == 1 for n in numbers) else Fraction(1)
