"""Groups: who they are, where they run, and one that is to be planned."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from lws_placement.engine.model.nodes import (
    DomainName,
    NodeName,
)
from lws_placement.engine.model.placement_request import Scope, TopologyRequest
from lws_placement.engine.model.pods import (
    Demand,
    Rank,
)


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
