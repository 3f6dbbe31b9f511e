"""Copies JSON values several times faster than `copy.deepcopy`, which handles any type."""

from typing import Any


def json_copy(value: Any) -> Any:
    """Copy dicts and lists; other JSON values are immutable."""
    if isinstance(value, dict):
        return {key: json_copy(item) for key, item in value.items()}
    if isinstance(value, list):
        return [json_copy(item) for item in value]
    return value
