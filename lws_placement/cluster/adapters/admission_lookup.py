"""Cluster queries of admission and the built-in controller.

`owners.py` finds a pod's owner through its controllers. A pin comes from the cached hold alone; the
extender catches a stale pin, as it reads the Lease live before it binds. Pinning here therefore
needs an extender.
"""

import asyncio
from contextlib import suppress
from typing import Any

from lws_placement.cluster.adapters.owners import Owners
from lws_placement.cluster.api.client import Api
from lws_placement.cluster.cache.cluster_cache import ClusterCache
from lws_placement.cluster.cache.informers import Informers
from lws_placement.cluster.cache.listener import GroupChanges
from lws_placement.cluster.codec.objects import decode_member
from lws_placement.cluster.codec.pods.requirements import decode_demand
from lws_placement.engine.admission.pod_gating import Pin, gates_of_others
from lws_placement.engine.base.quantities import first_lack
from lws_placement.engine.base.raw import Raw
from lws_placement.engine.fit.node_filters import why_not_static
from lws_placement.engine.model.groups import GroupId
from lws_placement.engine.model.pods import Demand, MemberInfo, Rank
from lws_placement.engine.model.reservation import Reservation
from lws_placement.engine.reconcile.placement import has_shape, is_away, is_outside

_PLAN_S = 0.3


class AdmissionLookup:
    def __init__(
        self, api: Api, cache: ClusterCache, *, informers: Informers, extender_configured: bool
    ) -> None:
        owners = Owners(api, cache)
        self.owner_of = owners.of_member
        self.owner_of_group_pod = owners.of_group_pod
        self._cache = cache
        self._informers = informers
        self._extender_configured = extender_configured
        self._changes = GroupChanges()
        cache.listeners.append(self._changes)

    def topology_key_known(self, key: str) -> bool | None:
        """True if any node carries the label; None: not known yet."""
        return self._cache.domains.label_known(key) if self._informers.synced else None

    def label_of(self, node: str, key: str) -> str | None:
        """The node's value of the label; None if it has none or is not known yet."""
        found = self._cache.domains.node(node)
        return found.labels.get(key) if found is not None else None

    def is_planned(self, group: GroupId, node: str) -> bool:
        """True if the group's reservation assigns this node to one of its members."""
        reservation = self._cache.reservation_of(group)
        return reservation is not None and node in reservation.nodes.values()

    async def pin_soon(self, pod: Raw, *, namespace: str) -> Pin | None:
        """`pin_for`, but gives the planner a moment to plan a new group ahead: its first pods
        arrive while the holds are written. Gating a pod costs one write more than pinning it.
        """
        found = self._pinnable(pod, namespace)
        if found is None:
            return None
        member, group = found
        pin = self._pin(pod, member, group)
        with suppress(TimeoutError):
            async with asyncio.timeout(_PLAN_S):
                while pin is None and self._is_unheard_of(member, group):
                    await self._changes.next_of(group)
                    pin = self._pin(pod, member, group)
        return pin

    def _is_unheard_of(self, member: MemberInfo, group: GroupId) -> bool:
        """True for the leader of a group that has neither pods nor holds yet."""
        if member.rank != 0 or self._cache.workloads.lws_of(group) is None:
            return False
        if member.keyed:
            return False  # its key is new, so no plan can exist
        return not self._cache.holds_of(group) and not self._cache.group_pods(group)

    def _pinnable(self, pod: Raw, namespace: str) -> tuple[MemberInfo, GroupId] | None:
        """The member and its group; None if pods of this kind are never pinned here."""
        if not self._extender_configured or not self._informers.synced:
            return None
        if gates_of_others(pod["spec"]):
            return None
        meta: dict[str, Any] = {**pod["metadata"], "namespace": namespace}
        member = decode_member(meta)
        if member is None or not member.request.places or not member.of_lws or not member.lws_uid:
            return None
        return member, GroupId(namespace, member.lws, member.lws_uid, member.group_key)

    def pin_for(self, pod: Raw, *, namespace: str) -> Pin | None:
        """The node that the group's reservation assigns to this member; None in any doubt."""
        found = self._pinnable(pod, namespace)
        return self._pin(pod, *found) if found is not None else None

    def _pin(self, pod: Raw, member: MemberInfo, group: GroupId) -> Pin | None:
        reservation = self._cache.reservation_of(group)
        if self._cache.successor_of(group) is not None:
            return None  # it is being evicted there for another group
        if reservation is None or not all(h.resource_version for h in reservation.holds):
            return None
        if (reservation.revision, reservation.size) != (member.revision, member.size):
            return None
        if not has_shape(reservation.holds, member.request, member.size) or self._moving(
            reservation
        ):
            return None
        node = reservation.nodes.get(member.rank)
        demand = decode_demand(pod["spec"])
        view = self._cache.domains.node_view(node) if node is not None else None
        if view is None or node is None or not reservation.covers(member.rank, demand):
            return None
        if member.rank == 0 and not self._fits_workers(reservation):
            return None
        if is_outside(reservation, member.request, member.rank, view.node.labels):
            return None
        free = view.without({group}).free
        if why_not_static(demand, view.node) or first_lack(dict(demand.resources), free):
            return None
        return Pin(node=node, plan=reservation.plan)

    def _fits_workers(self, reservation: Reservation) -> bool:
        """False if workers to come will request more than is reserved, or would be refused. The
        planner then decides first.
        """
        group, revision = reservation.group, reservation.revision
        templates = self._cache.workloads.templates(group, revision)
        if templates is None or reservation.size == 1:
            return True
        expected = self._cache.admissions.expected(templates, group, revision)
        if expected.worker_forbidden:
            return False
        ranks = range(1, reservation.size) if expected.larger else ()
        return all(self._fits(reservation, rank, expected.worker) for rank in ranks)

    def _fits(self, reservation: Reservation, rank: Rank, demand: Demand) -> bool:
        view = self._cache.domains.node_view(reservation.nodes.get(rank, ""))
        suits = view is not None and why_not_static(demand, view.node) is None
        return suits and reservation.covers(rank, demand)

    def _moving(self, reservation: Reservation) -> bool:
        """True if old pods of the group remain elsewhere. The planner waits until they are gone."""
        return any(
            pod.node is not None
            and pod.member is not None
            and pod.member.request.ties(pod.member.rank)
            and is_away(reservation, pod.member.rank, pod.node, self._cache.domains)
            for pod in self._cache.group_pods(reservation.group)
        )
