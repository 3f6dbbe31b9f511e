"""Holds: domains promised to groups (design: one Lease per topology key and domain).

A hold outlives every process, because it is an object in the API server; this module is only its
value and the questions asked of it. `ACTIVE` means the group's pods may be pinned and bound there;
`LEAVING` means the group has been moved away but may still have pods there, so the domain stays
shut until a quorum list shows none. A group has at most one ACTIVE hold.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from lws_placement.engine.model import Demand, DomainName, GroupId, NodeName, Rank


class HoldState(StrEnum):
    ACTIVE = "active"
    LEAVING = "leaving"


@dataclass(frozen=True, slots=True)
class Hold:
    """One group's promise on one domain."""

    domain: DomainName
    group: GroupId
    group_index: str
    leader_name: str
    revision: str
    size: int
    plan: str
    """Id of the plan that wrote this assignment; pods carry it as the wave they were released
    with.
    """
    nodes: Mapping[Rank, NodeName]
    demands: Mapping[Rank, Demand]
    """What was reserved per rank; a pod that asks for more is not covered."""
    state: HoldState = HoldState.ACTIVE
    resource_version: str = ""
    uid: str = ""
    """Of the Lease; with `resource_version` the precondition of every write and delete."""

    @property
    def name(self) -> str:
        return lease_name(self.domain)

    def covers(self, rank: Rank, demand: Demand) -> bool:
        """Is what `demand` takes no more than what is reserved for `rank`?

        Whether the node suits it otherwise (selector, taints) is `fit.why_not_static`'s question:
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


def lease_name(domain: DomainName) -> str:
    """Name of the Lease that stands for a domain: a hash, since values may not be valid object
    names.
    """
    digest = hashlib.sha256(f"{domain.key}\0{domain.value}".encode()).hexdigest()
    return f"hold-{digest[:32]}"
