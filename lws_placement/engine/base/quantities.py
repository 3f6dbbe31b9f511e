"""Kubernetes quantities as integers, and vectors of them.

Every amount is an `int` in the resource's own unit: milli-cores for `cpu`, bytes for memory and
storage, plain counts for the rest. A request that is not a whole unit is rounded up, a capacity is
rounded down, so rounding can refuse a fit but never invent one
(apimachinery `resource.Quantity`,
https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/).
"""

import re
from collections.abc import Iterable, Mapping
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal
from functools import lru_cache

from lws_placement.errors import InvalidObjectError

CPU = "cpu"
PODS = "pods"

Resources = Mapping[str, int]
"""Resource name -> amount; a missing name means zero."""

MOST = Decimal(2**63 - 1)
"""The largest quantity; more counts as this, as for the API server. No node has so much of
anything, so an impossible request stays impossible."""
LEAST = Decimal("1e-9")
"""The smallest quantity above 0 (`1n`); less counts as this."""

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

_QUANTITY = re.compile(
    r"(?P<number>[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+))"
    r"([eE](?P<exponent>[+-]?[0-9]+)|(?P<suffix>[numkMGTPE]|[KMGTPE]i|))"
)
_LONGEST = 64
"""Characters; the API server writes at most 30."""
_EXPONENT = 100
"""Beyond this, every number of `_LONGEST` digits is more than MOST or less than LEAST."""
_EXACT = Context(prec=4 * _LONGEST)
"""Enough digits to scale a number of `_LONGEST` exactly, so that only `_to_unit` rounds."""


@lru_cache(maxsize=4096)
def parse_quantity(text: str) -> Decimal:
    """`"500m"` -> Decimal("0.5"). The magnitude is at most MOST and, unless 0, at least LEAST. Time
    is bounded for any text. Raises InvalidObjectError for text that is no quantity.
    """
    stripped = text.strip()
    match = _QUANTITY.fullmatch(stripped) if len(stripped) <= _LONGEST else None
    if match is None:
        shown = stripped if len(stripped) <= _LONGEST else f"{stripped[:_LONGEST]}..."
        raise InvalidObjectError(
            f"{shown!r} is not a Kubernetes quantity (such as 500m, 2 or 16Gi)"
        )
    number = Decimal(match["number"])
    if match["exponent"]:
        exponent = max(-_EXPONENT, min(int(match["exponent"]), _EXPONENT))
        value = _EXACT.scaleb(number, exponent)
    else:
        value = _EXACT.multiply(number, _SUFFIXES[match["suffix"]])
    size = max(LEAST, min(value.copy_abs(), MOST)) if value else value
    return size.copy_sign(value)


def amount_requested(name: str, quantity: object) -> int:
    """A request in the resource's unit, rounded up."""
    return _to_unit(name, quantity, ROUND_CEILING)


def amount_available(name: str, quantity: object) -> int:
    """A capacity in the resource's unit, rounded down."""
    return _to_unit(name, quantity, ROUND_FLOOR)


def _to_unit(name: str, quantity: object, rounding: str) -> int:
    """`quantity` as JSON has it: text or a number; null counts as 0, as for the API server."""
    if quantity is None:
        return 0
    if not isinstance(quantity, str | int | float):
        raise InvalidObjectError(f"the quantity of {name} is neither text nor a number")
    value = parse_quantity(_as_text(quantity))
    if name == CPU:
        value = _EXACT.scaleb(value, 3)
    return int(value.to_integral_value(rounding=rounding))


def _as_text(quantity: str | float) -> str:
    """Clamp integers first: Python refuses to print thousands of digits."""
    if isinstance(quantity, int):
        return str(max(-(2**63), min(quantity, 2**63)))
    return str(quantity)


def total(parts: Iterable[Resources]) -> dict[str, int]:
    """The sum; `{}` for no parts."""
    result: dict[str, int] = {}
    for part in parts:
        for name, amount in part.items():
            result[name] = result.get(name, 0) + amount
    return result


def plus(left: Resources, right: Resources) -> dict[str, int]:
    return total((left, right))


def minus(left: Resources, right: Resources) -> dict[str, int]:
    """`left - right`; negative where a node is overcommitted."""
    result = dict(left)
    for name, amount in right.items():
        result[name] = result.get(name, 0) - amount
    return result


def greatest(left: Resources, right: Resources) -> dict[str, int]:
    """The larger amount of each resource (init containers against the others)."""
    result = dict(left)
    for name, amount in right.items():
        result[name] = max(result.get(name, 0), amount)
    return result


def first_lack(need: Resources, free: Resources) -> str | None:
    """First resource, in name order, of which `free` has less than `need`; zero needs nothing."""
    for name in sorted(need):
        if need[name] > 0 and free.get(name, 0) < need[name]:
            return name
    return None
