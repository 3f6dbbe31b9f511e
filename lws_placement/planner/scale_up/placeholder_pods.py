"""Requests nodes for groups by placeholder pods, which any cluster autoscaler understands that acts
on unschedulable pods.

Each pass compares the placeholders that exist with those that are wanted, so that it does not
matter where an earlier planner stopped. Placeholders of a group that has its place, or does not
wait any more, are deleted: what they kept is held for the group, or free for others.
"""

import asyncio
import hashlib
import logging
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress

from lws_placement import metrics
from lws_placement.cluster.api.client import Api, pod_path
from lws_placement.cluster.api.reported_events import why_no_node
from lws_placement.cluster.cache.cluster_cache import ClusterCache
from lws_placement.cluster.codec.placeholders import encode_placeholder
from lws_placement.engine.model.groups import Group, GroupId
from lws_placement.engine.model.pods import Pod
from lws_placement.engine.model.scale_up import Placeholder
from lws_placement.engine.model.snapshot import ClusterSnapshot
from lws_placement.engine.objects.nodes import Operator, Requirement
from lws_placement.errors import AlreadyExistsError, ApiError, NotFoundError
from lws_placement.planner.event_reporter import EventReporter
from lws_placement.planner.scale_up.candidates import Candidates

log = logging.getLogger(__name__)

_RETRY_S = 5.0
_CHECK_S = 30.0
_ASKED = 3
"""Pods whose Events are read: of equal pods an autoscaler says the same."""


