"""What a pod's spec says about volumes that come from claims: by name, from a StatefulSet's claim
templates, or as generic ephemeral volumes.

Other volumes (configMap, emptyDir, hostPath, inline CSI) bind a pod to no node.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from lws_placement.engine.objects.devices.claims import ClaimNames
from lws_placement.engine.objects.pod_rules import Selector


@dataclass(frozen=True, slots=True)
class ClaimSpec:
    """What a claim asks for (core/v1 PersistentVolumeClaimSpec)."""

    storage_class: str | None = None
    """None: none is named, so a new claim gets the default class."""
    size: int = 0
    """Bytes."""
    modes: frozenset[str] = frozenset()
    block: bool = False
    selector: Selector | None = None
    attributes_class: str = ""


class ClaimKind(StrEnum):
    NAMED = "named in the spec"
    OWN = "from a claim template of its StatefulSet"
    """Named <template>-<pod>."""
    EPHEMERAL = "generic ephemeral volume"
    """Named <pod>-<volume>, and owned by the pod."""


@dataclass(frozen=True, slots=True)
class PodVolume:
    """A volume from a claim. Equal for all pods of one template."""

    name: str
    """Of the claim if it is NAMED, else of the claim template or volume."""
    kind: ClaimKind
    spec: ClaimSpec | None = None
    """Of a generic ephemeral volume."""

    def claim_name(self, pod: str) -> str:
        match self.kind:
            case ClaimKind.NAMED:
                return self.name
            case ClaimKind.OWN:
                return f"{self.name}-{pod}"
            case ClaimKind.EPHEMERAL:
                return f"{pod}-{self.name}"


@dataclass(frozen=True, slots=True)
class PodIdentity:
    """What tells a member's pod, existing or to come, from others of its template: it decides which
    claims the pod has, and which selectors select it.
    """

    name: str = ""
    uid: str = ""
    """Empty for a pod that does not exist yet."""
    claims: Mapping[str, ClaimSpec] = field(default_factory=dict)
    """Claim templates of its StatefulSet, by name."""
    labels: Mapping[str, str] = field(default_factory=dict)
    device_claims: ClaimNames = field(default_factory=dict)


IdentityOf = Callable[[int], PodIdentity]
"""Rank -> the member's pod."""


def no_identity(_rank: int) -> PodIdentity:
    return PodIdentity()
