"""Actions -> API calls. Every write carries a precondition and is safe to repeat.

If a hold's write gets no answer, its outcome is unknown. The executor then reads the Lease until
the API server answers, before it does anything else for the group: no pod may be pinned on a hold
that was never written, and no domain given away whose hold was written.
"""

import asyncio
import logging
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import count

from lws_placement import metrics
from lws_placement.backoff import Backoff
from lws_placement.cluster.api.client import Api, pod_path
from lws_placement.cluster.api.eviction import Evictions
from lws_placement.cluster.api.reported_events import why_not_created
from lws_placement.cluster.cache.cluster_cache import ClusterCache
from lws_placement.cluster.codec.objects import decode_pod
from lws_placement.cluster.stores.hold_store import HoldStore
from lws_placement.engine.admission.membership import why_no_member
from lws_placement.engine.admission.pod_gating import pinned_affinity
from lws_placement.engine.base import keys
from lws_placement.engine.base.raw import Raw
from lws_placement.engine.model.groups import GroupId, GroupKind
from lws_placement.engine.model.hold_states import HoldState, check_transition
from lws_placement.engine.model.pods import Pod
from lws_placement.engine.model.reservation import Hold, Reservation
from lws_placement.engine.reconcile.actions import (
    Action,
    Blocked,
    DeletePod,
    EndHold,
    Evict,
    ForceDelete,
    KeepHold,
    LeaveHold,
    LookAgain,
    Pin,
    Release,
    Tell,
    Topic,
    TryEvictions,
    Wait,
    WriteHold,
)
from lws_placement.engine.reconcile.group_state import is_elsewhere, is_or_may_be_in
from lws_placement.errors import (
    ApiError,
    ConflictError,
    InvalidObjectError,
    NotFoundError,
    NotLeaderError,
)
from lws_placement.planner.assumed_holds import AssumedHolds
from lws_placement.planner.event_reporter import EventReporter
from lws_placement.planner.inflight_bindings import InflightBindings

log = logging.getLogger(__name__)

_SETTLE = Backoff(first_s=0.5, most_s=10.0)
_WAKE_AFTER_S = 0.5  # until the extenders' caches show that the hold is gone
_WAKE_MOST = 50


@dataclass(frozen=True, slots=True)
class EvictionRefused:
    pod: Pod
    why: str


@dataclass(frozen=True, slots=True)
class StillInUse:
    """The hold cannot end: a quorum list still shows a pod of the group in its domain."""


