"""ResourceClaims: what they ask for, and what they got (`resource.k8s.io/v1`, 1.37)."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction

from lws_placement.engine.objects.devices.devices import DeviceId, DeviceTaint
from lws_placement.engine.objects.label_terms import term_matches
from lws_placement.engine.objects.nodes import Node, NodeTerm

MOST_DEVICES = 32
"""In one claim (AllocationResultsMaxSize)."""
MOST_RESERVED = 256
"""Pods that one claim serves (ResourceClaimReservedForMaxSize)."""


@dataclass(frozen=True, slots=True)
class DeviceToleration:
    key: str
    operator: str
    value: str
    effect: str

    def tolerates(self, taint: DeviceTaint) -> bool:
        if self.effect and self.effect != taint.effect:
            return False
        if self.key and self.key != taint.key:
            return False
        if self.operator == "Exists":
            return True
        return self.operator in ("", "Equal") and self.value == taint.value


@dataclass(frozen=True, slots=True)
class Request:
    """One request, or one of its alternatives."""

    name: str
    device_class: str
    count: int | None = 1
    """None: all devices that match."""
    selectors: tuple[str, ...] = ()
    """CEL expressions; all must hold."""
    admin: bool = False
    tolerations: tuple[DeviceToleration, ...] = ()
    capacity: tuple[tuple[str, Fraction], ...] = ()


@dataclass(frozen=True, slots=True)
class RequestList:
    """`options`: the first that can be had counts. `is_list`: they are alternatives
    (`firstAvailable`), even if there is one alone.
    """

    name: str
    options: tuple[Request, ...]
    is_list: bool = False


@dataclass(frozen=True, slots=True)
class Constraint:
    """All devices of `requests` (none named: of all) have equal values of the attribute, or, with
    `distinct`, different ones.
    """

    requests: frozenset[str]
    attribute: str
    distinct: bool = False

    def covers(self, request: str, option: str) -> bool:
        """`option`: the name of the alternative; empty if there are none."""
        names = self.requests
        return not names or request in names or (bool(option) and f"{request}/{option}" in names)


@dataclass(frozen=True, slots=True)
class DeviceClaimSpec:
    """`unmodelled`: a field of it that is not known here."""

    requests: tuple[RequestList, ...] = ()
    constraints: tuple[Constraint, ...] = ()
    unmodelled: str = ""


@dataclass(frozen=True, slots=True)
class GivenDevice:
    id: DeviceId
    admin: bool = False
    shared: bool = False
    """It has a share ID: others may have shares of it, too."""
    consumed: tuple[tuple[str, Fraction], ...] = ()
    """Of its capacity, with a share."""


@dataclass(frozen=True, slots=True)
class Allocation:
    """`required`: ORed terms of the nodes that reach its devices; None: all nodes."""

    devices: tuple[GivenDevice, ...]
    required: tuple[NodeTerm, ...] | None

    def reaches(self, node: Node) -> bool:
        return self.required is None or any(
            term_matches(term, node.labels, name=node.name) for term in self.required
        )


@dataclass(frozen=True, slots=True)
class DeviceClaim:
    namespace: str
    name: str
    uid: str
    spec: DeviceClaimSpec
    allocation: Allocation | None = None
    reserved: frozenset[str] = frozenset()
    """UIDs of those that it serves."""
    deleting: bool = False
    owner_uid: str = ""
    extended: bool = False
    """kube-scheduler made it for a pod's extended resources."""

    def freed(self) -> "DeviceClaim":
        """As if nobody used it."""
        return replace(self, allocation=None, reserved=frozenset())


@dataclass(frozen=True, slots=True)
class ClaimRef:
    """An entry of a pod's `spec.resourceClaims`: a claim by name, or from a template."""

    name: str
    claim: str = ""
    template: str = ""


ClaimNames = Mapping[str, str]
"""Entry of a pod's `spec.resourceClaims` -> the claim that was made for it; empty: none is needed
(`status.resourceClaimStatuses`).
"""
