"""The values that placement decides on. Frozen, hashable where they serve as keys, free of JSON.

A *demand* is what one pod needs of a node; members of a group whose pods are alike share one
`Demand` object or an equal one, and the planner's shortcuts rest on that equality.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from lws_placement.engine.base.group_names import is_keyed
from lws_placement.engine.base.keys import GATE
from lws_placement.engine.model.placement_request import Ask, Layout, Scope

NodeName = str
Labels = tuple[tuple[str, str], ...]
"""Labels of an object, sorted."""
Rank = int
"""Position of a member in its group: LeaderWorkerSet's worker index, 0 is the leader."""
UNRANKED: Rank = -1


@dataclass(frozen=True, slots=True, order=True)
class DomainName:
    """All nodes whose label `key` has the value `value`."""

    key: str
    value: str

    def __str__(self) -> str:
        return f"{self.key}={self.value}"


@dataclass(frozen=True, slots=True, order=True)
class GroupId:
    """Identity of a group: a recreated LeaderWorkerSet has another UID, so its groups are new
    ones.

    Of another kind of group: `lws` is its name (label `lws-placement.dev/group`), `lws_uid` the UID
    of the pods' topmost controller, `group_key` is empty. Of a foreign pod that others are evicted
    for: its own name and UID.
    """

    namespace: str
    lws: str
    lws_uid: str
    group_key: str

    @classmethod
    def of_pod(cls, namespace: str, name: str, uid: str) -> "GroupId":
        return cls(namespace, name, uid, "")

    @property
    def of_set(self) -> "GroupId":
        """Stands for all groups of the same LeaderWorkerSet."""
        return replace(self, group_key="")

    def __str__(self) -> str:
        key = f":{self.group_key[:8]}" if self.group_key else ""
        return f"{self.namespace}/{self.lws}{key}"


class Operator(StrEnum):
    """Operators of node selector terms (core/v1 NodeSelectorOperator)."""

    IN = "In"
    NOT_IN = "NotIn"
    EXISTS = "Exists"
    DOES_NOT_EXIST = "DoesNotExist"
    GT = "Gt"
    LT = "Lt"


@dataclass(frozen=True, slots=True)
class Requirement:
    key: str
    operator: Operator
    values: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NodeTerm:
    """One nodeSelectorTerm: all expressions and all fields must hold; an empty term matches
    nothing.
    """

    expressions: tuple[Requirement, ...] = ()
    fields: tuple[Requirement, ...] = ()
    """`matchFields`; only `metadata.name` exists."""


@dataclass(frozen=True, slots=True)
class Taint:
    key: str
    value: str
    effect: str
    """NoSchedule, PreferNoSchedule or NoExecute."""


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


@dataclass(frozen=True, slots=True)
class Demand:
    """What one pod asks of a node.

    `resources` is a sorted tuple of (name, amount) pairs, `pods: 1` included, zero amounts left
    out, computed as kube-scheduler does (largest of init containers and the sum of the rest,
    sidecars, overhead, pod-level resources). `required` are the ORed node affinity terms; None
    means no such demand, () matches nothing. The node-name pin that we put there ourselves is not
    part of it.
    """

    resources: tuple[tuple[str, int], ...]
    selector: tuple[tuple[str, str], ...] = ()
    required: tuple[NodeTerm, ...] | None = None
    tolerations: tuple[Toleration, ...] = ()
    host_ports: tuple[HostPort, ...] = ()


@dataclass(frozen=True, slots=True)
class Node:
    """A node as the scheduler's filters see it."""

    name: NodeName
    labels: Mapping[str, str]
    allocatable: Mapping[str, int]
    taints: tuple[Taint, ...] = ()
    unschedulable: bool = False
    ready: bool = True

    def __hash__(self) -> int:
        return hash(self.name)


@dataclass(frozen=True, slots=True)
class Occupant:
    """A pod that is bound to a node: what it takes, whose it is (None: foreign), and among whom
    that group is alone.
    """

    uid: str
    demand: Demand
    group: GroupId | None = None
    scope: Scope = Scope.CLUSTER
    rank: Rank | None = None


class PodPhase(StrEnum):
    PENDING = "Pending"
    RUNNING = "Running"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    UNKNOWN = "Unknown"


@dataclass(frozen=True, slots=True)
class MemberInfo:
    """What a pod's labels and annotations say of its place in a group, and what that asks for."""

    group_key: str
    group_index: str
    lws: str
    lws_uid: str
    """From our admission annotation; empty when the webhook did not see the pod or could not
    tell.
    """
    rank: Rank
    """UNRANKED for a pod of another kind of group that has no place in it yet."""
    size: int
    revision: str
    ask: Ask
    leader_name: str
    """Name of the group's leader pod (the pod's own name for a leader)."""
    foreign: bool = False
    """Admission found that it only carries the labels."""

    @property
    def of_lws(self) -> bool:
        return bool(self.group_key)

    @property
    def keyed(self) -> bool:
        """Has the group a key of its own in place of an ordinal?"""
        return is_keyed(self.group_index, self.group_key)


