"""Label keys (apimachinery `IsQualifiedName`)."""

import re

_DNS_1123_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_NAME = re.compile(r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]")


def why_not_label_key(key: str) -> str | None:
    """Why `key` is no label key; None if it is one."""
    prefix, slash, name = key.rpartition("/")
    if slash and (len(prefix) > 253 or not _DNS_1123_SUBDOMAIN.fullmatch(prefix)):
        return f"the part before the slash, {prefix!r}, is not a DNS subdomain"
    if len(name) > 63 or not _NAME.fullmatch(name):
        return (
            f"{name!r} must be 1 to 63 letters, digits, '-', '_' or '.', "
            "and begin and end with a letter or digit"
        )
    return None
