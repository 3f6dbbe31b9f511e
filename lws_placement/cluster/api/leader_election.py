"""Leader election on one `coordination.k8s.io/v1` Lease.

`kubernetes.aio.leaderelection` judges expiry by the wall clock and cannot tell whether this process
still leads. A process that was stopped and continued must know, by the monotonic clock, that its
term is over before it writes anything. Hence our own, after client-go's rules: a candidate counts
the lease duration from when it *saw* the record change; the leader gives up `renew_deadline_s`
after the start of its last successful renewal, which is shorter than the duration that candidates
wait.

The Lease is acquired and renewed on the side loop (`loops.py`), so that a long plan on the main
loop does not cost it. But a main loop that hangs must lose it: the Lease is renewed only while the
main loop's heartbeat is young. A term that has ended never comes back: what was decided in it is
not written in the next one, which begins only after everything that ran in the last one is gone.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from lws_placement import metrics
from lws_placement.backoff import Backoff
from lws_placement.cluster.api.client import Api
from lws_placement.cluster.api.timestamps import decode_time, encode_now_micro
from lws_placement.engine.base.raw import Raw
from lws_placement.errors import ApiError, ConflictError, NotFoundError, NotLeaderError
from lws_placement.loops import SideLoop

log = logging.getLogger(__name__)

_BACKOFF = Backoff(first_s=1.0, most_s=30.0)
_WORKED_S = 60.0
"""A term of this length is no failure in a row."""
LEADER_LEASE = "lws-placement-leader"
"""The Lease in our namespace whose holder runs the planner."""


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds; `renew_deadline_s` < `duration_s`, and `retry_s` well below both."""

    duration_s: float
    renew_deadline_s: float
    retry_s: float


class Leadership:
    """Whether this process leads now, by the monotonic clock. The side loop begins and extends a
    term, the main loop asks and ends it.
    """

    def __init__(self) -> None:
        self._until: float = 0.0
        self._changing = threading.Lock()

    @property
    def holds(self) -> bool:
        return time.monotonic() < self._until

    def require(self) -> float:
        """For how many seconds leadership lasts at least. Raises NotLeaderError if it has lapsed.
        Call it before every write.
        """
        left_s = self._until - time.monotonic()
        if left_s <= 0:
            raise NotLeaderError("leadership has lapsed; nothing was written")
        return left_s

    def begin(self, until: float) -> None:
        self._until = until

    def extend(self, until: float) -> None:
        """Does nothing once the term has ended: it may have during a renewal."""
        with self._changing:
            if self.holds:
                self._until = until

    def drop(self) -> None:
        with self._changing:
            self._until = 0.0


