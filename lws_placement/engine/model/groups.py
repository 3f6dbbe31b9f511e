"""Groups: their identity, their bound pods, and a group to be planned."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from lws_placement.engine.base.effort import Effort
from lws_placement.engine.model.joint.rules import JointRules
from lws_placement.engine.model.pods import Demand, Rank
from lws_placement.engine.objects.nodes import DomainName, NodeName
from lws_placement.engine.objects.placement_request import Scope, TopologyRequest
from lws_placement.engine.objects.pod_volumes import IdentityOf, no_identity


class GroupKind(StrEnum):
    """What an id identifies; it decides how the fields are read."""

    LWS = "group of a LeaderWorkerSet"
    LABELLED = "group by label"
    """`lws`: its name (label `lws-placement.dev/group`); `lws_uid`: UID of its pods' topmost
    controller; no key.
    """
    SET = "all groups of a LeaderWorkerSet"
    """No key."""
    POD = "foreign pod"
    """A pod that has victims or is kept off held room: its own name and UID; no key."""
    LEASE = "unreadable Lease"
    """The unknown holder of a Lease that cannot be read; the key is the Lease's name."""


@dataclass(frozen=True, slots=True, order=True)
class GroupId:
    """Identity of a group. A recreated LeaderWorkerSet has a new UID, so its groups are new ones.
    Comparisons ignore the kind, as UIDs differ from kind to kind.
    """

    namespace: str
    lws: str
    lws_uid: str
    group_key: str
    kind: GroupKind = field(default=GroupKind.LWS, compare=False)

    @classmethod
    def read(cls, namespace: str, lws: str, lws_uid: str, group_key: str) -> "GroupId":
        """The id of a group that places pods, from a source that stores no kind."""
        kind = GroupKind.LWS if group_key else GroupKind.LABELLED
        return cls(namespace, lws, lws_uid, group_key, kind)

    @classmethod
    def of_pod(cls, namespace: str, name: str, uid: str) -> "GroupId":
        return cls(namespace, name, uid, "", GroupKind.POD)

    @property
    def of_set(self) -> "GroupId":
        return GroupId(self.namespace, self.lws, self.lws_uid, "", GroupKind.SET)

    def __str__(self) -> str:
        key = f":{self.group_key[:8]}" if self.group_key else ""
        return f"{self.namespace}/{self.lws}{key}"


@dataclass(frozen=True, slots=True)
class Occupant:
    """A bound pod: its demand, its group (None: foreign), and the scope of that group's
    exclusivity.
    """

    uid: str
    demand: Demand
    group: GroupId | None = None
    scope: Scope = Scope.CLUSTER
    rank: Rank | None = None


@dataclass(frozen=True, slots=True)
class Member:
    """One place of a group to be planned: a rank, its demand, and the node it cannot leave."""

    rank: Rank
    demand: Demand
    fixed: NodeName | None = None
    """The node that it is bound to already."""


@dataclass(frozen=True, slots=True)
class Group:
    """A group planned as a whole: every member, including those whose pods do not exist yet."""

    id: GroupId
    request: TopologyRequest
    members: tuple[Member, ...]
    """In order of rank."""
    revision: str = ""
    priority: int = 0
    outranks: int | None = None
    """It may preempt pods of a priority below this; None: it preempts nothing."""
    since_s: float = 0.0
    """Start of its wait: creation of its oldest pod, in seconds since the epoch."""
    deprioritized: frozenset[str] = frozenset()
    """Domain values for use only if nothing else fits (they failed lately)."""
    excluded: Mapping[DomainName, str] = field(default_factory=dict)
    """Domains not to use now -> kube-scheduler's message when it refused them."""
    refused: Mapping[NodeName, str] = field(default_factory=dict)
    """Nodes not to use now -> kube-scheduler's message when it refused a member there."""
    scope: Scope = Scope.CLUSTER
    most_nodes: int = 0
    """Nodes of a domain beyond which the group has to fill it; 0: any number."""
    identity_of: IdentityOf = field(default=no_identity, compare=False)
    """Each member's pod, for its claims and for rules that select pods."""
    joint: JointRules | None = field(default=None, compare=False)
    """Rules among its members (`rules/pod_rules.py`); only while it is planned."""
    effort: Effort = field(default_factory=Effort, compare=False, repr=False)
    """What its plan may still cost. Copies share it."""

    @property
    def topology_key(self) -> str:
        """Key of the domain around all members; empty if it requests none."""
        return self.request.outer

    @property
    def size(self) -> int:
        return len(self.members)

    @property
    def demands(self) -> tuple[Demand, ...]:
        """In order of rank."""
        return tuple(m.demand for m in self.members)
