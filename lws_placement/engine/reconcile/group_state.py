"""One group as it is observed: what `decide` is asked about."""

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace

from lws_placement.engine.base.group_names import is_keyed
from lws_placement.engine.model.failure_history import FailureHistory
from lws_placement.engine.model.groups import Group, GroupId, Member
from lws_placement.engine.model.hold_states import HoldState
from lws_placement.engine.model.nodes import NodeName
from lws_placement.engine.model.placement_request import PlacementRequest
from lws_placement.engine.model.pods import UNRANKED, MemberInfo, Pod, Rank
from lws_placement.engine.model.reservation import Hold
from lws_placement.engine.model.snapshot import ClusterSnapshot
from lws_placement.engine.model.what_if import PodsByNode, WhatIf, pods_by_node
from lws_placement.engine.model.workload import LwsInfo, Templates


@dataclass(frozen=True, slots=True)
class LeftPlace:
    """What a keyed group of the same set held that is over: `holds` of one reservation, and its
    `pods` that are still there.
    """

    group: GroupId
    holds: tuple[Hold, ...]
    pods: tuple[Pod, ...] = ()


@dataclass(frozen=True, slots=True)
class GroupState:
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
    yields_to: Hold | None = None
    """The COMING hold that it is evicted for."""
    current: frozenset[str] = frozenset()
    """Of the revisions of its holds those that are what the LeaderWorkerSet says now."""
    troubles: FailureHistory = field(default_factory=FailureHistory)
    left: tuple[LeftPlace, ...] = ()
    """Of a keyed group without a place: those that it may take over (`succession.py`)."""
    lacks_groups: bool = False
    """Of a keyed group that is over: has its set fewer groups with a place than it wants?"""

    @property
    def keyed(self) -> bool:
        """See `MemberInfo.keyed`."""
        members = [p.member for p in self.pods if p.member is not None]
        by_hold = (is_keyed(h.group_index, self.id.group_key) for h in self.holds)
        return any(m.keyed for m in members) or any(by_hold)

    @property
    def is_over(self) -> bool:
        """A keyed group without a living leader: whatever is left of it goes, and it never comes
        back by that key.
        """
        members = [p.member for p in self.pods if p.living]
        return self.keyed and not any(m is not None and m.rank == 0 for m in members)

    @property
    def active(self) -> tuple[Hold, ...]:
        """All of one reservation, unless a planner stopped half-way or a deposed one wrote late."""
        return tuple(h for h in self.holds if h.state is HoldState.ACTIVE)

    @property
    def leaving(self) -> tuple[Hold, ...]:
        return tuple(h for h in self.holds if h.state is HoldState.LEAVING)

    @property
    def coming(self) -> tuple[Hold, ...]:
        """One at most, unless a deposed planner wrote late."""
        return tuple(h for h in self.holds if h.state is HoldState.COMING)


def living_members(pods: Sequence[Pod]) -> dict[Rank, Pod]:
    """The pod that speaks for each rank: living, newest."""
    return newest_members([p for p in pods if p.living])


def newest_members(pods: Sequence[Pod]) -> dict[Rank, Pod]:
    """Of each rank the newest pod, whatever its state.

    Pods without a rank of their own fill the places that are left, in order of their UIDs, so the
    same pods always get the same ones.
    """
    found: dict[Rank, Pod] = {}
    unranked: list[Pod] = []
    for pod in sorted(pods, key=lambda p: (p.created_s, int(p.resource_version))):
        if pod.member is None:
            continue
        if pod.member.rank == UNRANKED:
            unranked.append(pod)
        else:
            found[pod.member.rank] = pod
    size = max((p.member.size for p in pods if p.member is not None), default=0)
    free = (rank for rank in range(size) if rank not in found)
    for rank, pod in zip(free, sorted(unranked, key=lambda p: p.uid), strict=False):
        found[rank] = pod
    return dict(sorted(found.items()))


def is_or_may_be_in(pod: Pod, nodes: Set[NodeName]) -> bool:
    """Does the pod run on one of the nodes, or may kube-scheduler bind it there any moment?

    So may a pod that has neither our gate nor a pin: somebody took the gate off by hand. One that
    has finished takes no room any more.
    """
    if pod.finished:
        return False
    if pod.node is not None:
        return pod.node in nodes
    return pod.pinned in nodes or (pod.pinned is None and not pod.gated)


