"""Requests nodes for groups by placeholder pods: any cluster autoscaler that acts on unschedulable
pods makes nodes for them, or it makes all of a group at once by a ProvisioningRequest that they
consume. In both cases they keep the nodes that come.

Each pass compares the placeholders that exist with those that are wanted, so that it does not
matter where an earlier planner stopped. Placeholders of a group that has its place, or does not
wait any more, are deleted: what they kept is held for the group, or free for others.
"""

import asyncio
import hashlib
import logging
from collections.abc import Callable, Iterable
from contextlib import suppress

from lws_placement import metrics
from lws_placement.cluster.api.client import Api, pod_path
from lws_placement.cluster.cache.cluster_cache import ClusterCache
from lws_placement.cluster.codec.placeholders import encode_placeholder
from lws_placement.engine.base.raw import Raw
from lws_placement.engine.model.groups import Group, GroupId
from lws_placement.engine.model.pods import Pod, Rank
from lws_placement.engine.model.scale_up import Placeholder
from lws_placement.engine.model.snapshot import ClusterSnapshot
from lws_placement.engine.objects.nodes import Operator, Requirement
from lws_placement.errors import AlreadyExistsError, ApiError, NotFoundError
from lws_placement.planner.event_reporter import EventReporter
from lws_placement.planner.scale_up.answers import Answers
from lws_placement.planner.scale_up.candidates import Candidates
from lws_placement.planner.scale_up.means import Means, by_pods
from lws_placement.planner.scale_up.provisioning_requests import ProvisioningRequests, name_of

log = logging.getLogger(__name__)

_RETRY_S = 5.0
_CHECK_S = 30.0
_ANSWERED_S = 5.0
"""How soon the answer to a ProvisioningRequest is seen."""


