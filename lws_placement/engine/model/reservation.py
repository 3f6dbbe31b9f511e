"""Holds: domains reserved for groups (one Lease per topology key and domain).

A hold outlives every process, because it is an object in the API server; this module has its value
and the predicates on it. `hold_states.py` has its life.

A plan with several domains (subgroups) writes a hold on each, with the plan's id and the number of
holds. Together they are a *reservation*, which counts only while all of them exist and are ACTIVE.
A group has at most one reservation. COMING holds count together, too: no victim is evicted before
all of them are written.
"""

import hashlib
from collections.abc import Collection, Container, Iterable, Mapping
from dataclasses import dataclass, replace

from lws_placement.engine.base.quantities import total
from lws_placement.engine.model.exclusivity import Claim
from lws_placement.engine.model.groups import GroupId
from lws_placement.engine.model.hold_states import HoldState, check_transition
from lws_placement.engine.model.pods import Demand, Rank
from lws_placement.engine.objects.nodes import ANYWHERE, DomainName, NodeName
from lws_placement.engine.objects.placement_request import Scope

MOST_LEASE_BYTES = 255 * 1024
"""Of all holds in one Lease, without what a holder takes besides: annotations end at 256 KiB."""
MOST_SHARED_BYTES = MOST_LEASE_BYTES // 2
"""A domain whose holds take more takes no further group in."""
_BYTES_OF_FIELDS = 400


@dataclass(frozen=True, slots=True)
class Hold:
    """One group's hold on one domain."""

    domain: DomainName
    group: GroupId
    group_index: str
    leader_name: str
    revision: str
    size: int
    plan: str
    """Id of the plan that wrote this assignment; pods carry the id they were released with."""
    nodes: Mapping[Rank, NodeName]
    """Members with their room here; empty for a subgroup's domain inside the group's own domain,
    whose hold lists all members.
    """
    demands: Mapping[Rank, Demand]
    """The reserved demand per rank; a pod that requests more is not covered."""
    scope: Scope = Scope.CLUSTER
    parts: int = 1
    """Number of holds of the plan."""
    state: HoldState = HoldState.ACTIVE
    evicts: tuple[GroupId, ...] = ()
    """While COMING: the victims, which have no right of return."""
    resource_version: str = ""
    uid: str = ""
    """UID of the Lease; with `resource_version` the precondition of every write and delete."""

    @property
    def name(self) -> str:
        return lease_name(self.domain)

    @property
    def claim(self) -> Claim:
        return Claim(self.group, self.scope)

    @property
    def owner(self) -> str:
        """The group's name for people."""
        return f"{self.group.namespace}/{self.leader_name}"

    def to(self, state: HoldState, *, evicts: tuple[GroupId, ...] = ()) -> "Hold":
        """The hold in its next state. Raises ValueError for one that `TRANSITIONS` lacks."""
        check_transition(self.state, state)
        return replace(self, state=state, evicts=evicts)

    @property
    def size_bytes(self) -> int:
        """An upper bound of what it takes in its Lease. O(members)."""
        distinct = set(self.demands.values())
        nodes = sum(len(str(rank)) + len(node) + 6 for rank, node in self.nodes.items())
        demands = sum(map(_bytes_of_demand, distinct))
        ranks = sum(len(str(rank)) + len(str(len(distinct))) + 4 for rank in self.demands)
        groups = sum(map(_bytes_of_group, (self.group, *self.evicts)))
        names = len(self.leader_name) + len(self.group_index) + len(self.revision) + len(self.plan)
        return _BYTES_OF_FIELDS + groups + nodes + demands + ranks + names

    def succeeds(self, other: "Hold") -> bool:
        """True if `other` stays on the domain only until its group is evicted for this hold."""
        return self.state is HoldState.COMING and other.group in self.evicts

    def covers(self, rank: Rank, demand: Demand) -> bool:
        """True if `demand` takes no more than what is reserved for `rank`.

        `node_filters.why_not_static` checks whether the node suits it otherwise (selector, taints):
        admission adds tolerations, and LeaderWorkerSet a node selector for the domain, that no
        template shows.
        """
        reserved = self.demands.get(rank)
        if reserved is None:
            return False
        room = dict(reserved.resources)
        return set(demand.host_ports) <= set(reserved.host_ports) and all(
            amount <= room.get(name, 0) for name, amount in demand.resources
        )


