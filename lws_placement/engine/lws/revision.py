"""Revisions of a LeaderWorkerSet's template: the data of a ControllerRevision, and its key.

Upstream hashes the object as Go structs serialise it, so an object written by kubectl is first
converted to that form: members that Go omits when zero are removed, members that Go always writes
(`metadata` of a pod template, `resources` of a container) are added. The tables below list the
fields by that rule. A takeover from upstream does not need equal keys (content is compared);
upstream's own tests do.
"""

import json
from decimal import ROUND_UP, Context
from typing import Any

from lws_placement.engine.base.json_copy import json_copy
from lws_placement.engine.base.quantities import parse_quantity
from lws_placement.engine.base.raw import Raw

_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
_KEPT_EMPTY = frozenset({"metadata", "resources", "status"})
_MAPS = frozenset(
    {"labels", "annotations", "nodeSelector", "matchLabels", "limits", "requests", "overhead"}
)
"""Go maps: omitted when empty. Other empty objects are pointers to structs and stay."""
_PLAIN_BOOLEANS = frozenset(
    {"hostNetwork", "hostPID", "hostIPC", "stdin", "stdinOnce", "tty", "readOnly"}
)
_PLAIN_NUMBERS = frozenset(
    {
        "periodSeconds",
        "timeoutSeconds",
        "initialDelaySeconds",
        "successThreshold",
        "failureThreshold",
        "hostPort",
    }
)
_STRING_POINTERS = frozenset({"storageClassName", "runtimeClassName", "hostnameOverride"})
"""Kept when empty, as an empty value has a meaning."""
_QUANTITY_MAPS = frozenset({"requests", "limits", "overhead"})
_QUANTITIES = frozenset({"sizeLimit", "divisor"})
_CONTAINERS = ("containers", "initContainers", "ephemeralContainers")


def revision_data(lws: Raw) -> Raw:
    """`data` of the ControllerRevision: a patch that replaces the versioned parts, in Go's form."""
    spec = lws["spec"]
    template = json_copy(spec["leaderWorkerTemplate"])
    network = json_copy(spec.get("networkConfig") or {})
    network["subdomainPolicy"] = network.get("subdomainPolicy") or "Shared"
    for name in ("leaderTemplate", "workerTemplate"):
        if template.get(name) is not None:
            template[name] = _pod_template(template[name])
    for claim in template.get("volumeClaimTemplates") or ():
        _complete_claim(claim)
    template = _without_zeros(template)
    return {
        "spec": {
            "leaderWorkerTemplate": {**template, "$patch": "replace"},
            "networkConfig": {**network, "$patch": "replace"},
        }
    }


def canonical_bytes(data: Raw) -> bytes:
    """As Go's encoding/json writes a map: keys sorted, compact, HTML characters escaped."""
    text = json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    for character in "&<>\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text.encode()


def revision_key(data: Raw) -> str:
    """FNV-1 (32 bit) of the bytes, in the alphabet that Kubernetes considers safe in names."""
    value = 0x811C9DC5
    for byte in canonical_bytes(data):
        value = (value * 0x01000193) & 0xFFFFFFFF
        value ^= byte
    return "".join(_ALPHABET[ord(c) % len(_ALPHABET)] for c in str(value))


def same_content(stored: Raw, live: Raw) -> bool:
    """True if two revisions' data have equal content, whichever controller wrote them."""
    return canonical_bytes(data_of(stored)) == canonical_bytes(live)


def data_of(stored: Raw) -> Raw:
    """The data of a stored revision in Go's form. Raises KeyError, TypeError, AttributeError,
    ValueError or InvalidObjectError if it is no LeaderWorkerSet's: anybody may store a
    ControllerRevision.
    """
    return revision_data({"spec": _unmarked(stored["spec"])})


def spec_at(lws: Raw, data: Raw) -> Raw:
    """The LeaderWorkerSet with the versioned parts of a stored revision."""
    return {**lws, "spec": {**lws["spec"], **_unmarked(data["spec"])}}


def _unmarked(spec: Raw) -> Raw:
    """Without the `$patch` directives."""
    return {
        name: {k: v for k, v in part.items() if k != "$patch"} if isinstance(part, dict) else part
        for name, part in spec.items()
    }


def _pod_template(template: Raw) -> Raw:
    template["metadata"] = template.get("metadata") or {}
    template["metadata"].pop("creationTimestamp", None)
    spec = template.get("spec") or {}
    for kind in _CONTAINERS:
        for container in spec.get(kind) or ():
            container["resources"] = container.get("resources") or {}
            for entry in container.get("env") or ():
                field = (entry.get("valueFrom") or {}).get("resourceFieldRef")
                if field is not None:
                    field.setdefault("divisor", "0")
    return template


def _complete_claim(claim: Raw) -> None:
    for name in ("metadata", "spec", "status"):
        claim[name] = claim.get(name) or {}
    claim["metadata"].pop("creationTimestamp", None)
    claim["spec"]["resources"] = claim["spec"].get("resources") or {}


def _without_zeros(value: Any, name: str = "") -> Any:
    """Also prints quantities as Go does."""
    if isinstance(value, dict):
        if name in _QUANTITY_MAPS:
            return {k: _canonical(v) for k, v in value.items()}
        kept = {k: _without_zeros(v, k) for k, v in value.items()}
        return {k: v for k, v in kept.items() if not _left_out(k, v)}
    if isinstance(value, list):
        return [_without_zeros(item) for item in value]
    return _canonical(value) if name in _QUANTITIES and value is not None else value


def _left_out(name: str, value: Any) -> bool:
    if value is None or value == []:
        return True
    if value == "":
        return name not in _STRING_POINTERS
    if value == {}:
        return name in _MAPS and name not in _KEPT_EMPTY
    if value is False:
        return name in _PLAIN_BOOLEANS
    return value == 0 and not isinstance(value, bool) and name in _PLAIN_NUMBERS


_BINARY = ("Ki", "Mi", "Gi", "Ti", "Pi", "Ei")
_DECIMAL = ("k", "M", "G", "T", "P", "E")
_NANO = 10**9
_FRACTIONS = (("m", 10**6), ("u", 10**3), ("n", 1))
"""Suffixes of fractions, in nanos."""
_EXACT = Context(prec=200)


def _canonical(quantity: object) -> str:
    """As apimachinery's Quantity prints it: the suffix that leaves the smallest whole number;
    fractions of a nano are rounded away from zero.
    """
    text = str(quantity)
    scaled = parse_quantity(text).scaleb(9, _EXACT)
    nanos = int(scaled.to_integral_value(rounding=ROUND_UP))
    if nanos % _NANO:
        return next(f"{nanos // size}{unit}" for unit, size in _FRACTIONS if nanos % size == 0)
    whole, suffix = nanos // _NANO, ""
    base, suffixes = (1024, _BINARY) if text.endswith(_BINARY) else (1000, _DECIMAL)
    for bigger in suffixes:
        if whole == 0 or whole % base:
            break
        whole, suffix = whole // base, bigger
    return f"{whole}{suffix}"
