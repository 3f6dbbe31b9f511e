"""HTTP servers: TLS with certificate reload, and a shutdown that loses no request.

Idle connections stay open for an hour: kube-scheduler and kube-apiserver reuse theirs, and a POST
on a connection that the server has just closed fails a user's request (Go does not repeat it; it
drops idle ones after 90 s). So a server that is to stop first *leaves*: it keeps serving, and each
answer asks the client not to reuse the connection, by `Connection: close` over HTTP/1.1, by GOAWAY
over HTTP/2. Connections that stay idle meanwhile are closed at the end; over HTTP/1.1 a request may
cross that close, within one packet's travel time. The server stops once no new connections arrive
(`serve_on`): a kube-proxy short of CPU may send clients here long after the pod has left the
endpoints, and a stopped server would refuse them all.

What strangers may do is bounded: connections and handshakes here, requests in `http1.py` and
`http2.py`.
"""

import asyncio
import logging
import math
import ssl
import tempfile
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from aiohttp import web

from lws_placement.errors import InvalidObjectError
from lws_placement.http_server.http1 import Http1Connections
from lws_placement.http_server.http2 import Call, Http2Connection, Negotiating

log = logging.getLogger(__name__)

DRAIN_S = 20.0
"""How long `stop()` waits for requests under way."""

SERVE_ON_DELAYS = 4
"""How many times its delay `serve_on()` lasts at most."""

_KEEPALIVE_S = 3630.0
_CLOSE_S = 1.0  # for handlers that run even longer, and once more after their cancellation
_BACKLOG = 1024
_HANDSHAKE_S = 10.0
_MOST_CONNECTIONS = 2000
"""A kube-apiserver has 200 writes under way by default (--max-mutating-requests-inflight), each
perhaps on a connection of its own. If there are so many, a new one takes the place of the oldest
one without a request, and is not served if each has had one.
"""


class ServerTls:
    """A server's TLS, whose certificate and client CA can be replaced while it serves.

    Each load makes a new context, since a context forgets no CA; `context` passes every handshake
    on to the newest one. Nothing is resumed, so each connection shows its client certificate: no
    session tickets, and not TLS 1.2, whose sessions outlive a context (kube-apiserver and
    kube-scheduler speak TLS 1.3 and never resume).
    """

    def __init__(self, *, client_certificates: bool, http2: bool = False) -> None:
        self._client_certificates = client_certificates
        self._http2 = http2
        self._client_ca = b""
        self.context = self.newest = self._new_context()
        self.context.sni_callback = self._use_newest

    def _new_context(self) -> ssl.SSLContext:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.num_tickets = 0
        if self._http2:
            context.set_alpn_protocols(["h2", "http/1.1"])
        if self._client_certificates:
            context.verify_mode = ssl.CERT_REQUIRED
        return context

    def _use_newest(
        self, handshake: ssl.SSLObject | ssl.SSLSocket, _name: str | None, _: ssl.SSLContext
    ) -> None:
        """Called for each ClientHello, also without a server name."""
        handshake.context = self.newest

    def load(self, *, cert: bytes, key: bytes, client_ca: bytes = b"") -> bool:
        """Loads PEM texts; whether other clients are trusted than before. The ssl module reads only
        files, so a private folder holds them for a moment.

        Raises InvalidObjectError if they cannot be used; what was loaded before stays then.
        """
        context = self._new_context()
        try:
            with tempfile.TemporaryDirectory() as folder:
                cert_file, key_file = Path(folder, "cert"), Path(folder, "key")
                for path, data in ((cert_file, cert), (key_file, key)):
                    path.touch(mode=0o600)
                    path.write_bytes(data)
                context.load_cert_chain(cert_file, key_file)
            if self._client_certificates:
                context.load_verify_locations(cadata=client_ca.decode())
        except (OSError, ValueError) as e:
            raise InvalidObjectError(f"certificates cannot be used: {e}") from e
        self.newest = context
        before, self._client_ca = self._client_ca, client_ca
        return self._client_certificates and client_ca != before

    def is_outdated(self, connection: ssl.SSLObject) -> bool:
        """Whether the client was checked against a CA that is not loaded any more."""
        return self._client_certificates and connection.context is not self.newest


