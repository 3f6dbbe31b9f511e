"""An API server that answers badly: a proxy in front of the real one, by a fixed schedule.

Of every kind of write (method and resource) the first six meet what can go wrong: refused with 409,
429 and 500, then done but answered 500, done and never answered, and done; after that all are let
through. Of every kind of read the second is answered 500. A watch is cut in the middle of an event,
after as many events as it is the so manieth of its resource; each second resume after that is
answered 410, by the status and within the stream in turn. The leader Lease is left in peace: who
leads must not depend on how fast the machine is.
"""

import itertools
import json
from collections import Counter
from contextlib import suppress
from enum import StrEnum

import aiohttp
from aiohttp import web
from e2e.api_proxy import ApiProxy, refusal, status_body

from lws_placement.cluster.api.client import resource_of
from lws_placement.cluster.api.leader_election import LEADER_LEASE


class Fault(StrEnum):
    CONFLICT = "409"
    TOO_MANY = "429"
    REFUSED = "500"
    DONE_BUT_FAILED = "500, though it was done"
    UNANSWERED = "no answer, though it was done"
    CUT = "watch cut"
    EXPIRED = "watch expired"
    EXPIRED_LATE = "watch expired, said within the stream"


_WRITES = (
    Fault.CONFLICT,
    Fault.TOO_MANY,
    Fault.REFUSED,
    Fault.DONE_BUT_FAILED,
    Fault.UNANSWERED,
)
_BEFORE = {
    Fault.CONFLICT: (409, "Conflict"),
    Fault.TOO_MANY: (429, "TooManyRequests"),
    Fault.REFUSED: (500, "InternalError"),
}
_WATCHES = (Fault.CUT, None, Fault.CUT, Fault.EXPIRED, Fault.CUT, Fault.EXPIRED_LATE)


class Faults(ApiProxy):
    def __init__(self, cluster):
        self._calls = Counter()
        self.injected = Counter()
        """(kind, fault) -> how often."""
        super().__init__(cluster)

    def met(self, kind):
        """What this kind of call has met so far."""
        return {fault for (known, fault) in self.injected if known == kind}

    async def handle(self, request):
        kind = (request.method, resource_of(request.path))
        if request.path.endswith(f"/{LEADER_LEASE}") or kind[1] == "events":
            return await self.forward(request)
        if request.query.get("watch"):
            return await self._watch(request, resource_of(request.path))
        fault = self._next_fault(kind)
        if fault is None:
            return await self.forward(request)
        self.injected[kind, fault] += 1
        if fault in _BEFORE:
            return refusal(*_BEFORE[fault])
        await self.forward(request)
        if fault is Fault.UNANSWERED:
            request.transport.abort()
        return refusal(500, "InternalError")

    def _next_fault(self, kind):
        number = self._calls[kind]
        self._calls[kind] += 1
        if kind[0] == "GET":
            return Fault.REFUSED if number == 1 else None
        return _WRITES[number] if number < len(_WRITES) else None

    async def _watch(self, request, resource):
        kind = ("WATCH", resource)
        number = self._calls[kind]
        self._calls[kind] += 1
        fault = _WATCHES[number % len(_WATCHES)]
        if fault is Fault.EXPIRED:
            self.injected[kind, fault] += 1
            return refusal(410, "Expired")
        response = web.StreamResponse()
        await response.prepare(request)
        if fault is Fault.EXPIRED_LATE:
            self.injected[kind, fault] += 1
            event = {"type": "ERROR", "object": status_body(410, "Expired")}
            await response.write(json.dumps(event).encode() + b"\n")
            return response
        most = number + 1 if fault is Fault.CUT else None
        with suppress(ConnectionError, aiohttp.ClientError):
            async with self.call(request, None, None) as answer:
                if await _pass_on(answer, response, most=most):
                    self.injected[kind, Fault.CUT] += 1
                    request.transport.abort()
        return response


async def _pass_on(answer, response, *, most):
    """True when the event after `most` was broken off in the middle."""
    lines = itertools.count()
    rest = b""
    async for chunk in answer.content.iter_any():
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            if next(lines) == most:
                await response.write(line[: len(line) // 2])
                return True
            await response.write(line + b"\n")
    return False
