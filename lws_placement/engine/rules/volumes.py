"""What the volumes of a group's members mean for its plan, in one state of the cluster.

Follows kube-scheduler's plugins VolumeBinding, VolumeZone, VolumeRestrictions and NodeVolumeLimits
(1.37). A member gets a `VolumeNeeds`, a rule about nodes, from its claims; what members compete for
becomes rules among them: volumes that exist (`ClaimedVolumes`) and attach limits
(`AttachedTogether`).

Left out: inline volumes of GCE, AWS, iSCSI and RBD, which exclude each other on a node, and in-tree
volumes that a CSI driver serves. Where a volume is made for a claim that several members share,
it is not known where others will reach it.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from lws_placement.engine.model.groups import Group
from lws_placement.engine.model.joint.rules import JointRule
from lws_placement.engine.model.joint.volumes import (
    AttachedTogether,
    AttachNeed,
    ClaimedVolumes,
    Wanted,
)
from lws_placement.engine.model.pods import Rank
from lws_placement.engine.model.snapshot import NodeView
from lws_placement.engine.model.storage import Storage, VolumeUsers
from lws_placement.engine.objects.claims import BoundClaim, OpenClaim
from lws_placement.engine.objects.nodes import Node, NodeName
from lws_placement.engine.objects.pod_volumes import ClaimKind
from lws_placement.engine.objects.volumes import Handle
from lws_placement.engine.rules.attach_limits import StorageAttachments
from lws_placement.engine.rules.claims import Nowhere, PodClaim, claims_of


@dataclass(frozen=True, slots=True)
class VolumeNeeds:
    """A `NodeRule`: what one pod's volumes need of its node."""

    nowhere: str = ""
    bound: tuple[BoundClaim, ...] = ()
    open: tuple[OpenClaim, ...] = ()
    attach: AttachNeed | None = None

    def why_not(self, node: Node) -> str | None:
        if self.nowhere:
            return self.nowhere
        claims: tuple[BoundClaim | OpenClaim, ...] = (*self.bound, *self.open)
        for claim in claims:
            why = claim.why_not(node)
            if why is not None:
                return why
        return self.attach.why_not(node) if self.attach is not None else None


class Cluster(Protocol):
    @property
    def storage(self) -> Storage: ...
    @property
    def volume_users(self) -> VolumeUsers: ...
    def node_view(self, name: NodeName, /) -> NodeView | None: ...


def volume_rules(group: Group, cluster: Cluster) -> tuple[dict[Rank, VolumeNeeds], list[JointRule]]:
    """For members without a node: what each needs, and what they compete for. Costs nothing but a
    look if none has a volume from a claim.
    """
    if not any(m.demand.volumes and m.fixed is None for m in group.members):
        return {}, []
    return _Volumes(group, cluster).rules()


class _Volumes:
    def __init__(self, group: Group, cluster: Cluster) -> None:
        self._group = group
        self._namespace = group.id.namespace
        self._cluster = cluster
        self._storage = storage = cluster.storage
        self._volume_users = cluster.volume_users
        self._claims = {
            m.rank: tuple(
                claims_of(self._namespace, group.identity_of(m.rank), m.demand.volumes, storage)
            )
            for m in group.members
            if m.fixed is None and m.demand.volumes
        }
        self._users = Counter(
            name for claims in self._claims.values() for name in {c.name for c in claims}
        )
        self._attachments = StorageAttachments(storage, self._volume_users, group.id)

    def rules(self) -> tuple[dict[Rank, VolumeNeeds], list[JointRule]]:
        needs = {rank: self._needs(claims) for rank, claims in self._claims.items()}
        if any(need.nowhere for need in needs.values()):
            return needs, []
        return needs, [*self._claimed(), *self._attached(needs)]

    def _needs(self, claims: Sequence[PodClaim]) -> VolumeNeeds:
        nowhere = next(filter(None, map(self._why_nowhere, claims)), "")
        if nowhere:
            return VolumeNeeds(nowhere)
        states = [claim.state for claim in claims]
        return VolumeNeeds(
            bound=tuple(s for s in states if isinstance(s, BoundClaim)),
            open=tuple(s for s in states if isinstance(s, OpenClaim)),
            attach=self._attach(claims),
        )

    def _why_nowhere(self, claim: PodClaim) -> str:
        if isinstance(claim.state, Nowhere):
            return claim.state.why
        if not claim.once:
            return ""
        if self._users[claim.name] > 1:
            return f"claim {claim.name} is for one pod, and several members use it"
        users = (u.pod.name for u in self._volume_users.users_of(self._namespace, claim.name))
        user = min(users, default=None)
        return f"claim {claim.name} is for one pod, and {user} uses it" if user is not None else ""

    # -- volumes that exist ----------------------------------------------------------------------

    def _claimed(self) -> Iterator[JointRule]:
        wanted = {rank: self._wanted(claims) for rank, claims in self._claims.items()}
        mine = [one for found in wanted.values() for one in found]
        if not mine:
            return
        rivals = tuple(self._rivals({id(one.claim.pool) for one in mine}))
        if len(mine) + len(rivals) > 1:
            yield ClaimedVolumes(tuple(sorted(wanted.items(), key=lambda w: w[0])), rivals)

    def _wanted(self, claims: Sequence[PodClaim]) -> tuple[Wanted, ...]:
        """Claims that may get a volume that exists. A claim that the pod uses twice wants two."""
        times = Counter(claim.name for claim in claims)
        return tuple(
            Wanted(
                claim.state,
                claim.name if self._users[claim.name] > 1 and times[claim.name] == 1 else "",
            )
            for claim in claims
            if isinstance(claim.state, OpenClaim) and (claim.state.pool or claim.state.meant)
        )

    def _rivals(self, pools: set[int]) -> Iterator[tuple[Wanted, Node]]:
        for user in self._volume_users.on_their_way():
            view = self._cluster.node_view(user.node)
            if user.promised_to == self._group.id or view is None:
                continue
            for claim in claims_of(user.namespace, user.pod, user.volumes, self._storage):
                state = claim.state
                if isinstance(state, OpenClaim) and id(state.pool) in pools:
                    yield Wanted(state), view.node

    # -- attach limits ---------------------------------------------------------------------------

    def _attach(self, claims: Sequence[PodClaim]) -> AttachNeed | None:
        """None if no node limits these volumes."""
        new, known = Counter[str](), set[Handle]()
        for claim in claims:
            if claim.handle is None or not self._counts(claim.handle[0]):
                continue
            if isinstance(claim.state, BoundClaim) or claim.kind is ClaimKind.NAMED:
                known.add(claim.handle)
            else:
                new[claim.handle[0]] += 1
        if not new and not known:
            return None
        return AttachNeed(tuple(sorted(new.items())), frozenset(known), self._attachments)

    def _counts(self, driver: str) -> bool:
        known = self._storage.driver(driver)
        needs_node = known is not None and known.needs_node
        return needs_node or self._storage.has_limits(driver)

    def _attached(self, needs: Mapping[Rank, VolumeNeeds]) -> Iterator[JointRule]:
        found = tuple(
            (rank, need.attach) for rank, need in sorted(needs.items()) if need.attach is not None
        )
        if len(found) > 1:
            yield AttachedTogether(found)
