"""One group as it is observed: what `decide` is asked about."""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Protocol

from lws_placement.engine.holds import Hold, HoldState
from lws_placement.engine.model import (
    Demand,
    DomainName,
    Group,
    GroupId,
    Member,
    MemberInfo,
    NodeName,
    Pod,
    Rank,
)
from lws_placement.engine.plan import PlanMemo
from lws_placement.engine.snapshot import DomainSet, DomainView, NodeView
from lws_placement.engine.workload import LwsInfo, Templates


class Views(Protocol):
    """Domains and nodes as they are, or as if some pods were gone already."""

    def domain(self, domain: DomainName) -> DomainView | None: ...
    def domain_without(self, domain: DomainName, uids: frozenset[str]) -> DomainView | None: ...
    def domains(self, key: str) -> DomainSet: ...
    def node_view(self, name: NodeName) -> NodeView | None: ...
    def node_view_without(self, name: NodeName, uids: frozenset[str]) -> NodeView | None: ...


@dataclass(frozen=True, slots=True)
class Seen:
    """One group as observed. `lws` is the living LeaderWorkerSet it belongs to, `templates` its
    revision's.
    """

    id: GroupId
    pods: tuple[Pod, ...]
    holds: tuple[Hold, ...]
    lws: LwsInfo | None
    templates: Mapping[str, Templates]
    """Revision -> templates."""
    plan_id: str
    """Id for a plan made now."""
    memo: PlanMemo | None = None

    @property
    def active(self) -> Hold | None:
        return next(iter(self.all_active), None)

    @property
    def all_active(self) -> tuple[Hold, ...]:
        """One at most, unless a deposed planner's write landed late."""
        return tuple(h for h in self.holds if h.state is HoldState.ACTIVE)

    @property
    def leaving(self) -> tuple[Hold, ...]:
        return tuple(h for h in self.holds if h.state is HoldState.LEAVING)


def living_members(pods: Sequence[Pod]) -> dict[Rank, Pod]:
    """The pod that speaks for each rank: living, newest."""
    found: dict[Rank, Pod] = {}
    for pod in sorted(pods, key=lambda p: (p.created_s, int(p.resource_version))):
        if pod.member is not None and not pod.terminating and not pod.finished:
            found[pod.member.rank] = pod
    return dict(sorted(found.items()))


def is_or_may_be_in(pod: Pod, nodes: Set[NodeName]) -> bool:
    """Does the pod run on one of the nodes, or may kube-scheduler bind it there any moment?

    So may a pod that has neither our gate nor a pin: somebody took the gate off by hand.
    """
    if pod.node is not None:
        return pod.node in nodes
    return pod.pinned in nodes or (pod.pinned is None and not pod.gated)


@dataclass(frozen=True, slots=True)
class Now:
    """The group as its newest leader (or newest pod) describes it."""

    info: MemberInfo
    members: Mapping[Rank, Pod]
    going: frozenset[str]
    """UIDs of its Terminating pods: their room will be free for their successors."""
    going_from: frozenset[NodeName]
    templates: Templates | None

    @classmethod
    def of(cls, seen: Seen, members: Mapping[Rank, Pod]) -> "Now":
        speaker = members.get(0) or max(members.values(), key=lambda p: (p.created_s, p.name))
        info = speaker.member
        assert info is not None  # living_members keeps only pods of groups
        going = [p for p in seen.pods if p.terminating and p.node is not None]
        return cls(
            info=info,
            members={r: p for r, p in members.items() if r < info.size},
            going=frozenset(p.uid for p in going),
            going_from=frozenset(p.node for p in going if p.node is not None),
            templates=seen.templates.get(info.revision),
        )

    @property
    def bound(self) -> dict[Rank, Pod]:
        return {r: p for r, p in self.members.items() if p.node is not None}

    def demands(self, hold: Hold | None) -> dict[Rank, Demand] | None:
        """Per rank: what was admitted, else what is reserved, else the template's; None if one is
        unknown.
        """
        result: dict[Rank, Demand] = {}
        for rank in range(self.info.size):
            pod = self.members.get(rank)
            if pod is not None:
                result[rank] = pod.demand
            elif self.templates is not None:
                result[rank] = self.templates.demand(rank)
            elif hold is not None and rank in hold.demands and hold.revision == self.info.revision:
                result[rank] = hold.demands[rank]
            else:
                return None
        return result

    @property
    def outranks(self) -> int | None:
        """Its weakest member says whom it may have evicted; members still to come are as these."""
        if not all(p.preempts for p in self.members.values()):
            return None
        return min(p.priority for p in self.members.values())

    def group(self, seen: Seen, demands: Mapping[Rank, Demand]) -> Group:
        bound = self.bound
        return Group(
            id=seen.id,
            topology_key=self.info.topology_key,
            members=tuple(
                Member(rank, demands[rank], bound[rank].node if rank in bound else None)
                for rank in range(self.info.size)
            ),
            revision=self.info.revision,
            priority=max(p.priority for p in self.members.values()),
            outranks=self.outranks,
            since_s=min(p.created_s for p in self.members.values()),
        )
