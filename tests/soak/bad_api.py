"""Connections to the API server that are cut, delayed or held, and answers that are refusals."""

import asyncio
import json
from contextlib import suppress

import aiohttp
from aiohttp import web
from e2e.api_proxy import ApiProxy, refusal, status_body

_REFUSALS = ((429, "TooManyRequests"), (500, "InternalError"), (503, "ServiceUnavailable"))
_CUT_SHORT = 0.3
"""Share of the refusals that are none: the request is done, and its answer lost."""


class BadApi(ApiProxy):
    """Passes everything on until it is told otherwise; `heal()` ends all of it. Its methods may be
    called from any thread.
    """

    def __init__(self, cluster, rng, figures):
        self._rng = rng
        self._figures = figures
        self._transports = set()
        self._refused = self._expired = self._delay_s = 0.0
        self._closed = False
        self._flows = asyncio.Event()
        self._flows.set()
        super().__init__(cluster)

    # -- weather ---------------------------------------------------------------------------------

    def cut(self):
        """Every connection that is open now."""
        self._loop.call_soon_threadsafe(self._abort_all)

    def close_door(self):
        """Connections are cut as soon as they ask for something."""
        self._closed = True
        self.cut()

    def hold(self):
        """Connections stay open, and nothing moves on them."""
        self._loop.call_soon_threadsafe(self._flows.clear)

    def delay(self, most_s):
        self._delay_s = most_s

    def refuse(self, share):
        """So many of the requests with 429, 500, 503, or no answer though they are done."""
        self._refused = share

    def expire(self, share):
        """So many of the watches with 410, and all that are open end."""
        self._expired = share
        self.cut()

    def heal(self):
        self._refused = self._expired = self._delay_s = 0.0
        self._closed = False
        self._loop.call_soon_threadsafe(self._flows.set)

    # -- inside ----------------------------------------------------------------------------------

    def _abort_all(self):
        for transport in list(self._transports):
            transport.abort()
        self._figures.count("connections cut", len(self._transports))

    async def handle(self, request):
        transport = request.transport
        if transport is None or self._closed:
            return self._abort(request)
        self._transports.add(transport)
        try:
            await self._flows.wait()
            if self._delay_s:
                await asyncio.sleep(self._rng.uniform(0, self._delay_s))
            if request.query.get("watch"):
                return await self._watch(request)
            return await self._answer(request)
        except (aiohttp.ClientError, TimeoutError, ConnectionError):
            return self._abort(request)
        finally:
            self._transports.discard(transport)

    async def _answer(self, request):
        bad = self._rng.random() < self._refused
        if bad and self._rng.random() >= _CUT_SHORT:
            status, reason = self._rng.choice(_REFUSALS)
            self._figures.count(f"answers {status}")
            return refusal(status, reason)
        answer = await self.forward(request)
        if bad:
            self._figures.count("answers lost")
            return self._abort(request)
        await self._flows.wait()
        return answer

    def _abort(self, request):
        if request.transport is not None:
            request.transport.abort()
        return web.Response(status=503)

    async def _watch(self, request):
        expired = self._rng.random() < self._expired
        if expired:
            self._figures.count("watches 410")
        if expired and self._rng.random() < 0.5:
            return refusal(410, "Expired")
        async with self.call(request, None, None) as answer:
            response = web.StreamResponse(status=answer.status)
            response.content_type = answer.content_type
            await response.prepare(request)
            if expired:
                event = {"type": "ERROR", "object": status_body(410, "Expired")}
                await response.write(json.dumps(event).encode() + b"\n")
                return response
            with suppress(ConnectionError, aiohttp.ClientError):
                async for chunk in answer.content.iter_any():
                    await self._flows.wait()
                    await response.write(chunk)
            return response