@dataclass(frozen=True, slots=True)
class Pod:
    """A pod as placement sees it."""

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
    """Carries the member marker, so that kube-scheduler asks us before binding it."""
    guest: bool = False
    """A LeaderWorkerSet's pod that asks for no domain of its own; kept out of held domains."""
    pinned: NodeName | None = None
    """The node that our node-name pin allows, if it has one."""
    plan: str = ""
    released: bool = False
    """Its gate was taken off on purpose, without a plan."""
    owner_uid: str = ""
    """UID of the controlling owner (a StatefulSet for members)."""
    owner_name: str = ""
    owner_kind: str = ""
    priority: int = 0
    preempts: bool = True
    """False: its `preemptionPolicy` is Never, nobody is evicted for it."""
    ready: bool = False
    """Its Ready condition is True."""
    labels: Labels = ()
    member: MemberInfo | None = None
    nominated: NodeName = ""
    """The node on which kube-scheduler makes room for it."""
    unschedulable: str = ""
    """Message of a PodScheduled=False condition with reason Unschedulable; empty otherwise."""
    deleted_s: float = 0.0
    """Of a Terminating pod: when its grace ends, seconds since the epoch."""
    node_trouble: str = ""
    """Why its node, not itself, ended it (evicted, refused by the kubelet); empty otherwise."""
    unread: str = ""
    """What of it could not be read, so that it counts only in part; empty otherwise."""

    @property
    def key(self) -> str:
        return f"{self.namespace}/{self.name}"

    @property
    def foreign_gates(self) -> tuple[str, ...]:
        """Scheduling gates of others: nobody can bind it before they are gone."""
        return tuple(gate for gate in self.gates if gate != GATE)

    @property
    def finished(self) -> bool:
        """Takes no room any more (kube-scheduler ignores such pods too)."""
        return self.phase in (PodPhase.SUCCEEDED, PodPhase.FAILED)

    @property
    def failed(self) -> bool:
        return self.phase is PodPhase.FAILED


@dataclass(frozen=True, slots=True)
class Member:
    """One place of a group that is to be planned: a rank, what it needs, and the node it cannot
    leave.
    """

    rank: Rank
    demand: Demand
    fixed: NodeName | None = None
    """The node it is bound to already."""


@dataclass(frozen=True, slots=True)
class Group:
    """A group to be planned as a whole: every member, also those whose pods do not exist yet."""

    id: GroupId
    topology_key: str
    members: tuple[Member, ...]
    """In order of rank."""
    revision: str = ""
    priority: int = 0
    outranks: int | None = None
    """It may have others evicted whose priority is below this; None: nobody is evicted for it."""
    since_s: float = 0.0
    """Since when it waits: creation of its oldest pod, seconds since the epoch."""
    avoid: frozenset[str] = frozenset()
    """Domain values to take only if nothing else fits (they failed lately)."""
    shun: Mapping[DomainName, str] = field(default_factory=dict)
    """Domains not to be taken now, with what kube-scheduler said when it refused them."""
    prefer: tuple[str, ...] = ()
    """Domain values to try first, in this order: where the group's weights are cached."""
    scope: Scope = Scope.CLUSTER
    layout: Layout | None = None
    """How its members are spread over several domains, or over none; None: one domain for all, of
    `topology_key`."""

    @property
    def size(self) -> int:
        return len(self.members)

    @property
    def demands(self) -> tuple[Demand, ...]:
        """In order of rank."""
        return tuple(m.demand for m in self.members)


class Why(StrEnum):
    """Why a domain cannot take a group; the text is what a person reads of one domain."""

    HELD = "held by another group"
    OVERLAPS = "shares nodes with another group's domain"
    OCCUPIED = "has running pods of another group"
    AWAITED = "kept for a group that waits longer"
    TOO_FEW_NODES = "has too few nodes that fit"
    NO_MATCHING = "has room for each member alone but not for all at once"
    NOT_PROVEN = "could not be decided within the search bound"
    TOO_FEW_DOMAINS = "has too few domains for its subgroups"
    ONE_SUBGROUP = "has room for one subgroup"
    REFUSED = "was refused by kube-scheduler lately"
    FIXED_ELSEWHERE = "is not where the group's running pods are"


@dataclass(frozen=True, slots=True)
class Shortfall:
    """A member that finds no node, and what most nodes refuse it for.

    Either `resource`, of which it asks for `asked` and no such node has more than `largest_free`
    left, or a `rule` that they break ("cordoned").
    """

    rank: Rank
    resource: str = ""
    asked: int = 0
    largest_free: int = 0
    rule: str = ""


@dataclass(frozen=True, slots=True)
class Reason:
    """Why one domain refuses a group: facts, without the words.

    `fit` of `nodes`: how many nodes of the domain take the member that the fewest nodes take.
    `holder`: whose the domain is, if `why` says that it is somebody's.
    """

    why: Why
    fit: int = 0
    nodes: int = 0
    shortfall: Shortfall | None = None
    holder: GroupId | None = None


@dataclass(frozen=True, slots=True)
class Placed:
    """A domain for the whole group and a node for each rank.

    `others`: further domains that the plan takes, and the ranks that have their room there and not
    in `domain` (none: the domain lies inside it).
    """

    domain: DomainName
    nodes: Mapping[Rank, NodeName]
    others: tuple[tuple[DomainName, tuple[Rank, ...]], ...] = ()


@dataclass(frozen=True, slots=True)
class NoFit:
    """No domain takes the group now; a reason for each domain. Empty when no node carries the
    key.
    """

    topology_key: str
    reasons: Mapping[str, Reason] = field(default_factory=dict)
    """Domain value -> reason; "" for members that may be anywhere."""
    wanted: int = 1
    """How many such domains the group needs, one for each subgroup."""


Plan = Placed | NoFit