class PlaceholderPods:
    """`run()` runs until cancelled, and raises NotLeaderError when deposed. `gives_up_after_s`: how
    long a request may take. `clock`: seconds since the epoch.
    """

    def __init__(
        self,
        api: Api,
        cache: ClusterCache,
        candidates: Candidates,
        *,
        reporter: EventReporter,
        namespace: str,
        gives_up_after_s: float,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._api = api
        self._cache = cache
        self._candidates = candidates
        self._report = reporter
        self._namespace = namespace
        self._gives_up_after_s = gives_up_after_s
        self._clock = clock

    async def make_way(self, id_: GroupId) -> None:
        """Deletes the group's placeholders: its pods come next. An autoscaler would make more nodes
        for a pod that finds its node taken.
        """
        if self._cache.placeholders.of_group(id_):
            self._count_made(id_)
            await self._delete(id_)

    async def run(self, *, requests: bool) -> None:
        """`requests`: whether to request nodes; if not, what an earlier planner left goes."""
        while True:
            self._candidates.changed.clear()
            try:
                wait_s = await self._pass(requests=requests)
            except ApiError as e:
                log.warning("scale-up failed, will retry", extra={"error": str(e)})
                wait_s = _RETRY_S
            with suppress(TimeoutError):
                await asyncio.wait_for(self._candidates.changed.wait(), wait_s)

    async def _pass(self, *, requests: bool) -> float:
        """Seconds until the next pass is due."""
        for id_ in self._cache.placeholders.groups():
            if not requests or not self._is_wanted(id_):
                await self._delete(id_)
        if not requests:
            return _CHECK_S
        asked = self._cache.placeholders.groups()
        due, later_s = self._candidates.due(asked)
        for wanted in due:
            await self._request(wanted)
        for id_ in asked:
            group = self._candidates.waiting(id_)
            if group is None:
                continue  # not looked at yet, or about to be placed
            if self._age_s(id_) > self._gives_up_after_s:
                await self._give_up(id_)
            else:
                await self._request(group)
        return min(later_s or _CHECK_S, _CHECK_S)

    def _is_wanted(self, id_: GroupId) -> bool:
        """False if the group has its place, or does not wait, or waits for something else."""
        reservation = self._cache.reservation_of(id_)
        if reservation is not None and all(h.resource_version for h in reservation.holds):
            self._candidates.placed(id_)
            return False
        if not any(p.gated and p.living for p in self._cache.group_pods(id_)):
            return False
        group = self._candidates.waiting(id_)
        if group is None:
            return True
        found = self._cache.placeholders.of_group(id_).values()
        return all(p.request == request_id(group) for p in found)

    def _count_made(self, id_: GroupId) -> None:
        """A group that found its place elsewhere made nothing."""
        reservation = self._cache.reservation_of(id_)
        kept = {pod.node for pod in self._cache.placeholders_of(id_)}
        if reservation is not None and kept & set(reservation.nodes.values()):
            metrics.SCALE_UPS.labels(metrics.ScaleUp.MADE).inc()
            metrics.SCALE_UP_SECONDS.observe(self._age_s(id_))

    async def _request(self, group: Group) -> None:
        """Creates the placeholders that are missing."""
        there = {p.rank for p in self._cache.placeholders.of_group(group.id).values()}
        missing = [member for member in group.members if member.rank not in there]
        if not missing:
            return
        request = request_id(group)
        others = self._cache.placeholders_of(group.id)
        off = off_existing(group, self._cache.domains, others=others)
        for member in missing:
            body = encode_placeholder(
                Placeholder(request, group.id, member.rank, group.scope),
                member.demand,
                namespace=self._namespace,
                topology=group.request,
                off=off,
            )
            try:
                made = await self._api.create(f"/api/v1/namespaces/{self._namespace}/pods", body)
            except AlreadyExistsError:
                continue
            except ApiError as e:
                if not e.is_refusal:
                    raise
                self._candidates.was_in_vain(group.id)
                self._report.scale_up_failed(group.id, f"the API server refuses its pods: {e}")
                await self._delete(group.id)
                return
            self._cache.put_pod(made)
        if len(missing) == group.size:
            metrics.SCALE_UPS.labels(metrics.ScaleUp.REQUESTED).inc()
            self._report.scale_up(group.id, f"{group.size} placeholder pods request new nodes")

    async def _give_up(self, id_: GroupId) -> None:
        pods = self._cache.placeholders_of(id_)
        bound = sum(pod.node is not None for pod in pods)
        note = f"{bound} of {len(pods)} nodes came in {self._gives_up_after_s:g} s"
        words = await self._words([pod for pod in pods if pod.node is None])
        self._candidates.was_in_vain(id_)
        self._report.scale_up_failed(id_, f"{note}: {words}" if words else note)
        await self._delete(id_)

    async def _words(self, pods: Sequence[Pod]) -> str:
        """Why no node came for these: an autoscaler's words, else kube-scheduler's."""
        for pod in pods[:_ASKED]:
            if said := await why_no_node(self._api, pod.namespace, pod.name):
                return said
        return next((pod.unschedulable for pod in pods if pod.unschedulable), "")

    async def _delete(self, id_: GroupId) -> None:
        for pod in self._cache.placeholders_of(id_):
            options = {"preconditions": {"uid": pod.uid}, "gracePeriodSeconds": 0}
            with suppress(NotFoundError):
                await self._api.delete(pod_path(pod.namespace, pod.name), options)
            self._cache.drop_pod(pod.uid, version=int(pod.resource_version))

    def _age_s(self, id_: GroupId) -> float:
        """Of its oldest placeholder; 0 if there is none any more: others may delete them, too."""
        now_s = self._clock()
        created_s = (pod.created_s for pod in self._cache.placeholders_of(id_))
        return now_s - min(created_s, default=now_s)


def request_id(group: Group) -> str:
    """Equal for equal requests of one group; part of a pod's name."""
    asked = repr((group.id, group.request, group.demands, group.scope))
    return hashlib.sha1(asked.encode(), usedforsecurity=False).hexdigest()[:10]


def off_existing(
    group: Group, views: ClusterSnapshot, *, others: Iterable[Pod] = ()
) -> list[Requirement]:
    """What keeps the placeholders off all domains that existed when the first of them, among
    `others`, was created: since then nodes may have come for these.
    """
    key = group.request.outer or group.request.inner
    if not key:
        return []
    for pod in others:
        for term in pod.demand.required or ():
            return [r for r in term.expressions if r.key == key]
    values = tuple(sorted(d.name.value for d in views.domains(key)))
    has_label = Requirement(key, Operator.EXISTS)  # NotIn alone matches nodes without it
    return [has_label, Requirement(key, Operator.NOT_IN, values)] if values else [has_label]
