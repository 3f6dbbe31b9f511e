"""Bounds on what a client may do over HTTP/1.1 that aiohttp's server has no limit for.

aiohttp bounds headers (their number and lengths) and, by `client_max_size`, each body. It has no
limit for how slowly a request comes, nor for what all connections send together. Here, a request
has to arrive whole within `ARRIVAL_S` of its first byte, and the requests of one server that are
not answered yet have at most `MOST_UNANSWERED_BYTES`. A connection that breaks a bound is aborted:
its client sees no answer, as when a replica goes. An idle connection is in nobody's way, and
closing one could cost a request of an honest client (`server.py`).
"""

import asyncio
from typing import cast

from aiohttp import web

ARRIVAL_S = 20.0
"""kube-apiserver gives a webhook up after 5 s, kube-scheduler an extender after 10 s."""

MOST_UNANSWERED_BYTES = 256 * 2**20


class Http1Connections:
    """Those of one server, by aiohttp's handler of each."""

    def __init__(self) -> None:
        self._open: dict[web.RequestHandler, Http1Connection] = {}
        self._unused: dict[Http1Connection, None] = {}
        """Those that nothing has come over yet, the oldest first."""
        self.unanswered_bytes = 0

    def __len__(self) -> int:
        return len(self._open)

    def new(self, handler: web.RequestHandler) -> "Http1Connection":
        return Http1Connection(handler, among=self)

    def of(self, request: web.Request) -> "Http1Connection | None":
        """None if it is lost meanwhile."""
        return self._open.get(request.protocol)

    def handlers(self) -> list[web.RequestHandler]:
        return list(self._open)

    def add(self, handler: web.RequestHandler, connection: "Http1Connection") -> None:
        self._open[handler] = connection
        self._unused[connection] = None

    def used(self, connection: "Http1Connection") -> None:
        self._unused.pop(connection, None)

    def discard(self, handler: web.RequestHandler) -> None:
        connection = self._open.pop(handler, None)
        if connection is not None:
            self.used(connection)

    def make_room(self) -> bool:
        """Aborts the oldest connection that nothing has come over; False if there is none. Who only
        opens connections keeps nobody out.
        """
        oldest = next(iter(self._unused), None)
        if oldest is None:
            return False
        self.used(oldest)
        oldest.abort()
        return True


class Http1Connection(asyncio.Protocol):
    """Passes everything on to aiohttp's handler, and counts."""

    def __init__(self, handler: web.RequestHandler, *, among: Http1Connections) -> None:
        self._handler = handler
        self._among = among
        self._unanswered_bytes = 0
        self._too_slow: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._among.add(self._handler, self)
        self._handler.connection_made(transport)

    def abort(self) -> None:
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        self._among.used(self)
        if self._too_slow is None:
            loop = asyncio.get_running_loop()
            self._too_slow = loop.call_later(ARRIVAL_S, self._transport.abort)
        self._unanswered_bytes += len(data)
        self._among.unanswered_bytes += len(data)
        if self._among.unanswered_bytes > MOST_UNANSWERED_BYTES:
            self._transport.abort()
        else:
            self._handler.data_received(data)

    def arrived(self) -> None:
        """The request is here whole."""
        if self._too_slow is not None:
            self._too_slow.cancel()
            self._too_slow = None

    def answered(self) -> None:
        self.arrived()
        self._among.unanswered_bytes -= self._unanswered_bytes
        self._unanswered_bytes = 0

    def eof_received(self) -> None:
        self._handler.eof_received()

    def pause_writing(self) -> None:
        self._handler.pause_writing()

    def resume_writing(self) -> None:
        self._handler.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self.answered()
        self._among.discard(self._handler)
        self._handler.connection_lost(exc)
