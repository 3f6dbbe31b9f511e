"""Which groups and pods have to go for a group to have a domain, and which may be evicted.

A *victim* goes whole or not at all: a group with all its pods wherever they run, or one foreign
pod. A group that excludes the preemptor by its presence has to go whatever the room; a foreign pod
only if its room is needed. Never a victim is

- a group or pod that the preemptor does not outrank: the lowest priority of the preemptor's members
  counts, and the highest of the victim's pods, so two groups never evict each other in turn;
- what goes anyway: a Terminating pod, a group that is leaving its domain. Its room counts as free
  soon, so nothing is evicted where a short wait is enough;
- a group without a living pod: it is restarting, comes back to its domain, and its next priority is
  not known yet;
- what would be back at once: pods of DaemonSets and of the kubelet itself.
"""

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from lws_placement.engine.model.exclusivity import claim_of, opponents
from lws_placement.engine.model.groups import Group, GroupId, GroupKind
from lws_placement.engine.model.hold_states import HoldState
from lws_placement.engine.model.pods import Pod
from lws_placement.engine.model.queue_order import earlier_of
from lws_placement.engine.model.reservation import Hold
from lws_placement.engine.model.snapshot import DomainView
from lws_placement.engine.objects.nodes import NodeName
from lws_placement.engine.preemption.disruption_budgets import DisruptionBudget, budgets_asked

VictimKey = GroupId | str
"""The group, or the pod's UID."""

_BACK_AT_ONCE = frozenset({"DaemonSet", "Node"})


class Budgets(Protocol):
    def budgets_of(self, namespace: str) -> Iterable[DisruptionBudget]: ...


class Tenants(Budgets, Protocol):
    """The pods and groups in the cluster, and what protects them from eviction."""

    @property
    def version(self) -> Hashable:
        """Changes with all that is read here but does not show in any domain."""
        ...

    def pods_on(self, node: NodeName) -> Sequence[Pod]:
        """Pods bound to the node and not finished, by name."""
        ...

    def goes_with(self, pod: Pod) -> GroupId | None:
        """The pod's group, on exclusive topology or not; None: a foreign pod."""
        ...

    def all_pods_of(self, group: GroupId) -> Sequence[Pod]: ...
    def holds_of(self, group: GroupId) -> Sequence[Hold]: ...
    def yields(self, group: GroupId) -> bool:
        """Whether the group is being evicted already."""
        ...

    def is_awaited_by(self, group: GroupId) -> bool:
        """Whether placeholder pods keep nodes for the group."""
        ...

    def all_that_go(self) -> Iterable[GroupId]:
        """All groups that are being evicted or are leaving a domain, and perhaps some others."""
        ...

    def is_spared(self, pod: Pod) -> bool:
        """Whether its eviction was refused lately."""
        ...

    def lowest_priority(self) -> int | None:
        """The lowest of all living pods; a preemptor that does not outrank it evicts nothing."""
        ...


@dataclass(frozen=True, slots=True)
class Victim:
    """`pods`: the pods to evict, bound and not terminating, by name. `priority`: its highest."""

    priority: int
    pods: tuple[Pod, ...]
    group: GroupId | None = None

    @property
    def name(self) -> str:
        return str(self.group) if self.group is not None else self.pods[0].key

    @property
    def key(self) -> VictimKey:
        return self.group if self.group is not None else self.pods[0].uid

    @property
    def uids(self) -> frozenset[str]:
        return frozenset(p.uid for p in self.pods)


@dataclass(frozen=True, slots=True)
class InTheWay:
    """Groups that exclude this one: those that it has to evict, those that leave by themselves."""

    must: tuple[Victim, ...] = ()
    leaving: tuple[GroupId, ...] = ()


@dataclass(frozen=True, slots=True)
class Bystanders:
    """Foreign pods that may be evicted, lowest priority first, and the UIDs of all pods that go by
    themselves.
    """

    may: tuple[Victim, ...] = ()
    going: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Barred:
    """A group or pod that stays is in the way; `why` completes "the domain ..."."""

    why: str


def in_the_way(group: Group, domain: DomainView, tenants: Tenants) -> InTheWay | Barred:
    """For a group that runs nowhere. Costs O(pods of the groups there)."""
    if group.outranks is None:
        return Barred("cannot be freed: its preemptionPolicy is Never")
    if domain.awaited and earlier_of(group, domain.awaited):
        return Barred("is kept for groups that wait longer")
    owners = domain.holders | domain.overlapping | domain.occupants
    must: list[Victim] = []
    leaving: list[GroupId] = []
    for other in sorted(opponents(claim_of(group), owners)) if owners else ():
        match as_victim(other, group.outranks, tenants):
            case Barred() as barred:
                return barred
            case Victim() as victim:
                must.append(victim)
            case None:
                leaving.append(other)
    return InTheWay(tuple(must), tuple(leaving))


def bystanders(group: Group, domain: DomainView, way: InTheWay, tenants: Tenants) -> Bystanders:
    """Costs O(pods in the domain)."""
    may: list[Victim] = []
    going = {p.uid for other in way.leaving for p in tenants.all_pods_of(other)}
    for view in domain.nodes:
        for pod in tenants.pods_on(view.node.name):
            if pod.terminating:
                going.add(pod.uid)
            elif may_go(pod, group.outranks, tenants):
                may.append(Victim(pod.priority, (pod,)))
    may.sort(key=lambda v: (v.priority, v.name))
    return Bystanders(tuple(may), frozenset(going))


def may_go(pod: Pod, outranks: int | None, tenants: Tenants) -> bool:
    """Whether it is a foreign pod that a preemptor of priority `outranks` may evict."""
    if outranks is None or pod.priority >= outranks:
        return False
    if is_back_at_once(pod) or tenants.is_spared(pod):
        return False
    return tenants.goes_with(pod) is None


def is_back_at_once(pod: Pod) -> bool:
    return pod.owner_kind in _BACK_AT_ONCE


def as_victim(other: GroupId, outranks: int, tenants: Tenants) -> Victim | Barred | None:
    """The group as victim of a preemptor of priority `outranks`; None: it goes by itself."""
    if other.kind is GroupKind.LEASE:
        return Barred("is kept by a Lease that cannot be read")
    pods = tenants.all_pods_of(other)
    holds = tenants.holds_of(other)
    living = [p for p in pods if p.living]
    if holds and all(h.state is HoldState.LEAVING for h in holds):
        return None
    if tenants.yields(other):
        return None
    if any(h.state is HoldState.COMING for h in holds):
        return Barred(f"is being freed for {other}")
    if not living:
        return Barred(f"is kept for {other}, which is coming back") if holds else None
    if tenants.is_awaited_by(other):
        return Barred(f"is being made for {other}")
    priority = max(p.priority for p in living)
    if priority >= outranks:
        return Barred(f"has {other} of priority {priority}")
    bound = sorted((p for p in living if p.node is not None), key=lambda p: p.key)
    if any(tenants.is_spared(p) for p in bound):
        return Barred(f"has {other}, whose eviction was refused")
    return Victim(priority, tuple(bound), other)


def kind_of(victim: Victim, budgets: Budgets) -> Hashable:
    """Equal for victims that differ in nothing but their name. Each claim has its own devices."""
    if victim.group is not None:
        return victim.group
    (pod,) = victim.pods
    asked = tuple(b.id for b in budgets_asked(pod, budgets.budgets_of))
    demand = pod.demand
    whose = pod.uid if demand.device_claims else ""
    return pod.node, demand.resources, demand.host_ports, victim.priority, asked, whose
