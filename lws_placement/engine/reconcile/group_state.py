"""One group as observed: the input of `decide`."""

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace

from lws_placement.engine.admission.member_labels import expected_labels
from lws_placement.engine.base.group_names import is_keyed, member_name
from lws_placement.engine.model.failure_history import FailureHistory
from lws_placement.engine.model.groups import Group, GroupId, Member
from lws_placement.engine.model.hold_states import HoldState
from lws_placement.engine.model.pods import UNRANKED, MemberInfo, Pod, Rank
from lws_placement.engine.model.reservation import Hold, Reservation, reservations_of
from lws_placement.engine.model.scale_up import NodesRequested
from lws_placement.engine.model.snapshot import ClusterSnapshot
from lws_placement.engine.model.what_if import PodsByNode, WhatIf, pods_by_node, together
from lws_placement.engine.model.workload import LwsInfo, Templates
from lws_placement.engine.objects.nodes import NodeName
from lws_placement.engine.objects.placement_request import PlacementRequest
from lws_placement.engine.objects.pod_volumes import PodIdentity
from lws_placement.engine.reconcile.quota import Quota, QuotaState


@dataclass(frozen=True, slots=True)
class LeftPlace:
    """The place of a keyed group of the same set that is over: `holds` of one reservation, and
    those of its `pods` that still exist.
    """

    group: GroupId
    holds: tuple[Hold, ...]
    pods: tuple[Pod, ...] = ()


@dataclass(frozen=True, slots=True)
class GroupState:
    """Facts about one group. `lws`: the living LeaderWorkerSet that it belongs to."""

    id: GroupId
    pods: tuple[Pod, ...]
    holds: tuple[Hold, ...]
    lws: LwsInfo | None
    templates: Mapping[str, Templates]
    """Revision -> templates."""
    plan_id: str
    """The id of a plan made now."""
    quota: Quota | None = None
    """Kueue's; None if Kueue has no Workload for the group."""
    requested: NodesRequested = field(default_factory=NodesRequested)
    """The nodes that a cluster autoscaler is to make for it."""
    yields_to: Hold | None = None
    """The COMING hold that it is evicted for."""
    current: frozenset[str] = frozenset()
    """The revisions of its holds that match the LeaderWorkerSet as it is now."""
    failures: FailureHistory = field(default_factory=FailureHistory)
    left: tuple[LeftPlace, ...] = ()
    """For a keyed group without a place: the places that it may take over (`succession.py`)."""
    has_namesake: bool = False
    """For a group of other pods: pods of another owner name their group the same."""
    most_nodes: int = 0
    """As in `Group`."""
    held_beside: int = 0
    """Domains that other groups of its namespace hold."""
    lacks_groups: bool = False
    """For a keyed group that is over: its set has fewer groups with a place than it wants."""
    _members: Mapping[Rank, Pod] | None = field(default=None, init=False, compare=False, repr=False)
    _reservations: tuple[Reservation, ...] | None = field(
        default=None, init=False, compare=False, repr=False
    )

    @property
    def members(self) -> Mapping[Rank, Pod]:
        """The newest living pod of each rank. Computed once: nearly every rule asks for them."""
        if self._members is None:
            object.__setattr__(self, "_members", living_members(self.pods))
        assert self._members is not None
        return self._members

    @property
    def reservations(self) -> tuple[Reservation, ...]:
        """The complete ACTIVE reservations. Computed once."""
        if self._reservations is None:
            object.__setattr__(self, "_reservations", reservations_of(self.active))
        assert self._reservations is not None
        return self._reservations

    @property
    def keyed(self) -> bool:
        """See `MemberInfo.keyed`."""
        members = [p.member for p in self.pods if p.member is not None]
        by_hold = (is_keyed(h.group_index, self.id.group_key) for h in self.holds)
        return any(m.keyed for m in members) or any(by_hold)

    @property
    def is_over(self) -> bool:
        """Whether a keyed group has no living leader: its other pods go, its key never returns."""
        members = [p.member for p in self.pods if p.living]
        return self.keyed and not any(m is not None and m.rank == 0 for m in members)

    @property
    def lacks_quota(self) -> bool:
        return self.quota is not None and self.quota.state is QuotaState.LACKING

    @property
    def awaits_our_check(self) -> bool:
        """Whether Kueue asks us if there is a place for it."""
        return self.quota is not None and self.quota.state is QuotaState.CHECKING

    @property
    def active(self) -> tuple[Hold, ...]:
        """Of one reservation, unless a planner stopped half-way or a deposed one wrote late."""
        return tuple(h for h in self.holds if h.state is HoldState.ACTIVE)

    @property
    def leaving(self) -> tuple[Hold, ...]:
        return tuple(h for h in self.holds if h.state is HoldState.LEAVING)

    @property
    def coming(self) -> tuple[Hold, ...]:
        """Of one reservation at most, unless a deposed planner wrote late."""
        return tuple(h for h in self.holds if h.state is HoldState.COMING)


def living_members(pods: Sequence[Pod]) -> dict[Rank, Pod]:
    """The newest living pod of each rank."""
    return newest_members([p for p in pods if p.living])


