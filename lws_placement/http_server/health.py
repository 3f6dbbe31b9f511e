"""The health server of a process. It runs on the side loop (`loops.py`), so that it answers while
the main loop is busy, and it says so if the main loop hangs.
"""

import asyncio
from collections.abc import Callable

from aiohttp import web
from prometheus_client import generate_latest

from lws_placement.http_server.server import Server
from lws_placement.loops import Heartbeat

_METRICS_S = 5.0
"""How long /metrics waits for the main loop; less than Prometheus waits for us."""


class Health:
    """Serves before the other parts exist. Made on the main loop; `server` starts and stops on the
    side loop.
    """

    def __init__(self, *, host: str, port: int, heartbeat: Heartbeat) -> None:
        self.why_not_ready: Callable[[], str] = lambda: "starting"
        """Called on the side loop: it must not look at what the main loop is changing."""
        app = health_app(
            lambda: self.why_not_ready(), heartbeat=heartbeat, main=asyncio.get_running_loop()
        )
        self.server = Server(app, host=host, port=port)


def health_app(
    why_not_ready: Callable[[], str], *, heartbeat: Heartbeat, main: asyncio.AbstractEventLoop
) -> web.Application:
    """/healthz: 200 unless the main loop is stalled. /readyz: 503 and `why_not_ready()`, 200 once
    that is empty, and never while the main loop is stalled. /metrics: Prometheus text, which the
    main loop writes, as it counts what the cache holds; 503 if that takes too long.
    """

    def why_stalled() -> str:
        if not heartbeat.is_stalled:
            return ""
        return f"the main loop has made no progress for {heartbeat.age_s:.0f} s"

    async def healthz(_: web.Request) -> web.Response:
        if why := why_stalled():
            return web.Response(status=503, text=why)
        return web.Response(text="ok")

    async def readyz(_: web.Request) -> web.Response:
        if why_not := why_stalled() or why_not_ready():
            return web.Response(status=503, text=f"not ready: {why_not}")
        return web.Response(text="ok")

    async def metrics(_: web.Request) -> web.Response:
        written = asyncio.run_coroutine_threadsafe(_written(), main)
        try:
            async with asyncio.timeout(_METRICS_S):
                text = await asyncio.wrap_future(written)
        except TimeoutError:
            return web.Response(status=503, text="the main loop is busy")
        return web.Response(body=text, content_type="text/plain")

    app = web.Application()
    app.router.add_get("/healthz", healthz)
    app.router.add_get("/readyz", readyz)
    app.router.add_get("/metrics", metrics)
    return app


async def _written() -> bytes:
    return generate_latest()
