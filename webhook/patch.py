"""Old object, new object -> JSON Patch (RFC 6902).

Compares objects member by member and replaces a list that differs as a whole: another webhook may
have changed the list in between, which makes an index into it less safe than the list itself. Adds
a missing parent as a whole, so every operation's path exists.
"""

from lws_placement.engine.base.raw import Raw


def json_patch(old: Raw, new: Raw) -> list[Raw]:
    """Operations in a stable order that turn `old` into `new`; empty if they are equal."""
    return _diff(old, new, "")


def _diff(old: Raw, new: Raw, path: str) -> list[Raw]:
    operations: list[Raw] = []
    for key in sorted(old.keys() | new.keys()):
        at = f"{path}/{escape(key)}"
        if key not in new:
            operations.append({"op": "remove", "path": at})
        elif key not in old:
            operations.append({"op": "add", "path": at, "value": new[key]})
        elif isinstance(old[key], dict) and isinstance(new[key], dict):
            operations += _diff(old[key], new[key], at)
        elif old[key] != new[key] or type(old[key]) is not type(new[key]):
            operations.append({"op": "replace", "path": at, "value": new[key]})
    return operations


def escape(key: str) -> str:
    """A member name as a JSON Pointer token (RFC 6901)."""
    return key.replace("~", "~0").replace("/", "~1")