def newest_members(pods: Sequence[Pod]) -> dict[Rank, Pod]:
    """The newest pod of each rank, whatever its state.

    Pods without a rank of their own fill the free ranks in order of their UIDs, so the same pods
    always get the same ranks.
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
    """Whether the pod runs on one of the nodes, or kube-scheduler may bind it there at any moment.

    The latter includes a pod with neither our gate nor a pin: the gate was removed by hand. It
    excludes a pod that was deleted before it was bound, however long a finalizer keeps it: the API
    server binds no such pod. A finished pod takes no room.
    """
    if pod.finished:
        return False
    if pod.node is not None:
        return pod.node in nodes
    may_be_bound = pod.pinned in nodes or (pod.pinned is None and not pod.gated)
    return may_be_bound and not pod.terminating


def is_elsewhere(pod: Pod, hold: Hold, holds: Iterable[Hold]) -> bool:
    """Whether another plan of its group, among `holds`, placed the pod. Then it does not need
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
    """Its Terminating pods, whose room their successors get, and its placeholders."""
    tied_to: frozenset[tuple[Rank, NodeName]]
    """Where Terminating pods tie the group, or their subgroup, to a domain."""

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
            going=together(pods_by_node(going), observed.requested.bound),
            tied_to=frozenset(
                (p.member.rank, p.node)
                for p in going
                if p.member is not None and p.node is not None
                if p.member.request.ties(p.member.rank)
            ),
        )

    def soon(self, views: ClusterSnapshot) -> WhatIf:
        """The cluster to plan this group on: its Terminating pods and reservation take no room."""
        return WhatIf(views, self.going, owner=self.observed.id)

    @property
    def templates(self) -> Templates | None:
        return self.observed.templates.get(self.info.revision)

    @property
    def bound(self) -> dict[Rank, Pod]:
        return {r: p for r, p in self.members.items() if p.node is not None}

    @property
    def request(self) -> PlacementRequest:
        """The request that the pods were admitted with; for what the pods of a LeaderWorkerSet do
        not show (scope, required and preferred topology), its present values.
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
        """Whether the group is no longer ours: its LeaderWorkerSet is not managed any more, or a
        member was released. Its gated pods are then released, too.
        """
        lws = self.observed.lws
        unmanaged = lws is not None and not lws.request.managed
        return unmanaged or any(p.released for p in self.members.values())

    @property
    def outranks(self) -> int | None:
        """The lowest priority of its pods; None: it never preempts, or the priority of members to
        come is not known, as their template names another class than that of the leader, which is
        there.
        """
        if self.never_preempts or not self.has_known_priority:
            return None
        return min(p.priority for p in self.members.values())

    @property
    def never_preempts(self) -> bool:
        return not all(p.preempts for p in self.members.values())

    @property
    def has_known_priority(self) -> bool:
        """Whether all members, those to come included, have the priorities of its pods."""
        if len(self.members) == self.info.size:
            return True
        return self.templates is not None and self.templates.one_priority

    @property
    def unknown_templates(self) -> str:
        """In words: why it is not known what members to come request, or whether they come."""
        group = self.observed.id
        missing = [r for r in range(self.info.size) if r not in self.members]
        if not self.info.of_lws:
            others = "; pods of another owner with this group name are a group of their own"
            return (
                f"{len(self.members)} of {self.info.size} pods of group {group} exist; it "
                f"is planned when all are there{others if self.observed.has_namesake else ''}"
            )
        lacking = (
            f"members {missing[0]} to {missing[-1]}" if missing[1:] else f"member {missing[0]}"
        )
        return (
            f"LeaderWorkerSet {group.namespace}/{group.lws} of these pods does not exist, "
            f"so nobody makes {lacking}; delete the pods"
        )

    def guess(self, holds: Sequence[Hold] = ()) -> Group | None:
        """`group`, with workers to come that get what leaders got beyond their template; None if
        leaders got nothing, or a worker is known.
        """
        templates = self.templates
        if templates is None or not templates.surplus or len(self.members) == self.info.size:
            return None
        return self.group(holds, templates.with_surplus())

    def group(self, holds: Sequence[Hold] = (), made_from: Templates | None = None) -> Group | None:
        """The group to plan. A member requests what its pod was admitted with, else what the
        template says, else what is reserved in `holds`; None if none of these is known.

        `made_from`: the templates of members to come, if not those that are observed.
        """
        failures, templates = self.observed.failures, made_from or self.templates
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
                d.value for d in failures.last_choice if d.key == self.request.topology
            ),
            excluded=failures.passed_over,
            refused=failures.refused_nodes,
            scope=self.request.claims,
            most_nodes=self.observed.most_nodes,
            identity_of=self._identity_of,
        )

    def _identity_of(self, rank: Rank) -> PodIdentity:
        pod, templates = self.members.get(rank), self.templates
        claims = dict(templates.claims) if templates is not None else {}
        if pod is not None:
            made = dict(pod.claim_names)
            return PodIdentity(pod.name, pod.uid, claims, dict(pod.labels), made)
        given = templates.labels(rank) if templates is not None else {}
        labels = expected_labels(given, self.info, rank)
        name = member_name(self.info.leader_name, rank)
        return PodIdentity(name, claims=claims, labels=labels)
