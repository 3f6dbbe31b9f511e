"""Leader election on one `coordination.k8s.io/v1` Lease.

`kubernetes.aio.leaderelection` judges expiry by the wall clock and cannot tell whether this process
still leads. A process that was stopped and continued must know, by the monotonic clock, that its
term is over before it writes anything. Hence our own, after client-go's rules: a candidate counts
the lease duration from when it *saw* the record change; the leader gives up `renew_deadline_s`
after the start of its last successful renewal, which is shorter than the duration that candidates
wait.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from lws_placement import metrics
from lws_placement.backoff import Backoff
from lws_placement.cluster.api.client import Api
from lws_placement.cluster.api.timestamps import decode_time, encode_now_micro
from lws_placement.engine.base.raw import Raw
from lws_placement.errors import ApiError, ConflictError, NotFoundError, NotLeaderError

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
    """Whether this process leads now, by the monotonic clock."""

    def __init__(self) -> None:
        self._until: float = 0.0

    @property
    def holds(self) -> bool:
        return time.monotonic() < self._until

    def require(self) -> None:
        """Raises NotLeaderError if leadership has lapsed. Call it before every write."""
        if not self.holds:
            raise NotLeaderError("leadership has lapsed; nothing was written")

    def extend(self, until: float) -> None:
        self._until = until

    def drop(self) -> None:
        self._until = 0.0


class Elector:
    """Runs `lead` while it holds the Lease; cancels it when the Lease is lost."""

    def __init__(
        self, api: Api, *, namespace: str, name: str, identity: str, timing: Timing
    ) -> None:
        self._api = api
        self._path = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"
        self._name = name
        self._namespace = namespace
        self._identity = identity
        self._timing = timing
        self._seen_version = ""
        self._seen_at = 0.0
        self.leadership = Leadership()

    async def run(self, lead: Callable[[], Awaitable[None]]) -> None:
        """Runs until cancelled; then releases the Lease so that the next leader starts at once.

        After a term that failed it pauses without the Lease, longer after each in a row.
        """
        pause, failures = Backoff(self._timing.retry_s, self._timing.retry_s), 0
        while True:
            while not await self._try():
                await asyncio.sleep(pause.delay_s(0))
            began = time.monotonic()
            log.info("leading", extra={"identity": self._identity})
            metrics.LEADER.set(1)
            task = asyncio.ensure_future(lead())
            failed = False
            try:
                failed = await self._keep(task)
            finally:
                self.leadership.drop()
                metrics.LEADER.set(0)
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)  # `_keep` logged a failure
                await self._give_back()
            log.warning("no longer leading", extra={"identity": self._identity})
            if time.monotonic() - began > _WORKED_S:
                failures = 0
            if failed:
                metrics.RETRIES.labels(metrics.Retry.LEADING).inc()
                await asyncio.sleep(_BACKOFF.delay_s(failures))
                failures += 1

    async def _keep(self, task: asyncio.Future[None]) -> bool:
        """True if `task` failed."""
        while self.leadership.holds:
            done, _ = await asyncio.wait([task], timeout=self._timing.retry_s)
            if done:
                error = task.exception()
                if error is not None and not isinstance(error, NotLeaderError):
                    log.error("leading failed, starting over", exc_info=error)
                    return True
                return False
            await self._try()
        return False

    async def _try(self) -> bool:
        """Acquire or renew. An unreachable API server counts as "not renewed"."""
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
            self.leadership.extend(started + self._timing.renew_deadline_s)
        else:
            self.leadership.drop()
        return held

    async def _acquire_or_renew(self, now: float) -> bool:
        path = f"{self._path}/{self._name}"
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
        path = f"{self._path}/{self._name}"
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
            "metadata": {"name": self._name, "namespace": self._namespace},
            "spec": {
                "holderIdentity": self._identity,
                "leaseDurationSeconds": max(1, int(self._timing.duration_s)),
                "acquireTime": spec.get("acquireTime") or now,
                "renewTime": now,
                "leaseTransitions": transitions,
            },
        }


def leader_of(lease: Raw, *, now_s: float) -> tuple[str, float]:
    """The Lease's holder ("": none) and for how many seconds it has been expired, by the wall
    clock: for display, never for decisions.
    """
    spec = lease.get("spec") or {}
    renewed_s = decode_time(spec.get("renewTime"))
    late_s = now_s - renewed_s - float(spec.get("leaseDurationSeconds") or 0)
    return str(spec.get("holderIdentity") or ""), max(late_s, 0.0)
