"""Repeats a call to the API server until it succeeds."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from lws_placement import metrics
from lws_placement.backoff import Backoff
from lws_placement.errors import ApiError, InvalidObjectError, retry_after_s

log = logging.getLogger(__name__)

T = TypeVar("T")

BACKOFF = Backoff(first_s=1.0, most_s=5.0)
"""Short, as a process is not ready meanwhile."""


async def retried(
    call: Callable[[], Awaitable[T]], *, told: Callable[[str], None] = lambda why: None
) -> T:
    """Retries until `call` succeeds, also after refusals. Logs each failure and calls `told` with
    the reason.
    """
    failures = 0
    while True:
        try:
            return await call()
        except (ApiError, InvalidObjectError) as e:
            told(e.summary if isinstance(e, ApiError) else str(e))
            log.warning("will retry", extra={"error": str(e)})
            metrics.RETRIES.labels(metrics.Retry.START).inc()
            await asyncio.sleep(BACKOFF.delay_s(failures, at_least_s=retry_after_s(e)))
            failures += 1
