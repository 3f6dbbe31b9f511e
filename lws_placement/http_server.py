"""HTTP servers: TLS with certificate reload, health and metrics, and a shutdown that loses no
request.

Idle connections stay open for an hour: kube-scheduler and kube-apiserver reuse theirs, and a POST
on a connection that the server has just closed fails a user's request (Go does not repeat it; it
drops idle ones after 90 s). So a server that is to stop first *leaves*: it keeps serving, and each
answer asks the client not to reuse the connection, by `Connection: close` over HTTP/1.1, by GOAWAY
over HTTP/2. Connections that stay idle meanwhile are closed at the end; over HTTP/1.1 a request may
cross that close, within one packet's travel time. The server stops once no new connections arrive
(`serve_on`): a kube-proxy short of CPU may send clients here long after the pod has left the
endpoints, and a stopped server would refuse them all.
"""

import asyncio
import logging
import math
import ssl
import tempfile
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from aiohttp import web
from prometheus_client import generate_latest

from lws_placement.http2 import Call, Http2Connection, Negotiating

log = logging.getLogger(__name__)

DRAIN_S = 20.0
"""How long `stop()` waits for requests under way."""

SERVE_ON_DELAYS = 4
"""How many times its delay `serve_on()` lasts at most."""

_KEEPALIVE_S = 3630.0
_CLOSE_S = 1.0  # for handlers that run even longer, and once more after their cancellation
_BACKLOG = 1024


class ServerTls:
    """An SSLContext whose certificate can be replaced while it serves: new handshakes use it.

    No session tickets: kube-apiserver and kube-scheduler never resume a session.
    """

    def __init__(self, *, client_certificates: bool, http2: bool = False) -> None:
        self.context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        self.context.num_tickets = 0
        self.context.options |= ssl.OP_NO_TICKET
        if http2:
            self.context.set_alpn_protocols(["h2", "http/1.1"])
        if client_certificates:
            self.context.verify_mode = ssl.CERT_REQUIRED
        self._client_certificates = client_certificates

    def load(self, *, cert: bytes, key: bytes, ca: bytes) -> None:
        """Loads PEM texts. The ssl module reads only files, so a private folder holds them for a
        moment.
        """
        with tempfile.TemporaryDirectory() as folder:
            cert_file, key_file = Path(folder, "cert"), Path(folder, "key")
            for path, data in ((cert_file, cert), (key_file, key)):
                path.touch(mode=0o600)
                path.write_bytes(data)
            self.context.load_cert_chain(cert_file, key_file)
        if self._client_certificates:
            self.context.load_verify_locations(cadata=ca.decode())


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
            app, keepalive_timeout=_KEEPALIVE_S, access_log=None, shutdown_timeout=_CLOSE_S
        )
        self._host = host
        self._port = port
        self._tls = tls
        self._calls = calls
        self._http2: set[Http2Connection] = set()
        self._listening: asyncio.Server | None = None
        self._leaving = False
        self._requests = 0
        self._answered = asyncio.Event()
        self.bound_port = 0
        self.newest_connection = -math.inf
        """When it was opened, by the event loop's clock."""

    async def start(self) -> None:
        await self._runner.setup()
        context = self._tls.context if self._tls is not None else None
        self._listening = await asyncio.get_running_loop().create_server(
            self._protocol, self._host, self._port, ssl=context, backlog=_BACKLOG
        )
        self.bound_port = int(self._listening.sockets[0].getsockname()[1])
        log.info("listening", extra={"host": self._host, "port": self.bound_port})

    def _protocol(self) -> asyncio.BaseProtocol:
        self.newest_connection = asyncio.get_running_loop().time()
        http1 = self._runner.server
        assert http1 is not None
        return http1() if self._calls is None else Negotiating(http1, self._new_http2)

    def _new_http2(self) -> Http2Connection:
        connection = Http2Connection(self._calls or {}, among=self._http2)
        if self._leaving:
            connection.leave()
        return connection

    @web.middleware
    async def _count(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        """Counts open HTTP/1.1 requests."""
        self._requests += 1
        try:
            response = await handler(request)
        except web.HTTPException as e:
            self._let_go(e)
            raise
        finally:
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
        ending = [asyncio.create_task(each.close(within_s=DRAIN_S)) for each in self._http2]
        with suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_S):
                while self._requests:
                    self._answered.clear()
                    await self._answered.wait()
        await self._runner.cleanup()
        if ending:
            await asyncio.wait(ending)


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


class Health:
    """The health server of a process; it serves before the other parts exist."""

    def __init__(self, *, host: str, port: int) -> None:
        self.why_not_ready: Callable[[], str] = lambda: "starting"
        self.server = Server(health_app(lambda: self.why_not_ready()), host=host, port=port)


def health_app(why_not_ready: Callable[[], str]) -> web.Application:
    """/healthz: 200 while the event loop runs. /readyz: 503 and `why_not_ready()`, 200 once that is
    empty. /metrics: Prometheus text.
    """

    async def healthz(_: web.Request) -> web.Response:
        return web.Response(text="ok")

    async def readyz(_: web.Request) -> web.Response:
        if why_not := why_not_ready():
            return web.Response(status=503, text=f"not ready: {why_not}")
        return web.Response(text="ok")

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(body=generate_latest(), content_type="text/plain")

    app = web.Application()
    app.router.add_get("/healthz", healthz)
    app.router.add_get("/readyz", readyz)
    app.router.add_get("/metrics", metrics)
    return app
