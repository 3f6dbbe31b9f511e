"""Field errors in apimachinery's words."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

_SHOWN = 100


@dataclass(frozen=True, slots=True)
class FieldError:
    """Path, value found and problem, formatted as apimachinery's `field.Invalid`."""

    path: str
    value: object
    detail: str

    def __str__(self) -> str:
        return f"{self.path}: Invalid value: {_show(self.value)}: {self.detail}"


_QUOTES: dict[type, Callable[[Any], str]] = {str: lambda v: f'"{v}"', type(None): lambda _: "null"}


def _show(value: object) -> str:
    """Format the value; truncate a long one."""
    if isinstance(value, int) and abs(value) > 2**63:  # Python may refuse to print it
        return "a number of more than 64 bits"
    if isinstance(value, dict | list):
        return "{...}" if isinstance(value, dict) else "[...]"
    return _QUOTES.get(type(value), str)(value)[:_SHOWN]