class Elector:
    """Runs `lead` while it holds the Lease; cancels it when the Lease is lost."""

    def __init__(
        self,
        api: Api,
        leadership: Leadership,
        *,
        namespace: str,
        identity: str,
        timing: Timing,
        side: SideLoop,
        notes: Mapping[str, str] | None = None,
    ) -> None:
        """`api`: the side loop's. `notes`: annotations of the Lease, written with each renewal:
        what the verbs tell of this leader. They may change at any time.
        """
        self._api = api
        self._path = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"
        self._namespace = namespace
        self._identity = identity
        self._timing = timing
        self._side = side
        self._seen_version = ""
        self._seen_at = 0.0
        self.leadership = leadership
        self._notes = notes if notes is not None else {}

    async def run(self, lead: Callable[[], Awaitable[None]]) -> None:
        """Runs until cancelled; then releases the Lease so that the next leader starts at once.

        After a term that failed it pauses without the Lease, longer after each in a row.
        """
        failures = 0
        while True:
            await self._side.run(self._acquire())
            began = time.monotonic()
            log.info("leading", extra={"identity": self._identity})
            metrics.LEADER.set(1)
            leading = asyncio.ensure_future(lead())
            renewing = asyncio.ensure_future(self._side.run(self._renew()))
            failed = False
            try:
                await asyncio.wait({leading, renewing}, return_when=asyncio.FIRST_COMPLETED)
                if renewing.done():
                    renewing.result()
                failed = _has_failed(leading)
            finally:
                self.leadership.drop()
                metrics.LEADER.set(0)
                renewing.cancel()
                leading.cancel()
                await asyncio.gather(leading, renewing, return_exceptions=True)
                await self._side.run(self._give_back())
            log.warning("no longer leading", extra={"identity": self._identity})
            if time.monotonic() - began > _WORKED_S:
                failures = 0
            if failed:
                metrics.RETRIES.labels(metrics.Retry.LEADING).inc()
                await asyncio.sleep(_BACKOFF.delay_s(failures))
                failures += 1

    # -- on the side loop ------------------------------------------------------------------------

    async def _acquire(self) -> None:
        """Returns when a term has begun."""
        pause = Backoff(self._timing.retry_s, self._timing.retry_s)
        while not await self._try(self.leadership.begin):
            await asyncio.sleep(pause.delay_s(0))

    async def _renew(self) -> None:
        """Returns when the term has ended. A main loop that comes back in time keeps it."""
        told = False
        while self.leadership.holds:
            await asyncio.sleep(self._timing.retry_s)
            stalled = self._side.heartbeat.is_stalled
            if not stalled:
                await self._try(self.leadership.extend)
            elif not told:
                log.error(
                    "main loop is stalled, not renewing the Lease",
                    extra={"seconds": round(self._side.heartbeat.age_s)},
                )
            told = stalled
        self.leadership.drop()

    async def _try(self, hold_until: Callable[[float], None]) -> bool:
        """Acquires or renews. An unreachable API server counts as "not renewed"."""
        started = time.monotonic()
        try:
            async with asyncio.timeout(self._timing.renew_deadline_s / 2):
                held = await self._acquire_or_renew(started)
        except ConflictError:
            held = False
        except (ApiError, TimeoutError) as e:
            log.warning("leader lease not reached", extra={"error": str(e)})
            return False
        if held:
            hold_until(started + self._timing.renew_deadline_s)
        else:
            self.leadership.drop()
        return held

    async def _acquire_or_renew(self, now: float) -> bool:
        path = f"{self._path}/{LEADER_LEASE}"
        try:
            lease = await self._api.get(path)
        except NotFoundError:
            await self._api.create(self._path, self._body({}, transitions=0))
            return True
        spec = lease.get("spec") or {}
        version = lease["metadata"]["resourceVersion"]
        if version != self._seen_version:
            self._seen_version, self._seen_at = version, now
        holder = spec.get("holderIdentity") or ""
        mine = holder == self._identity
        if holder and not mine:
            wait_s = float(spec.get("leaseDurationSeconds") or self._timing.duration_s)
            if now - self._seen_at < wait_s:
                return False
        transitions = int(spec.get("leaseTransitions") or 0) + (0 if mine else 1)
        body = self._body(spec if mine else {}, transitions=transitions)
        body["metadata"]["resourceVersion"] = version
        written = await self._api.replace(path, body)
        self._seen_version = written["metadata"]["resourceVersion"]
        self._seen_at = now
        return True

    async def _give_back(self) -> None:
        """Clear the holder if it is still this process. Best effort: a failure only makes the next
        leader wait.
        """
        path = f"{self._path}/{LEADER_LEASE}"
        try:
            async with asyncio.timeout(2):
                lease = await self._api.get(path)
                if (lease.get("spec") or {}).get("holderIdentity") == self._identity:
                    lease["spec"]["holderIdentity"] = ""
                    await self._api.replace(path, lease)
        except (ApiError, TimeoutError) as e:
            log.info("leader lease not given back", extra={"error": str(e)})

    def _body(self, spec: Raw, *, transitions: int) -> Raw:
        now = encode_now_micro()
        return {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {
                "name": LEADER_LEASE,
                "namespace": self._namespace,
                "annotations": dict(self._notes),
            },
            "spec": {
                "holderIdentity": self._identity,
                "leaseDurationSeconds": max(1, int(self._timing.duration_s)),
                "acquireTime": spec.get("acquireTime") or now,
                "renewTime": now,
                "leaseTransitions": transitions,
            },
        }


def _has_failed(leading: asyncio.Future[None]) -> bool:
    """Logs the failure. A term that ended by itself, or by NotLeaderError, has not failed."""
    if not leading.done():
        return False
    error = leading.exception()
    if error is None or isinstance(error, NotLeaderError):
        return False
    log.error("leading failed, starting over", exc_info=error)
    return True


def leader_of(lease: Raw, *, now_s: float) -> tuple[str, float]:
    """The Lease's holder ("": none) and for how many seconds it has been expired, by the wall
    clock: for display, never for decisions.
    """
    spec = lease.get("spec") or {}
    renewed_s = decode_time(spec.get("renewTime"))
    late_s = now_s - renewed_s - float(spec.get("leaseDurationSeconds") or 0)
    return str(spec.get("holderIdentity") or ""), max(late_s, 0.0)
