"""What is wrong with a field, as apimachinery says it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

_SHOWN = 100


@dataclass(frozen=True, slots=True)
class FieldError:
    """As `field.Invalid` of apimachinery: path, the value found, what is wrong with it."""

    path: str
    value: object
    detail: str

    def __str__(self) -> str:
        return f"{self.path}: Invalid value: {_show(self.value)}: {self.detail}"


_QUOTES: dict[type, Callable[[Any], str]] = {str: lambda v: f'"{v}"', type(None): lambda _: "null"}


def _show(value: object) -> str:
    """Not the whole of what is very long."""
    if isinstance(value, int) and abs(value) > 2**63:  # may have more digits than Python writes
        return "a number of more than 64 bits"
    if isinstance(value, dict | list):
        return "{...}" if isinstance(value, dict) else "[...]"
    return _QUOTES.get(type(value), str)(value)[:_SHOWN]