def is_elsewhere(pod: Pod, hold: Hold, holds: Iterable[Hold]) -> bool:
    """Is the pod where another plan of its group has put it, among `holds`? Then it needs no
    `hold`, even on a node of its domain: domains of several keys share nodes.
    """
    active = {h.plan for h in holds if h.state is HoldState.ACTIVE}
    return pod.plan != hold.plan and pod.plan in active


@dataclass(frozen=True, slots=True)
class MembersState:
    """The group as its newest leader (or newest pod) describes it."""

    observed: GroupState
    info: MemberInfo
    members: Mapping[Rank, Pod]
    going: PodsByNode
    """Its Terminating pods: their room will be free for their successors."""
    tied_to: frozenset[tuple[Rank, NodeName]]
    """Where they keep the group, or their subgroup, in a domain."""

    @classmethod
    def of(cls, observed: GroupState, members: Mapping[Rank, Pod]) -> "MembersState":
        speaker = members.get(0) or max(members.values(), key=lambda p: (p.created_s, p.name))
        info = speaker.member
        assert info is not None  # living_members keeps only pods of groups
        going = [p for p in observed.pods if p.going]
        return cls(
            observed=observed,
            info=info,
            members={r: p for r, p in members.items() if r < info.size},
            going=pods_by_node(going),
            tied_to=frozenset(
                (p.member.rank, p.node)
                for p in going
                if p.member is not None and p.node is not None
                if p.member.request.ties(p.member.rank)
            ),
        )

    def soon(self, views: ClusterSnapshot) -> WhatIf:
        """The cluster for a plan of this group: neither its Terminating pods nor its reservation
        are in its way.
        """
        return WhatIf(views, self.going, owner=self.observed.id)

    @property
    def templates(self) -> Templates | None:
        return self.observed.templates.get(self.info.revision)

    @property
    def bound(self) -> dict[Rank, Pod]:
        return {r: p for r, p in self.members.items() if p.node is not None}

    @property
    def request(self) -> PlacementRequest:
        """What the pods were admitted with; of what the pods of a LeaderWorkerSet do not show by
        themselves, what it says now.
        """
        mine, lws = self.info.request, self.observed.lws
        if lws is None or mine == lws.request:
            return mine
        current = lws.request
        return replace(
            mine,
            scope=current.scope,
            required_topology=current.required_topology,
            preferred_topology=current.preferred_topology,
        )

    @property
    def let_go(self) -> bool:
        """Has somebody taken the group out of our hands: the LeaderWorkerSet is not managed any
        more, or a member was released? Those of its pods that still wait for us must not.
        """
        lws = self.observed.lws
        unmanaged = lws is not None and not lws.request.managed
        return unmanaged or any(p.released for p in self.members.values())

    @property
    def outranks(self) -> int | None:
        """Its weakest member says whom it may have evicted; members still to come are as these."""
        if not all(p.preempts for p in self.members.values()):
            return None
        return min(p.priority for p in self.members.values())

    def group(self, holds: Sequence[Hold] = ()) -> Group | None:
        """The group as it is to be planned; None if it is not known what each member asks for: what
        was admitted, else what the template says, else what is reserved in `holds`.
        """
        troubles, templates = self.observed.troubles, self.templates
        reserved = {
            rank: demand
            for hold in holds
            if hold.revision == self.info.revision
            for rank, demand in hold.demands.items()
        }
        members = []
        for rank in range(self.info.size):
            pod = self.members.get(rank)
            if pod is not None:
                demand = pod.demand
            elif templates is not None:
                demand = templates.demand(rank)
            elif rank in reserved:
                demand = reserved[rank]
            else:
                return None
            members.append(Member(rank, demand, pod.node if pod is not None else None))
        return Group(
            id=self.observed.id,
            request=self.request.of_size(self.info.size),
            members=tuple(members),
            revision=self.info.revision,
            priority=max(p.priority for p in self.members.values()),
            outranks=self.outranks,
            since_s=min(p.created_s for p in self.members.values()),
            deprioritized=frozenset(
                d.value for d in troubles.last_choice if d.key == self.request.topology
            ),
            excluded=troubles.passed_over,
            scope=self.request.claims,
        )
