"""Answers the AdmissionChecks of Kueue that name us: a group's Workload is ready once its place is
held, so that quota is spent only where there is a domain.

While no domain can be had, the Workload stays pending, with the words that `explain` has, and keeps
its quota. After a patience the quota is given back (Retry), and Kueue puts the Workload back into
its queue; Kueue 0.17 tries the same one again first. Or the Workload is rejected for good, if that
is asked for.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from lws_placement import metrics
from lws_placement.backoff import Backoff
from lws_placement.cluster.api.client import APPLY_PATCH, Api, object_path
from lws_placement.cluster.cache.cluster_cache import ClusterCache
from lws_placement.cluster.codec.kueue import (
    API_VERSION,
    PENDING,
    READY,
    REJECTED,
    RETRY,
    CheckState,
    Workload,
    encode_active,
    encode_answer,
)
from lws_placement.engine.base.raw import Raw
from lws_placement.engine.messages import gist as gist_of
from lws_placement.engine.messages import waiting_note
from lws_placement.engine.model.groups import GroupId
from lws_placement.engine.reconcile.actions import Action, Blocked, Wait
from lws_placement.engine.reconcile.group_state import GroupState
from lws_placement.errors import ApiError, ConflictError, NotFoundError
from lws_placement.planner.observer import Observer

log = logging.getLogger(__name__)

_EVERY_S = 5.0
_BACKOFF = Backoff(first_s=1.0, most_s=60.0)
_CHECKS = f"/apis/{API_VERSION}/admissionchecks"
_FORCED = {"force": "true"}
_TOPOLOGY = (
    "Kueue chooses its nodes by the topology of a flavor, so lws-placement cannot: use a flavor "
    "without topologyName, or take this check out of the ClusterQueue"
)


@dataclass(frozen=True, slots=True)
class _Words:
    """Those of an equal gist tell a person the same."""

    words: str
    gist: str


_PLACED = _Words("", "")


class AdmissionChecks(Observer):
    """`run()` runs until cancelled, and raises NotLeaderError when deposed. `patience_s`: how long
    a Workload may wait with quota. `rejects`: it is rejected then. `clock`: seconds since the
    epoch.
    """

    def __init__(
        self,
        api: Api,
        cache: ClusterCache,
        *,
        patience_s: float,
        rejects: bool = False,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._api = api
        self._cache = cache
        self._patience_s = patience_s
        self._gives_up = REJECTED if rejects else RETRY
        self._clock = clock
        self._why: dict[GroupId, _Words] = {}
        """Why a group that we are asked about is not placed."""
        self._changed = asyncio.Event()

    def decided(self, observed: GroupState, actions: Sequence[Action]) -> None:
        if not observed.awaits_our_check:
            self._why.pop(observed.id, None)
            return
        words, known = _why_not(actions), self._why.get(observed.id)
        if known is None or known.gist != words.gist or _PLACED in (known, words):
            self._why[observed.id] = words
            self._changed.set()

    def done(self, group: GroupId, actions: Sequence[Action]) -> None:
        if group in self._why:
            self._changed.set()

    async def run(self) -> None:
        failures = 0
        while True:
            self._changed.clear()
            try:
                await self._pass()
            except ApiError as e:
                log.warning("admission checks not answered, will retry", extra={"error": str(e)})
                metrics.RETRIES.labels(metrics.Retry.ADMISSION_CHECKS).inc()
                await asyncio.sleep(_BACKOFF.delay_s(failures, at_least_s=e.retry_after_s))
                failures += 1
                continue
            failures = 0
            with suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), _EVERY_S)

    async def _pass(self) -> None:
        quotas = self._cache.quotas
        for name in quotas.not_active():
            await self._apply(f"{object_path(_CHECKS, name)}/status", encode_active(name))
        for workload in quotas.asked():
            for known in quotas.ours(workload):
                await self._answer(workload, known)

    async def _answer(self, workload: Workload, known: CheckState) -> None:
        if known.state not in (PENDING, READY):
            return  # Kueue gives the quota back now
        state, message = self._verdict(workload)
        answer = CheckState(known.name, state, message)
        if not message or answer == known:
            return
        path = f"/apis/{API_VERSION}/namespaces/{workload.namespace}/workloads"
        body = encode_answer(workload, answer)
        await self._apply(f"{object_path(path, workload.name)}/status", body)
        if state != PENDING:
            extra = {"workload": f"{workload.namespace}/{workload.name}", "state": state}
            log.info("admission check answered", extra=extra | {"why": message})

    def _verdict(self, workload: Workload) -> tuple[str, str]:
        """The state and its message; an empty message if nothing is known yet."""
        reservation = self._cache.reservation_of(workload.group)
        if reservation is not None and all(h.resource_version for h in reservation.holds):
            return READY, f"{reservation.where} is held for its {reservation.holds[0].size} pods"
        why = self._why.get(workload.group, _PLACED).words
        if workload.has_topology:
            why = _TOPOLOGY
        waited_s = self._clock() - workload.reserved_s
        if why and waited_s > self._patience_s:
            return self._gives_up, f"in {self._patience_s:g} s no place was found: {why}"
        return PENDING, why

    async def _apply(self, path: str, body: Raw) -> None:
        """What has changed meanwhile is answered when its watch event has come."""
        with suppress(ConflictError, NotFoundError):
            await self._api.patch(path, body, content_type=APPLY_PATCH, params=_FORCED)


def _why_not(actions: Sequence[Action]) -> _Words:
    """`_PLACED` if it is being placed."""
    for action in actions:
        match action:
            case Wait(verdict=verdict, group=group, nobody=nobody, besides=besides):
                note = waiting_note(verdict, size=group.size, nobody=nobody, besides=besides)
                return _Words(note, gist_of(verdict, nobody))
            case Blocked(why=why, gist=gist):
                return _Words(why, gist or why)
    return _PLACED
