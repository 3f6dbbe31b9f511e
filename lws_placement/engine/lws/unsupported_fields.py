"""Fields of a LeaderWorkerSet that the built-in controller implements, and messages for the others.

Our CustomResourceDefinition keeps unknown fields of the spec (except in pod templates, which have
the API server's own schema), so that admission sees and reports them. Otherwise the API server
drops such a field silently, and a client without strict validation never learns that it had no
effect. Newer LeaderWorkerSets have fields that ours does not implement; each is listed here with
its alternative.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from lws_placement.engine.base import keys
from lws_placement.engine.base.field_error import FieldError
from lws_placement.engine.base.raw import Raw
from lws_placement.engine.objects.placement_request import PLACEMENT_ANNOTATIONS

_LEAF: Mapping[str, Any] = {}
KNOWN: Mapping[str, Any] = {
    "replicas": _LEAF,
    "leaderWorkerTemplate": {
        "leaderTemplate": _LEAF,
        "workerTemplate": _LEAF,
        "size": _LEAF,
        "restartPolicy": _LEAF,
        "subGroupPolicy": {"subGroupPolicyType": _LEAF, "subGroupSize": _LEAF},
        "volumeClaimTemplates": _LEAF,
        "persistentVolumeClaimRetentionPolicy": {"whenDeleted": _LEAF, "whenScaled": _LEAF},
    },
    "rolloutStrategy": {
        "type": _LEAF,
        "rollingUpdateConfiguration": {
            "partition": _LEAF,
            "maxUnavailable": _LEAF,
            "maxSurge": _LEAF,
        },
    },
    "startupPolicy": _LEAF,
    "networkConfig": {"subdomainPolicy": _LEAF},
    "groupIdentity": _LEAF,
}
"""By path below `spec`; the schema validates everything below a leaf."""

_IDENTITY = "spec.groupIdentity"
_INSTEAD = {
    _IDENTITY: "groups have ordinals here: leave it out, or say Ordinal",
    "spec.groupReplacementPolicy": "a group comes back when its old pods are gone: leave it out",
    "spec.leaderWorkerTemplate.maxGroupRestarts": (
        f"use the annotation {keys.RESTART_BUDGET} instead"
    ),
    "spec.leaderWorkerTemplate.placementPolicy": (
        f"use the annotation {keys.LWS_EXCLUSIVE_TOPOLOGY}: <node label key> instead"
    ),
    "spec.leaderWorkerTemplate.subGroupPolicy.placementPolicy": (
        f"use the annotation {keys.LWS_SUBGROUP_EXCLUSIVE_TOPOLOGY}: <node label key> instead"
    ),
    "spec.networkConfig.publishNotReadyAddresses": "they always are published here: leave it out",
    "spec.scheduling": "groups are placed whole by their annotations here: leave it out",
}
_UNKNOWN = "is no field that is known here, so it would be without effect: leave it out"


def not_carried_out(lws: Raw, old: Raw | None = None) -> list[FieldError]:
    """Errors of `lws`, or of changing `old` into it: an object stored before us stays editable."""
    before = dict(_others(old, KNOWN, "spec")) if old is not None else {}
    return [
        FieldError(path, value, _INSTEAD.get(path, _UNKNOWN))
        for path, value in _others(lws, KNOWN, "spec")
        if path not in before or before[path] != value
    ]


def without_effect(lws: Raw) -> list[str]:
    """Paths of present fields that are not implemented."""
    return [path for path, _ in _others(lws, KNOWN, "spec")]


def why_nothing_is_made(lws: Raw) -> FieldError | None:
    """The error of a set that requests objects of a kind that the built-in controller lacks."""
    spec = lws.get("spec")
    value = spec.get("groupIdentity") if isinstance(spec, dict) else None
    if value in (None, "Ordinal"):
        return None
    return FieldError(_IDENTITY, value, _INSTEAD[_IDENTITY])


def _others(
    holder: Raw | None, known: Mapping[str, Any], name: str, *, at: str = ""
) -> Iterator[tuple[str, object]]:
    """(path, value) of unknown fields below `holder[name]`."""
    found = holder.get(name) if isinstance(holder, dict) else None
    path = f"{at}.{name}" if at else name
    for field, value in sorted(found.items()) if isinstance(found, dict) else ():
        here = f"{path}.{field}"
        if field not in known or (here == _IDENTITY and value not in (None, "Ordinal")):
            yield here, value
        elif known[field]:
            yield from _others(found, known[field], field, at=path)


def misplaced_annotations(lws: Raw) -> list[str]:
    """In words: labels of the set or of its templates that mean something as annotations alone."""
    template = lws["spec"].get("leaderWorkerTemplate") or {}
    places = {
        "metadata": lws["metadata"],
        **{
            f"spec.leaderWorkerTemplate.{part}.metadata": (template.get(part) or {}).get("metadata")
            for part in ("leaderTemplate", "workerTemplate")
        },
    }
    return [
        f"{path}.labels[{key}] means nothing: write it as an annotation of the LeaderWorkerSet"
        for path, meta in places.items()
        for key in PLACEMENT_ANNOTATIONS
        if key in ((meta or {}).get("labels") or {})
    ]