@dataclass(frozen=True, slots=True)
class Reservation:
    """All holds of one plan, in order of their domains; none missing, all in one state (ACTIVE,
    unless stated otherwise).
    """

    holds: tuple[Hold, ...]

    @property
    def plan(self) -> str:
        return self.holds[0].plan

    @property
    def revision(self) -> str:
        return self.holds[0].revision

    @property
    def size(self) -> int:
        return self.holds[0].size

    @property
    def scope(self) -> Scope:
        """Scope of the holds that claim something."""
        return min((h.scope for h in self.holds), key=lambda s: s is Scope.NOBODY)

    @property
    def group(self) -> GroupId:
        return self.holds[0].group

    @property
    def evicts(self) -> tuple[GroupId, ...]:
        """While COMING: the victims."""
        return tuple(sorted({g for h in self.holds for g in h.evicts}))

    @property
    def where(self) -> str:
        """In words."""
        held = [h.domain for h in self.holds if not h.domain.anywhere]
        return ", ".join(str(domain) for domain in held) or "room"

    @property
    def nodes(self) -> dict[Rank, NodeName]:
        return {rank: node for h in self.holds for rank, node in h.nodes.items()}

    @property
    def demands(self) -> dict[Rank, Demand]:
        return {rank: demand for h in self.holds for rank, demand in h.demands.items()}

    def covers(self, rank: Rank, demand: Demand) -> bool:
        return any(h.covers(rank, demand) for h in self.holds)


def reservations_of(
    holds: Iterable[Hold], state: HoldState = HoldState.ACTIVE
) -> tuple[Reservation, ...]:
    """The complete reservations of one group in `state`. Holds of a plan that is written only in
    part, or is being taken back, are in none.
    """
    plans: dict[tuple[str, DomainName | None], list[Hold]] = {}
    for hold in holds:
        if hold.state is state:
            alone = hold.domain if hold.parts == 1 else None
            plans.setdefault((hold.plan, alone), []).append(hold)
    whole = (found for found in plans.values() if len(found) == found[0].parts)
    reservations = (Reservation(tuple(sorted(found, key=lambda h: h.domain))) for found in whole)
    return tuple(sorted(reservations, key=lambda p: p.holds[0].domain))


def promised_on(
    node: NodeName, holds: Iterable[Hold], there: Container[tuple[GroupId | None, Rank | None]]
) -> dict[GroupId, dict[str, int]]:
    """What members that are not bound yet will take of the node, by group. `there`: the members
    that are bound to it.
    """
    promised: dict[GroupId, dict[str, int]] = {}
    for hold in holds:
        if hold.state is HoldState.LEAVING:
            continue
        awaited = [
            dict(hold.demands[rank].resources)
            for rank, name in hold.nodes.items()
            if name == node and rank in hold.demands and (hold.group, rank) not in there
        ]
        if awaited:
            promised[hold.group] = total((promised.get(hold.group, {}), *awaited))
    return promised


def place_of(group: GroupId) -> DomainName:
    """Stands for room that members may have anywhere: no domain, a Lease of its own."""
    name = f"{group.namespace}/{group.lws}/{group.lws_uid}/{group.group_key}"
    return DomainName(ANYWHERE.key, name)


def lease_name(domain: DomainName) -> str:
    """Name of a domain's Lease: a hash, since label values may not be valid object names."""
    digest = hashlib.sha256(f"{domain.key}\0{domain.value}".encode()).hexdigest()
    return f"hold-{digest[:32]}"


def may_be_shared(hold: Hold) -> bool:
    """Whether other groups may have holds in its Lease that stay."""
    return hold.scope in (Scope.NAMESPACE, Scope.LWS)


def is_full(holds: Collection[Hold]) -> bool:
    """Whether a domain that groups share takes no further one in."""
    if not any(map(may_be_shared, holds)):
        return False
    return sum(hold.size_bytes for hold in holds) > MOST_SHARED_BYTES


def have_room_together(holds: Iterable[Hold]) -> bool:
    """Whether the holds fit into one Lease."""
    return sum(hold.size_bytes for hold in holds) <= MOST_LEASE_BYTES


def _bytes_of_group(group: GroupId) -> int:
    names = (group.namespace, group.lws, group.lws_uid, group.group_key)
    return 60 + sum(map(len, names))


def _bytes_of_demand(demand: Demand) -> int:
    resources = sum(len(name) + len(str(amount)) + 4 for name, amount in demand.resources)
    ports = sum(len(p.ip) + len(p.protocol) + len(str(p.port)) + 9 for p in demand.host_ports)
    return 40 + resources + ports
