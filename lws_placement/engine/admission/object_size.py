"""Whether a pod still fits into an object once it is pinned.

The planner adds a pin to each term of the pod's required node affinity, and annotations. The API
server would refuse that for a pod that is nearly as large as an object may be, and the pod would
wait for ever. So it is refused when it is created, where its owner is told.
"""

import json

from lws_placement.engine.base.raw import Raw
from lws_placement.engine.lws.pod_identity import Denied

_MOST_BYTES = 1_400_000
"""etcd takes requests of 1.5 MiB; the rest is for the pod's status, and what others add."""
_MOST_ANNOTATION_BYTES = (256 - 8) * 1024
"""The API server takes 256 KiB in all; the rest is for our own, the waiting group's words among
them.
"""
_PIN_BYTES = 360
"""Of a pin, with the longest name of a node."""
_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"


def why_too_large(pod: Raw) -> Denied | None:
    """For a pod as admitted, except for a pin."""
    meta, spec = pod["metadata"], pod["spec"]
    name = meta.get("name") or meta.get("generateName", "")
    notes = meta.get("annotations") or {}
    taken = sum(len(key.encode()) + len(str(value).encode()) for key, value in notes.items())
    if taken > _MOST_ANNOTATION_BYTES:
        return Denied(
            f"pod {name}: metadata.annotations: {taken} bytes, more than {_MOST_ANNOTATION_BYTES} "
            "with what placing it takes; make them smaller"
        )
    required = (spec.get("affinity") or {}).get("nodeAffinity") or {}
    terms = (required.get(_REQUIRED) or {}).get("nodeSelectorTerms") or ()
    size = len(json.dumps(pod)) + _PIN_BYTES * max(len(terms), 1)
    if size <= _MOST_BYTES:
        return None
    path = f"spec.affinity.nodeAffinity.{_REQUIRED}.nodeSelectorTerms"
    return Denied(
        f"pod {name}: {size} bytes with what placing it adds to each of {path}, more than "
        f"{_MOST_BYTES}: an object cannot be larger; make the pod smaller, or name fewer terms"
    )
