"""A copy of a JSON value: several times faster than `copy.deepcopy`, which expects anything."""

from typing import Any


def json_copy(value: Any) -> Any:
    """A new value: dicts and lists are copied, the rest cannot change."""
    if isinstance(value, dict):
        return {key: json_copy(item) for key, item in value.items()}
    if isinstance(value, list):
        return [json_copy(item) for item in value]
    return value
