"""Kubernetes quantities as integers, and vectors of them.

Every amount is an `int` in the resource's own unit: milli-cores for `cpu`, bytes for memory and
storage, plain counts for the rest. A request that is not a whole unit is rounded up, a capacity is
rounded down, so rounding can refuse a fit but never invent one
(apimachinery `resource.Quantity`,
https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/).
"""

from collections.abc import Iterable, Mapping
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal, InvalidOperation
from functools import lru_cache

from lws_placement.errors import InvalidObjectError

CPU = "cpu"
PODS = "pods"

Resources = Mapping[str, int]
"""Resource name -> amount; a missing name means zero."""

_SUFFIXES = {
    "": Decimal(1),
    "n": Decimal("1e-9"),
    "u": Decimal("1e-6"),
    "m": Decimal("1e-3"),
    "k": Decimal(10**3),
    "M": Decimal(10**6),
    "G": Decimal(10**9),
    "T": Decimal(10**12),
    "P": Decimal(10**15),
    "E": Decimal(10**18),
    "Ki": Decimal(2**10),
    "Mi": Decimal(2**20),
    "Gi": Decimal(2**30),
    "Ti": Decimal(2**40),
    "Pi": Decimal(2**50),
    "Ei": Decimal(2**60),
}


@lru_cache(maxsize=4096)
def parse_quantity(text: str) -> Decimal:
    """`"500m"` -> Decimal("0.5"). Raises InvalidObjectError for anything that is no quantity."""
    stripped = text.strip()
    number = stripped.rstrip("numkKMGTPEi")
    scale = _SUFFIXES.get(stripped[len(number) :])
    try:
        value = Decimal(number)
    except InvalidOperation:
        value = Decimal("NaN")
    if scale is None or not value.is_finite():
        raise InvalidObjectError(f"{text!r} is not a Kubernetes quantity (such as 500m, 2 or 16Gi)")
    return value * scale


def amount_requested(name: str, quantity: object) -> int:
    """A request in the resource's unit, rounded up."""
    return _to_unit(name, quantity, ROUND_CEILING)


def amount_available(name: str, quantity: object) -> int:
    """A capacity in the resource's unit, rounded down."""
    return _to_unit(name, quantity, ROUND_FLOOR)


def _to_unit(name: str, quantity: object, rounding: str) -> int:
    value = parse_quantity(str(quantity))
    if name == CPU:
        value *= 1000
    return int(value.to_integral_value(rounding=rounding))


def total(parts: Iterable[Resources]) -> dict[str, int]:
    """The sum; `{}` for no parts."""
    result: dict[str, int] = {}
    for part in parts:
        for name, amount in part.items():
            result[name] = result.get(name, 0) + amount
    return result


def plus(left: Resources, right: Resources) -> dict[str, int]:
    """`left + right`."""
    return total((left, right))


def minus(left: Resources, right: Resources) -> dict[str, int]:
    """`left - right`; may go below zero where a node is overcommitted."""
    result = dict(left)
    for name, amount in right.items():
        result[name] = result.get(name, 0) - amount
    return result


def greatest(left: Resources, right: Resources) -> dict[str, int]:
    """The larger of the two, resource by resource (init containers against the others)."""
    result = dict(left)
    for name, amount in right.items():
        result[name] = max(result.get(name, 0), amount)
    return result


def first_lack(need: Resources, free: Resources) -> str | None:
    """Name of the first resource (in name order) of which `free` has less than `need`; zero needs
    nothing.
    """
    for name in sorted(need):
        if need[name] > 0 and free.get(name, 0) < need[name]:
            return name
    return None
