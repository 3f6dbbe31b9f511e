"""A pod spec -> its volumes that come from claims."""

from collections.abc import Collection, Iterator
from typing import TypeVar

from lws_placement.cluster.codec.selectors import decode_selector
from lws_placement.engine.base.quantities import amount_requested
from lws_placement.engine.base.raw import Raw
from lws_placement.engine.objects.pod_volumes import ClaimKind, ClaimSpec, PodVolume
from lws_placement.errors import InvalidObjectError

_STORAGE = "storage"

T = TypeVar("T")


def decode_volumes(
    spec: Raw, *, pod: str = "", claim_templates: Collection[str] = ()
) -> tuple[PodVolume, ...]:
    """`pod`: the name of the pod whose spec it is; it tells claims from a StatefulSet's claim
    template from named ones. `claim_templates`: for the spec of a StatefulSet's template,
    names of its claim templates, which replace volumes of the same names. A claim that two volumes
    use is there twice, as kube-scheduler looks for two volumes for it.
    """
    raws = spec.get("volumes")
    if not raws and not claim_templates:
        return ()
    found = [
        volume
        for raw in raws or ()
        if raw["name"] not in claim_templates
        for volume in _decode(raw, pod)
    ]
    found += [PodVolume(name, ClaimKind.OWN) for name in claim_templates]
    return tuple(sorted(found, key=lambda v: (v.kind, v.name)))


def decode_claim_spec(raw: Raw) -> ClaimSpec:
    """Of a claim, or of a template of one."""
    name = raw.get("storageClassName")
    return ClaimSpec(
        storage_class=_text(name) if name is not None else None,
        size=amount_requested(
            _STORAGE, ((raw.get("resources") or {}).get("requests") or {}).get(_STORAGE)
        ),
        modes=frozenset(_text(mode) for mode in raw.get("accessModes") or ()),
        block=raw.get("volumeMode") == "Block",
        selector=decode_selector(raw.get("selector")),
        attributes_class=_text(raw.get("volumeAttributesClassName") or ""),
    )


def _decode(raw: Raw, pod: str) -> Iterator[PodVolume]:
    name = _text(raw["name"])
    if raw.get("persistentVolumeClaim") is not None:
        claim = _text(raw["persistentVolumeClaim"]["claimName"])
        own = PodVolume(name, ClaimKind.OWN)
        is_own = bool(pod) and claim == own.claim_name(pod)
        yield own if is_own else PodVolume(claim, ClaimKind.NAMED)
    elif raw.get("ephemeral") is not None:
        template = raw["ephemeral"]["volumeClaimTemplate"]
        yield PodVolume(name, ClaimKind.EPHEMERAL, decode_claim_spec(template["spec"]))


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise InvalidObjectError(f"a field is of type {type(value).__name__}, not text")
    return value
