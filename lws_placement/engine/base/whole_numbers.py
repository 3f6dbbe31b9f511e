"""Numbers in labels, annotations and specs, parsed in bounded time and size.

Such a number sets how many members are planned, how long a list is, how often a loop runs. So each
has a maximum, named here. A larger value counts as no number: admission refuses it with the field's
path and the maximum; decoders treat the object as one that requests nothing.

`str.isdecimal` accepts digits of every script and `int()` refuses thousands of them, so neither
sees such a text: a whole number is at most ten ASCII digits.
"""

import re

INT32 = 2**31 - 1
"""For every number without a smaller maximum: the API's own integers end there."""
MOST_REPLICAS = 1_000_000
"""Groups of a LeaderWorkerSet; LeaderWorkerSet's own maximum."""
MOST_SIZE = 16_384
"""Pods of a group that any of our code handles; upper bound of the admission setting."""
DEFAULT_MOST_SIZE = 4096
"""Default of that setting: more hosts than the largest slices and racks have, yet few enough for a
hold, which names every member's node, and for a host list to fit into an object (256 KiB of
annotations, 1.5 MiB in all).
"""

_DIGITS = re.compile(r"[0-9]{1,10}")
_SIGNED = re.compile(r"[+-]?[0-9]{1,19}")


def whole_number(value: object, *, most: int = INT32, least: int = 0) -> int | None:
    """`value`, text or a JSON number, if it is a whole number from `least` to `most`; else None."""
    if isinstance(value, str):
        number = int(value) if _DIGITS.fullmatch(value) else None
    elif isinstance(value, int) and not isinstance(value, bool):
        number = value
    else:
        number = None
    return number if number is not None and least <= number <= most else None


def signed_number(text: str) -> int | None:
    """A 64-bit integer, as Gt and Lt compare them; None for anything else."""
    number = int(text) if _SIGNED.fullmatch(text) else None
    return number if number is not None and -(2**63) <= number < 2**63 else None
