"""An API server that answers badly: a proxy in front of the real one, by a fixed schedule.

Of every kind of write (method and resource) the first six meet what can go wrong: refused with 409,
429 and 500, then done but answered 500, done and never answered, and done; after that all are let
through. Of every kind of read the second is answered 500. A watch is cut in the middle of an event,
after as many events as it is the so manieth of its resource; each second resume after that is
answered 410, by the status and within the stream in turn. The leader Lease is left in peace: who
leads must not depend on how fast the machine is.
"""

import asyncio
import itertools
import json
import ssl
import threading
from collections import Counter
from contextlib import suppress
from enum import StrEnum

import aiohttp
from aiohttp import web

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
_TURNS = 20
"""Of the event loop, until every connection that was aborted is closed as well."""
_KEPT = ("Accept", "Authorization", "Content-Type")


class Faults:
    """Listens at `url`, plain HTTP, until `close()`."""

    def __init__(self, cluster):
        self._server = cluster.server
        self._ca = str(cluster.folder / "pki" / "ca.crt")
        self._calls = Counter()
        self.injected = Counter()
        """(kind, fault) -> how often."""
        self.url = ""
        self._begun = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._run(),))
        self._thread.start()
        assert self._begun.wait(10)

    def close(self):
        self._loop.call_soon_threadsafe(self._ended.set)
        self._thread.join()
        self._loop.close()

    def met(self, kind):
        """What this kind of call has met so far."""
        return {fault for (known, fault) in self.injected if known == kind}

    # -- inside ----------------------------------------------------------------------------------

    async def _run(self):
        self._ended = asyncio.Event()
        app = web.Application(client_max_size=2**26)
        app.router.add_route("*", "/{path:.*}", self._handle)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
        await runner.setup()
        context = ssl.create_default_context(cafile=self._ca)
        connector = aiohttp.TCPConnector(ssl=context, limit=0)
        async with aiohttp.ClientSession(connector=connector, auto_decompress=False) as session:
            self._session = session
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
            self._begun.set()
            await self._ended.wait()
            await connector.close(abort_ssl=True)  # else each waits for the other side's goodbye
            await runner.cleanup()
            await _cancelled(asyncio.all_tasks() - {asyncio.current_task()})
        for _ in range(_TURNS):
            await asyncio.sleep(0)

    async def _handle(self, request):
        kind = (request.method, resource_of(request.path))
        if request.path.endswith(f"/{LEADER_LEASE}") or kind[1] == "events":
            return await self._forward(request)
        if request.query.get("watch"):
            return await self._watch(request, resource_of(request.path))
        fault = self._next_fault(kind)
        if fault is None:
            return await self._forward(request)
        self.injected[kind, fault] += 1
        if fault in _BEFORE:
            return _status(*_BEFORE[fault])
        await self._forward(request)
        if fault is Fault.UNANSWERED:
            request.transport.abort()
        return _status(500, "InternalError")

    def _next_fault(self, kind):
        number = self._calls[kind]
        self._calls[kind] += 1
        if kind[0] == "GET":
            return Fault.REFUSED if number == 1 else None
        return _WRITES[number] if number < len(_WRITES) else None

    def _call(self, request, body, timeout_s):
        headers = {name: request.headers[name] for name in _KEPT if name in request.headers}
        timeout = aiohttp.ClientTimeout(total=timeout_s)
        url = f"{self._server}{request.path_qs}"
        return self._session.request(
            request.method, url, headers=headers, data=body, timeout=timeout
        )

    async def _forward(self, request):
        async with self._call(request, await request.read(), 60) as answer:
            data, kind = await answer.read(), answer.content_type
            return web.Response(status=answer.status, body=data, content_type=kind)

    async def _watch(self, request, resource):
        kind = ("WATCH", resource)
        number = self._calls[kind]
        self._calls[kind] += 1
        fault = _WATCHES[number % len(_WATCHES)]
        if fault is Fault.EXPIRED:
            self.injected[kind, fault] += 1
            return _status(410, "Expired")
        response = web.StreamResponse()
        await response.prepare(request)
        if fault is Fault.EXPIRED_LATE:
            self.injected[kind, fault] += 1
            event = {"type": "ERROR", "object": _body(410, "Expired")}
            await response.write(json.dumps(event).encode() + b"\n")
            return response
        most = number + 1 if fault is Fault.CUT else None
        with suppress(ConnectionError, aiohttp.ClientError):
            async with self._call(request, None, None) as answer:
                if await _pass_on(answer, response, most=most):
                    self.injected[kind, Fault.CUT] += 1
                    request.transport.abort()
        return response


async def _cancelled(tasks):
    """Calls whose client went away in the middle are nobody's any more."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


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


def _body(status, reason):
    return {"kind": "Status", "apiVersion": "v1", "code": status, "reason": reason, "message": "no"}


def _status(status, reason):
    headers = {"Retry-After": "1"} if status == 429 else {}
    return web.json_response(_body(status, reason), status=status, headers=headers)