class Executor:
    def __init__(
        self, api: Api, cache: ClusterCache, *, store: HoldStore, reporter: EventReporter
    ) -> None:
        self._api = api
        self._cache = cache
        self._store = store
        self._report = reporter
        self._evictions = Evictions(api)
        self._racing = InflightBindings(api, cache)
        self.assumed = AssumedHolds(cache)
        self._waking: asyncio.Task[None] | None = None

    async def apply(self, group: GroupId, action: Action) -> EvictionRefused | StillInUse | None:
        """None: the action is done."""
        match action:
            case WriteHold(hold):
                await self._write(hold)
                reservation = self._cache.reservation_of(group)
                if reservation is not None and all(h.resource_version for h in reservation.holds):
                    self._report.placed(group, reservation)
                    if any(p.gated for p in self._cache.group_pods(group)):
                        await self._racing.look_again(reservation.holds)
            case LeaveHold(hold, why, preempted_by):
                await self._write(hold.to(HoldState.LEAVING))
                self._report.leaving(group, hold, why, preempted=preempted_by is not None)
            case TryEvictions() | Evict():
                return await self._evict(group, action)
            case Pin():
                await self._pin(action)
            case Release(pod):
                await self._ungate(pod, annotations={keys.RELEASED: "true"}, spec={})
            case DeletePod(pod, why, whole):
                await self._delete(pod, whole=whole)
                self._report.deleted(group, pod, why=why, whole=whole)
            case ForceDelete(pod, why):
                await self._delete(pod, force=True)
                self._report.forced(group, pod, why=why)
            case Tell(topic, note):
                why = await self._why_not_created(group) if topic is Topic.MISSING else ""
                self._report.told(group, topic, f"{note}: {why}" if why else note)
            case LookAgain() | KeepHold():
                pass  # handled by the planner
            case Wait():
                await self._report.waiting(group, action)
            case Blocked():
                self._report.blocked(group, action)
            case EndHold():
                return None if await self._end(action.hold) else StillInUse()
        return None

    async def _why_not_created(self, group: GroupId) -> str:
        """What keeps workers from being created; their StatefulSet has the leader's name."""
        pods = self._cache.group_pods(group)
        leader = next((p for p in pods if p.member is not None and p.member.rank == 0), None)
        if leader is None:
            return ""
        for name in (leader.name, group.lws):
            why = await why_not_created(self._api, group.namespace, name)
            if why:
                return why
        return ""

    async def _evict(self, group: GroupId, action: TryEvictions | Evict) -> EvictionRefused | None:
        match action:
            case TryEvictions(holds, victims):
                pods = [pod for victim in victims for pod in victim.pods]
                dry_runs = (self._evictions.evict(pod, dry_run=True) for pod in pods)
                answers = await asyncio.gather(*dry_runs)
                for pod, why in zip(pods, answers, strict=True):
                    if why:
                        self._report.not_evicted(group, pod, why)
                        return EvictionRefused(pod, why)
                if not any(hold.resource_version for hold in holds):
                    self._report.preempts(group, Reservation(holds), victims)
            case Evict(pod, by):
                if why := await self._evictions.evict(pod):
                    self._report.not_evicted(by.group, pod, why)
                    return EvictionRefused(pod, why)
                self._report.evicted(pod, by)
        return None

    async def _end(self, hold: Hold) -> bool:
        """False if a quorum list still shows a pod of the group in the domain.

        An ACTIVE hold becomes LEAVING *before* the list that counts: `bind` refuses a pod that is
        pinned after the list from a stale cache, and a pod bound earlier is on the list. A COMING
        hold admits no pod, but may follow an earlier hold of its group whose pods still terminate
        there. A foreign pod's hold admits no pod of a group, so it needs no list.
        """
        if hold.group.kind is not GroupKind.POD and await self._anyone_left(hold):
            return False
        if hold.state is HoldState.ACTIVE:
            hold = await self._write(hold.to(HoldState.LEAVING))
            if await self._anyone_left(hold):
                return False
        check_transition(hold.state, None)
        try:
            left = await self._store.end(hold, beside=self._beside(hold))
        except ConflictError:
            await self._settle(hold)
            raise
        self._cache.drop_hold(hold.domain, hold.group)
        self._cache.put_holds(hold.domain, left)
        self.wake_refused()
        log.info("hold ended", extra={"domain": str(hold.domain), "group": str(hold.group)})
        return True

    def wake_refused(self) -> None:
        """Makes kube-scheduler retry pods that the guard kept off held room (see `keys.WOKEN`).

        Called when a hold has ended, and when a planner starts, as its predecessor may have died
        before the call. Best effort, does not wait: kube-scheduler retries unwoken pods with any
        other event, after five minutes at the latest.
        """
        if self._cache.unbound.refused() and (self._waking is None or self._waking.done()):
            self._waking = asyncio.create_task(self._wake())

    async def _wake(self) -> None:
        await asyncio.sleep(_WAKE_AFTER_S)
        for pod in self._cache.unbound.refused()[:_WAKE_MOST]:
            annotations = {keys.WOKEN: pod.resource_version}
            body: Raw = {"metadata": {"uid": pod.uid, "annotations": annotations}}
            try:
                await self._api.patch(pod_path(pod.namespace, pod.name), body)
            except (ApiError, NotLeaderError) as e:
                log.info("pod not woken", extra={"pod": pod.key, "error": str(e)})

    async def _anyone_left(self, hold: Hold) -> bool:
        items, _ = await self._api.list_all(
            f"/api/v1/namespaces/{hold.group.namespace}/pods", labelSelector=selector_of(hold.group)
        )
        there = set(hold.nodes.values())
        if not hold.domain.anywhere:
            there |= self._cache.domains.nodes_of(hold.domain)
        pods = [decode_pod(raw) for raw in items]
        holds = self._cache.holds_of(hold.group)
        mine = [p for p in pods if _is_of(hold.group, p) and not is_elsewhere(p, hold, holds)]
        return any(is_or_may_be_in(p, there) for p in mine)

    async def _write(self, hold: Hold) -> Hold:
        try:
            written = await self._store.write(hold, beside=self._beside(hold))
        except (ConflictError, NotFoundError) as e:
            await self._settle(hold)
            raise ConflictError(str(e), status=409) from e
        except ApiError as e:
            log.warning(
                "hold write unanswered", extra={"domain": str(hold.domain), "error": str(e)}
            )
            await self._settle(hold)
            raise
        self._cache.put_holds(hold.domain, written)
        log.info(
            "hold written",
            extra={
                "domain": str(hold.domain),
                "group": str(hold.group),
                "state": hold.state.value,
                "plan": hold.plan,
            },
        )
        return next(h for h in written if h.group == hold.group)

    def _beside(self, hold: Hold) -> list[Hold]:
        """Other groups' holds in the same Lease. Each write repeats them as the Lease has them:
        what is decided about them is for their own writes.
        """
        others = [h for h in self._cache.holds_in(hold.domain) if h.group != hold.group]
        written = [self.assumed.written(h) for h in others]
        return [h for h in written if h is not None and h.resource_version]

    async def _settle(self, hold: Hold) -> None:
        """Puts the Lease's holds into the cache; retries until the API server answers."""
        for failures in count():
            try:
                real = await self._store.fetch(hold.domain)
                break
            except InvalidObjectError as e:
                log.error("hold unreadable, its domain stays shut", extra={"error": str(e)})
                real = [replace(hold, state=HoldState.LEAVING)]
                break
            except ApiError as e:
                metrics.RETRIES.labels(metrics.Retry.HOLD).inc()
                await asyncio.sleep(_SETTLE.delay_s(failures, at_least_s=e.retry_after_s))
        for known in self._cache.holds_in(hold.domain):
            if known.group == hold.group or known.resource_version:
                self._cache.drop_hold(known.domain, known.group)
        for found in real:
            self._cache.put_hold(found)

    async def _pin(self, pin: Pin) -> None:
        pod = pin.pod
        annotations = {keys.PINNED_NODE: pin.node, keys.PLAN: pin.plan}
        if pod.member is not None and not pod.member.of_lws:
            annotations[keys.SLOT] = str(pin.rank)
        affinity = pinned_affinity(self._cache.node_affinity(pod.uid), pin.node)
        await self._ungate(
            pod, annotations=annotations, spec={"affinity": {"nodeAffinity": affinity}}
        )

    async def _ungate(self, pod: Pod, *, annotations: dict[str, str], spec: Raw) -> None:
        body: Raw = {
            "metadata": {
                "uid": pod.uid,
                "resourceVersion": pod.resource_version,
                "annotations": {**annotations, keys.CONDITION: None},
            },
            "spec": {**spec, "schedulingGates": [{"name": g} for g in pod.gates if g != keys.GATE]},
        }
        try:
            written = await self._api.patch(pod_path(pod.namespace, pod.name), body)
        except NotFoundError:
            return
        self._cache.put_written_pod(written)

    async def _delete(self, pod: Pod, *, whole: bool = False, force: bool = False) -> None:
        preconditions = {"uid": pod.uid}
        if pod.node is None:
            # Only while unbound: deleting a bound member would restart its group.
            preconditions["resourceVersion"] = pod.resource_version
        options: Raw = {"preconditions": preconditions}
        leads = pod.member is not None and pod.member.of_lws and pod.member.rank == 0
        if whole or leads:
            # The workers are made for the leader's domain: they go before its successor comes.
            options["propagationPolicy"] = "Foreground"
        if force:
            options["gracePeriodSeconds"] = 0
        with suppress(NotFoundError):
            await self._api.delete(pod_path(pod.namespace, pod.name), options)


def selector_of(group: GroupId) -> str:
    """Label selector of the group's pods in its namespace."""
    if group.kind is GroupKind.LWS:
        return f"{keys.LWS_GROUP_KEY}={group.group_key}"
    return f"{keys.GROUP}={group.lws}"


def _is_of(group: GroupId, pod: Pod) -> bool:
    """Whether a pod that the group's selector finds is one of its own, and not one that only has
    the labels, or was created after the topology annotation was removed. A pin counts whoever has
    it: we alone write pins.
    """
    member = pod.member
    if member is not None and not member.request.places:
        return False
    if pod.pinned is not None:
        return True
    if member is None or why_no_member(pod):
        return False
    return member.lws_uid in ("", group.lws_uid)