class Server:
    """One app on one port. `port` 0 takes a free one; `bound_port` is the port in use.

    `calls` serve connections that negotiate HTTP/2, which `tls` has to offer.
    """

    def __init__(
        self,
        app: web.Application,
        *,
        host: str,
        port: int,
        tls: ServerTls | None = None,
        calls: Mapping[str, Call] | None = None,
    ) -> None:
        app.middlewares.append(self._count)
        self._runner = web.AppRunner(
            app,
            keepalive_timeout=_KEEPALIVE_S,
            access_log=None,
            shutdown_timeout=_CLOSE_S,
            auto_decompress=False,
        )
        self._host = host
        self._port = port
        self._tls = tls
        self._calls = calls
        self._http1 = Http1Connections()
        self._http2: set[Http2Connection] = set()
        self._ending: set[asyncio.Task[None]] = set()
        self._listening: asyncio.Server | None = None
        self._leaving = False
        self._requests = 0
        self._answered = asyncio.Event()
        self.bound_port = 0
        self.newest_connection = -math.inf
        """When it was opened, by the event loop's clock."""
        self.client_certificate_ends = math.inf
        """That of the newest connection, Unix time; infinite without one."""

    async def start(self) -> None:
        await self._runner.setup()
        tls = self._tls
        self._listening = await asyncio.get_running_loop().create_server(
            lambda: Negotiating(self._choose),
            self._host,
            self._port,
            ssl=tls.context if tls is not None else None,
            ssl_handshake_timeout=_HANDSHAKE_S if tls is not None else None,
            backlog=_BACKLOG,
        )
        self.bound_port = int(self._listening.sockets[0].getsockname()[1])
        log.info("listening", extra={"host": self._host, "port": self.bound_port})

    def load(self, *, cert: bytes, key: bytes, client_ca: bytes = b"") -> None:
        """Replaces certificates. Where clients need certificates and their CA has changed, open
        connections get no new requests, finish those under way, and are closed.

        Raises InvalidObjectError if they cannot be used; what was loaded before stays then.
        """
        assert self._tls is not None
        if self._tls.load(cert=cert, key=key, client_ca=client_ca):
            for handler in self._http1.handlers():
                self._end(handler.shutdown(DRAIN_S))
            for connection in self._http2:
                self._end(connection.close(within_s=DRAIN_S))

    def _end(self, closing: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(closing)
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    def _choose(self, tls: ssl.SSLObject | None) -> asyncio.Protocol | None:
        """The protocol of a new connection; None if it is not to be served."""
        self.newest_connection = asyncio.get_running_loop().time()
        full = len(self._http1) + len(self._http2) >= _MOST_CONNECTIONS
        if full and not self._http1.make_room():
            return None
        if tls is not None and self._tls is not None:
            if self._tls.is_outdated(tls):
                return None
            ends = (tls.getpeercert() or {}).get("notAfter")
            if ends is not None:
                self.client_certificate_ends = ssl.cert_time_to_seconds(str(ends))
            if self._calls is not None and tls.selected_alpn_protocol() == "h2":
                return self._new_http2()
        http1 = self._runner.server
        assert http1 is not None
        return self._http1.new(http1())

    def _new_http2(self) -> Http2Connection:
        connection = Http2Connection(self._calls or {}, among=self._http2)
        if self._leaving:
            connection.leave()
        return connection

    @web.middleware
    async def _count(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        """Counts open HTTP/1.1 requests, and waits until they are here whole."""
        self._requests += 1
        connection = self._http1.of(request)
        try:
            await _read_whole(request)
            if connection is not None:
                connection.arrived()
            response = await handler(request)
        except web.HTTPException as e:
            self._let_go(e)
            raise
        finally:
            if connection is not None:
                connection.answered()
            self._requests -= 1
            self._answered.set()
        return self._let_go(response)

    def _let_go(self, response: web.StreamResponse) -> web.StreamResponse:
        if self._leaving:
            response.force_close()
        return response

    def leave(self) -> None:
        """Keeps serving, and asks every client to send its next requests elsewhere."""
        self._leaving = True
        for connection in self._http2:
            connection.leave()

    async def stop(self) -> None:
        """Accepts no new connections, lets open requests finish, then closes. Works on a server
        that was never started.
        """
        self._leaving = True
        if self._listening is not None:
            self._listening.close()
        for connection in self._http2:
            self._end(connection.close(within_s=DRAIN_S))
        with suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_S):
                while self._requests:
                    self._answered.clear()
                    await self._answered.wait()
        await self._runner.cleanup()
        if self._ending:
            await asyncio.wait(self._ending)


async def _read_whole(request: web.Request) -> None:
    """A client that leaves before its request is here is no error of ours: anybody could fill the
    log with these. Its answer goes nowhere.
    """
    try:
        await request.read()
    except ConnectionError:
        raise web.HTTPBadRequest(reason="the client has left") from None


async def serve_on(servers: Iterable[Server], *, delay_s: float) -> None:
    """Returns when leaving servers have had no new connection for `delay_s`. Every client was asked
    not to reuse its connection, so a client that is still sent here opens a new one. Returns after
    `SERVE_ON_DELAYS` times `delay_s` at the latest, as some clients ignore the request.
    """
    now = asyncio.get_running_loop().time
    began = now()
    while True:
        newest = max([began, *(server.newest_connection for server in servers)])
        left_s = min(newest + delay_s, began + SERVE_ON_DELAYS * delay_s) - now()
        if left_s <= 0:
            return
        await asyncio.sleep(left_s)
