"""Members with a node in their group's reservation that are not bound yet, for rules that count
pods. Read when a rule asks; only groups that changed since are looked at again.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Protocol

from lws_placement.cluster.cache.pods.placed_pods import Moved, placed
from lws_placement.cluster.cache.workloads import Workloads
from lws_placement.engine.admission.member_labels import expected_labels
from lws_placement.engine.base.group_names import member_name
from lws_placement.engine.model.devices.source import DeviceUser
from lws_placement.engine.model.groups import GroupId
from lws_placement.engine.model.placed_pods import PlacedPod
from lws_placement.engine.model.pods import Demand, MemberInfo, Pod, Rank
from lws_placement.engine.model.reservation import Reservation
from lws_placement.engine.model.storage import VolumeUser
from lws_placement.engine.model.workload import LwsInfo, Templates
from lws_placement.engine.objects.nodes import NodeName
from lws_placement.engine.objects.pod_volumes import PodIdentity


class Source(Protocol):
    def reservation_of(self, group: GroupId) -> Reservation | None: ...
    def has_holds(self, group: GroupId) -> bool: ...
    def group_pods(self, group: GroupId) -> list[Pod]: ...


class PromisedMembers:
    def __init__(self, source: Source, workloads: Workloads) -> None:
        self._source = source
        self._workloads = workloads
        self._changed: set[GroupId] = set()
        self._members: dict[GroupId, tuple[PlacedPod, ...]] = {}
        self.told: list[Moved] = []
        """Called for each member that changed, once somebody looks."""
        self.may_repel = False
        """Whether a member may have required anti-affinity."""

    def expect(self, *demands: Demand) -> None:
        """Notes that there may be members with these demands."""
        self.may_repel |= any(d.rules is not None and d.rules.anti_affinity for d in demands)

    def changed(self, group: GroupId) -> None:
        """Groups that have neither members here nor holds are not kept until a rule asks."""
        if group in self._members or self._source.has_holds(group):
            self._changed.add(group)
        else:
            self._changed.discard(group)

    def with_volumes(self) -> Iterator[VolumeUser]:
        for pod in self:
            if pod.volumes:
                identity = PodIdentity(pod.name, pod.pending_uid, dict(pod.claims))
                yield VolumeUser(
                    pod.namespace, identity, pod.volumes, pod.node, promised_to=pod.promised_to
                )

    def with_devices(self) -> Iterator[DeviceUser]:
        """All: whether a class serves a resource of theirs is not known here."""
        for pod in self:
            identity = PodIdentity(pod.name, pod.pending_uid, device_claims=dict(pod.claim_names))
            yield DeviceUser(
                pod.namespace,
                identity,
                pod.device_claims,
                pod.resources,
                pod.node,
                promised_to=pod.promised_to,
            )

    def __iter__(self) -> Iterator[PlacedPod]:
        self.follow()
        for members in self._members.values():
            yield from members

    def follow(self) -> None:
        """Looks at the groups that changed."""
        changed, self._changed = self._changed, set()
        for group in changed:
            found = tuple(self._of(group))
            before = {pod.name: pod for pod in self._members.pop(group, ())}
            now = {pod.name: pod for pod in found}
            if found:
                self._members[group] = found
            for name in dict.fromkeys((*before, *now)):
                if before.get(name) != now.get(name):
                    for told in self.told:
                        told((group, name), before.get(name), now.get(name))

    def _of(self, group: GroupId) -> Iterator[PlacedPod]:
        reservation = self._source.reservation_of(group)
        if reservation is None:
            return
        pods = self._source.group_pods(group)
        living = {p.member.rank: p for p in pods if p.member is not None and p.living}
        templates = self._workloads.templates(group, reservation.revision)
        lws = self._workloads.lws_of(group)
        for rank, node in reservation.nodes.items():
            pod = living.get(rank)
            if pod is None and templates is not None and lws is not None:
                member = _member(reservation, lws, rank=rank)
                yield _expected(group, member, templates, node=node)
            elif pod is not None and pod.node is None:
                claims = templates.claims if templates is not None else ()
                yield replace(placed(pod, node, promised_to=group), claims=claims)


def _member(reservation: Reservation, lws: LwsInfo, *, rank: Rank) -> MemberInfo:
    hold, group = reservation.holds[0], reservation.group
    return MemberInfo(
        group_key=group.group_key,
        group_index=hold.group_index,
        lws=group.lws,
        lws_uid=group.lws_uid,
        rank=rank,
        size=hold.size,
        revision=hold.revision,
        request=lws.request,
        leader_name=hold.leader_name,
    )


def _expected(
    group: GroupId, member: MemberInfo, templates: Templates, *, node: NodeName
) -> PlacedPod:
    """A member that does not exist yet."""
    rank = member.rank
    labels = expected_labels(templates.labels(rank), member, rank)
    demand = templates.demand(rank)
    rules = demand.rules
    return PlacedPod(
        uid="",
        namespace=group.namespace,
        name=member_name(member.leader_name, rank),
        labels=labels,
        node=node,
        anti_affinity=rules.of(labels).anti_affinity if rules is not None else (),
        promised_to=group,
        volumes=demand.volumes,
        claims=templates.claims,
        device_claims=demand.device_claims,
        resources=demand.resources,
    )
