"""A pod's `spec.resourceClaims`, and the claims that were made for it."""

from lws_placement.engine.base.raw import Raw
from lws_placement.engine.objects.devices.claims import ClaimRef
from lws_placement.errors import InvalidObjectError


def decode_claim_refs(spec: Raw) -> tuple[ClaimRef, ...]:
    """In the pod's order, in which kube-scheduler serves them."""
    return tuple(
        ClaimRef(
            _text(raw["name"]),
            claim=_text(raw.get("resourceClaimName") or ""),
            template=_text(raw.get("resourceClaimTemplateName") or ""),
        )
        for raw in spec.get("resourceClaims") or ()
    )


def decode_claim_names(status: Raw) -> tuple[tuple[str, str], ...]:
    """As `ClaimNames`."""
    return tuple(
        (_text(raw["name"]), _text(raw.get("resourceClaimName") or ""))
        for raw in status.get("resourceClaimStatuses") or ()
    )


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise InvalidObjectError(f"a field is of type {type(value).__name__}, not text")
    return value
