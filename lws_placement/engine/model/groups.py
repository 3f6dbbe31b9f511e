"""Groups: who they are, where they run, and one that is to be planned."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from lws_placement.engine.model.nodes import DomainName, NodeName
from lws_placement.engine.model.placement_request import Scope, TopologyRequest
from lws_placement.engine.model.pods import Demand, Rank


class GroupKind(StrEnum):
    """What an id stands for, which says how its fields are to be read."""

    LWS = "group of a LeaderWorkerSet"
    LABELLED = "group by label"
    """`lws`: its name (label `lws-placement.dev/group`); `lws_uid`: UID of its pods' topmost
    controller; no key.
    """
    SET = "all groups of a LeaderWorkerSet"
    """No key."""
    POD = "foreign pod"
    """That others are evicted for, or that is kept off held room: its own name and UID; no key."""
    LEASE = "unreadable Lease"
    """Whoever has the domain of that Lease, which cannot be read: its name is the key."""


@dataclass(frozen=True, slots=True, order=True)
class GroupId:
    """Identity of a group: a recreated LeaderWorkerSet has another UID, so its groups are new
    ones. The kind takes no part in comparisons, as UIDs differ from kind to kind.
    """

    namespace: str
    lws: str
    lws_uid: str
    group_key: str
    kind: GroupKind = field(default=GroupKind.LWS, compare=False)

    @classmethod
    def read(cls, namespace: str, lws: str, lws_uid: str, group_key: str) -> "GroupId":
        """From where no kind is written: of a group that places pods."""
        kind = GroupKind.LWS if group_key else GroupKind.LABELLED
        return cls(namespace, lws, lws_uid, group_key, kind)

    @classmethod
    def of_pod(cls, namespace: str, name: str, uid: str) -> "GroupId":
        return cls(namespace, name, uid, "", GroupKind.POD)

    @property
    def of_set(self) -> "GroupId":
        return replace(self, group_key="", kind=GroupKind.SET)

    def __str__(self) -> str:
        key = f":{self.group_key[:8]}" if self.group_key else ""
        return f"{self.namespace}/{self.lws}{key}"


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
    request: TopologyRequest
    members: tuple[Member, ...]
    """In order of rank."""
    revision: str = ""
    priority: int = 0
    outranks: int | None = None
    """It may have others evicted whose priority is below this; None: nobody is evicted for it."""
    since_s: float = 0.0
    """Since when it waits: creation of its oldest pod, seconds since the epoch."""
    deprioritized: frozenset[str] = frozenset()
    """Domain values to take only if nothing else fits (they failed lately)."""
    excluded: Mapping[DomainName, str] = field(default_factory=dict)
    """Domains not to be taken now, with what kube-scheduler said when it refused them."""
    scope: Scope = Scope.CLUSTER

    @property
    def topology_key(self) -> str:
        """Of the domain around all members; empty if it asks for none."""
        return self.request.outer

    @property
    def size(self) -> int:
        return len(self.members)

    @property
    def demands(self) -> tuple[Demand, ...]:
        """In order of rank."""
        return tuple(m.demand for m in self.members)