class PlaceholderPods:
    """`run()` runs until cancelled, and raises NotLeaderError when deposed."""

    def __init__(
        self,
        api: Api,
        cache: ClusterCache,
        candidates: Candidates,
        *,
        provisioning: ProvisioningRequests,
        answers: Answers,
        reporter: EventReporter,
        namespace: str,
    ) -> None:
        self._api = api
        self._cache = cache
        self._candidates = candidates
        self._provisioning = provisioning
        self._answers = answers
        self._report = reporter
        self._namespace = namespace
        self._means = by_pods()

    async def make_way(self, id_: GroupId) -> None:
        """Deletes the group's placeholders: its pods come next. An autoscaler would make more nodes
        for a pod that finds its node taken.
        """
        if self._cache.placeholders.of_group(id_):
            self._count_made(id_)
            await self._delete(id_)

    async def run(self, means: Means, *, on_means: Callable[[Means], None]) -> None:
        """If nodes are not requested, what an earlier planner left goes. `on_means` is called with
        the means that are used, also when they change.
        """
        self._use(means, on_means)
        while True:
            self._candidates.changed.clear()
            try:
                wait_s = await self._pass()
            except ApiError as e:
                log.warning("scale-up failed, will retry", extra={"error": str(e)})
                wait_s = _RETRY_S
            if self._means.falls_back and (why := self._nobody_accepts()):
                log.warning("scale-up by placeholder pods from now on", extra={"cause": why})
                self._use(by_pods(), on_means)
                continue
            with suppress(TimeoutError):
                await asyncio.wait_for(self._candidates.changed.wait(), wait_s)

    def _use(self, means: Means, on_means: Callable[[Means], None]) -> None:
        self._means = means
        on_means(means)

    async def _pass(self) -> float:
        """Seconds until the next pass is due."""
        for id_ in self._cache.placeholders.groups():
            if not self._means.requests or not self._is_wanted(id_):
                await self._delete(id_)
        asked = self._cache.placeholders.groups()
        await self._provisioning.look(self._consumed(asked))
        if not self._means.requests:
            return _CHECK_S
        # Nodes that are made for one request may serve another group, and a ProvisioningRequest
        # makes nodes once; unschedulable pods go on asking.
        one_by_one = self._means.provisioning
        due, later_s = self._candidates.due(asked, one_by_one=one_by_one)
        for wanted in due:
            await self._request(wanted)
        for id_ in asked:
            group = self._candidates.waiting(id_)
            if group is None:
                continue  # not looked at yet, or about to be placed
            if why := await self._answers.why_over(id_):
                self._candidates.was_in_vain(id_)
                self._report.scale_up_failed(id_, why)
                await self._delete(id_)
            else:
                await self._request(group)
                await self._answers.note(id_)
        soon_s = _ANSWERED_S if self._means.provisioning and (asked or due) else _CHECK_S
        return min(later_s or _CHECK_S, soon_s)

    def _nobody_accepts(self) -> str:
        return self._answers.nobody_accepts(self._cache.placeholders.groups())

    def _consumed(self, groups: Iterable[GroupId]) -> set[str]:
        """The requests whose ProvisioningRequests are to exist."""
        found = (p for id_ in groups for p in self._cache.placeholders.of_group(id_).values())
        return {p.request for p in found if p.consumes}

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
        return all(p.request == self._request_id(group) for p in found)

    def _count_made(self, id_: GroupId) -> None:
        """A group that found its place elsewhere made nothing."""
        reservation = self._cache.reservation_of(id_)
        kept = {pod.node for pod in self._cache.placeholders_of(id_)}
        if reservation is not None and kept & set(reservation.nodes.values()):
            metrics.SCALE_UPS.labels(metrics.ScaleUp.MADE).inc()
            metrics.SCALE_UP_SECONDS.observe(self._answers.age_s(id_))

    async def _request(self, group: Group) -> None:
        """Creates the placeholders that are missing, and what they consume."""
        there = {p.rank for p in self._cache.placeholders.of_group(group.id).values()}
        missing = [member.rank for member in group.members if member.rank not in there]
        request, provisioning = self._request_id(group), self._means.provisioning
        if not missing and not (provisioning and self._provisioning.lacks(request)):
            return
        bodies = self._placeholders(group, request)
        try:
            for rank in missing:
                await self._create(bodies[rank])
            if provisioning:
                await self._provisioning.make(request, list(bodies.values()))
        except ApiError as e:
            if not e.is_refusal:
                raise
            self._candidates.was_in_vain(group.id)
            self._report.scale_up_failed(group.id, f"the API server refuses its objects: {e}")
            await self._delete(group.id)
            return
        if len(missing) == group.size:
            metrics.SCALE_UPS.labels(metrics.ScaleUp.REQUESTED).inc()
            how = f"by ProvisioningRequest {name_of(request)}: " if provisioning else ""
            note = f"{how}{group.size} placeholder pods request new nodes"
            self._report.scale_up(group.id, note)

    def _placeholders(self, group: Group, request: str) -> dict[Rank, Raw]:
        others = self._cache.placeholders_of(group.id)
        off = off_existing(group, self._cache.domains, others=others)
        consumes = name_of(request) if self._means.provisioning else ""
        return {
            member.rank: encode_placeholder(
                Placeholder(request, group.id, member.rank, group.scope, consumes),
                member.demand,
                namespace=self._namespace,
                topology=group.request,
                off=off,
                provisioning_class=self._provisioning.class_name,
            )
            for member in group.members
        }

    async def _create(self, body: Raw) -> None:
        with suppress(AlreadyExistsError):
            path = f"/api/v1/namespaces/{self._namespace}/pods"
            self._cache.put_pod(await self._api.create(path, body))

    async def _delete(self, id_: GroupId) -> None:
        """The next pass deletes what they consumed."""
        for pod in self._cache.placeholders_of(id_):
            options = {"preconditions": {"uid": pod.uid}, "gracePeriodSeconds": 0}
            with suppress(NotFoundError):
                await self._api.delete(pod_path(pod.namespace, pod.name), options)
            self._cache.drop_pod(pod.uid, version=int(pod.resource_version))
        self._answers.forget(id_)
        self._candidates.changed.set()

    def _request_id(self, group: Group) -> str:
        """Equal for equal requests of one group by the same means; part of names."""
        consumes = self._provisioning.class_name if self._means.provisioning else ""
        asked = repr((group.id, group.request, group.demands, group.scope, consumes))
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
