"""Pods as placement sees them: frozen values, free of JSON.

A *demand* is what one pod requests of a node. Members with identical pods share one `Demand` or
have equal ones; the planner's shortcuts rely on that equality.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from lws_placement.engine.base.group_names import is_keyed
from lws_placement.engine.base.keys import GATE
from lws_placement.engine.objects.devices.claims import ClaimRef
from lws_placement.engine.objects.nodes import Labels, Node, NodeName, NodeTerm
from lws_placement.engine.objects.placement_request import PlacementRequest
from lws_placement.engine.objects.pod_rules import PodRules
from lws_placement.engine.objects.pod_volumes import PodVolume

Rank = int
"""Position of a member in its group: LeaderWorkerSet's worker index, 0 is the leader."""
UNRANKED: Rank = -1
DEFAULT_SCHEDULER = "default-scheduler"
"""`schedulerName` of a pod that names none."""


@dataclass(frozen=True, slots=True, order=True)
class Toleration:
    key: str = ""
    """Empty with `operator` Exists tolerates everything."""
    operator: str = "Equal"
    value: str = ""
    effect: str = ""
    """Empty means every effect."""


@dataclass(frozen=True, slots=True, order=True)
class HostPort:
    ip: str
    protocol: str
    port: int


@dataclass(frozen=True, slots=True, weakref_slot=True)
class Demand:
    """What one pod requests of a node.

    `resources` is a sorted tuple of (name, amount) pairs, including `pods: 1`, without zero
    amounts, computed as kube-scheduler does (largest of init containers and the sum of the rest,
    sidecars, overhead, pod-level resources). `required` are the ORed node affinity terms; None
    means no requirement, () matches nothing. Our own node-name pin is not part of it.
    """

    resources: tuple[tuple[str, int], ...]
    selector: tuple[tuple[str, str], ...] = ()
    required: tuple[NodeTerm, ...] | None = None
    tolerations: tuple[Toleration, ...] = ()
    host_ports: tuple[HostPort, ...] = ()
    rules: PodRules | None = None
    """What it says about other pods."""
    volumes: tuple[PodVolume, ...] = ()
    """Its volumes that come from claims."""
    device_claims: tuple[ClaimRef, ...] = ()
    """Its `resourceClaims`."""
    node_rule: "NodeRule | None" = None
    """Its rules, volumes and devices in the present state of the cluster; only while a group is
    planned.
    """
    weight: int = field(default=1, compare=False, repr=False)
    """What it costs to compare it with a node, in looks (`base/effort.py`)."""
    _hash: int | None = field(default=None, init=False, compare=False, repr=False)

    def __hash__(self) -> int:
        """Computed once: a search looks demands up again and again, and a user may write thousands
        of terms.
        """
        if self._hash is None:
            asked = self.resources, self.selector, self.required, self.tolerations, self.host_ports
            more = self.rules, self.volumes, self.device_claims, self.node_rule
            object.__setattr__(self, "_hash", hash((asked, more)))
        assert self._hash is not None
        return self._hash


class NodeRule(Protocol):
    """Excludes nodes from a pod for reasons that the node alone does not show. Hashable; equal ones
    exclude the same nodes.
    """

    def why_not(self, node: Node) -> str | None:
        """Why the pod cannot be on the node; None if it can."""


class PodPhase(StrEnum):
    PENDING = "Pending"
    RUNNING = "Running"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    UNKNOWN = "Unknown"


@dataclass(frozen=True, slots=True)
class MemberInfo:
    """Place in the group and the group's request, as the pod's labels and annotations say."""

    group_key: str
    group_index: str
    lws: str
    lws_uid: str
    """From our admission annotation; empty if the webhook missed the pod or could not tell."""
    rank: Rank
    """UNRANKED for a pod of a labelled group that has no place in it yet."""
    size: int
    revision: str
    request: PlacementRequest
    leader_name: str
    """Name of the group's leader pod (the pod's own name for a leader)."""
    foreign: bool = False
    """Admission found that the pod only carries the labels."""

    @property
    def of_lws(self) -> bool:
        return bool(self.group_key)

    @property
    def keyed(self) -> bool:
        """True if a key, not an ordinal, identifies the group."""
        return is_keyed(self.group_index, self.group_key)


@dataclass(frozen=True, slots=True)
class Pod:
    namespace: str
    name: str
    uid: str
    resource_version: str
    created_s: float
    """creationTimestamp as seconds since the epoch."""
    demand: Demand
    node: NodeName | None = None
    phase: PodPhase = PodPhase.PENDING
    terminating: bool = False
    gated: bool = False
    """Carries our scheduling gate."""
    gates: tuple[str, ...] = ()
    """All scheduling gates it carries, ours included."""
    marked: bool = False
    """Carries the member marker, so kube-scheduler calls us before it binds the pod."""
    guest: bool = False
    """A LeaderWorkerSet's pod that requests no domain of its own; kept out of held domains."""
    pinned: NodeName | None = None
    """The node that our node-name pin allows, if it has one."""
    plan: str = ""
    released: bool = False
    """Its gate was removed on purpose, without a plan."""
    owner_uid: str = ""
    """UID of the controlling owner (a StatefulSet for members)."""
    owner_name: str = ""
    owner_kind: str = ""
    priority: int = 0
    preempts: bool = True
    """False: its `preemptionPolicy` is Never, so it preempts nothing."""
    ready: bool = False
    """Its Ready condition is True."""
    labels: Labels = ()
    member: MemberInfo | None = None
    nominated: NodeName = ""
    """The node on which kube-scheduler makes room for it (`nominatedNodeName`)."""
    scheduler: str = DEFAULT_SCHEDULER
    unschedulable: str = ""
    """Message of a PodScheduled=False condition with reason Unschedulable; empty otherwise."""
    deleted_s: float = 0.0
    """End of a Terminating pod's grace, in seconds since the epoch."""
    node_failure: str = ""
    """Why its node ended it (evicted, refused by the kubelet); empty otherwise."""
    claim_names: tuple[tuple[str, str], ...] = ()
    """Of claims that were made for it (`ClaimNames`)."""
    unread: str = ""
    """The part that could not be read, so that the pod counts only in part; empty otherwise."""

    @property
    def key(self) -> str:
        return f"{self.namespace}/{self.name}"

    @property
    def foreign_gates(self) -> tuple[str, ...]:
        """Scheduling gates that are not ours: no scheduler can bind the pod while one is left."""
        return tuple(gate for gate in self.gates if gate != GATE)

    @property
    def living(self) -> bool:
        return not self.terminating and not self.finished

    @property
    def going(self) -> bool:
        """Bound and Terminating: its room will become free."""
        return self.terminating and self.node is not None and not self.finished

    @property
    def finished(self) -> bool:
        """Takes no room any more (kube-scheduler ignores such pods too)."""
        return self.phase in (PodPhase.SUCCEEDED, PodPhase.FAILED)

    @property
    def failed(self) -> bool:
        return self.phase is PodPhase.FAILED
