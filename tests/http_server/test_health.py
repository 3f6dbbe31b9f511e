"""/healthz, /readyz and /metrics: honest about a main loop that hangs, and not held up by it."""

import asyncio
from contextlib import asynccontextmanager

import aiohttp
from support.stalled import Loop

from lws_placement.http_server import health
from lws_placement.http_server.health import Health
from lws_placement.loops import Heartbeat, SideLoop


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@asynccontextmanager
async def a_health_server(heartbeat):
    side = SideLoop(heartbeat)
    served = Health(host="127.0.0.1", port=0, heartbeat=heartbeat)
    await side.run(served.server.start())
    try:
        yield served
    finally:
        await side.run(served.server.stop())
        await side.close()


async def ask(served, path):
    """Status and text."""
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"http://127.0.0.1:{served.server.bound_port}{path}") as answer,
    ):
        return answer.status, await answer.text()


async def test_ready_is_an_answer_and_so_is_not_ready():
    obstacles = ["API server not reached: no route"]
    async with a_health_server(Heartbeat(stall_s=30)) as served:
        assert (await ask(served, "/readyz")) == (503, "not ready: starting")
        served.why_not_ready = lambda: "".join(obstacles)
        assert (await ask(served, "/healthz")) == (200, "ok")
        not_yet = await ask(served, "/readyz")
        assert not_yet == (503, "not ready: API server not reached: no route")
        obstacles.clear()
        assert (await ask(served, "/readyz")) == (200, "ok")
        status, text = await ask(served, "/metrics")
        assert status == 200
        assert "python_info" in text


def test_while_the_main_loop_is_blocked_health_is_answered_and_a_stall_is_told(monkeypatch):
    monkeypatch.setattr(health, "_METRICS_S", 0.05)
    clock = Clock()
    heartbeat = Heartbeat(stall_s=30, clock=clock)
    main, other = Loop(), Loop()
    served, stop = main.run(serve(heartbeat))
    with main.blocked():
        assert other.run(ask(served, "/healthz")) == (200, "ok")
        assert other.run(ask(served, "/readyz")) == (200, "ok")
        assert other.run(ask(served, "/metrics")) == (503, "the main loop is busy")
        clock.now = 31
        why = "the main loop has made no progress for 31 s"
        assert other.run(ask(served, "/healthz")) == (503, why)
        assert other.run(ask(served, "/readyz")) == (503, f"not ready: {why}")
    main.run(one_beat(heartbeat))
    assert other.run(ask(served, "/healthz")) == (200, "ok")
    assert other.run(ask(served, "/readyz")) == (200, "ok")
    main.run(stop())
    main.close()
    other.close()


async def serve(heartbeat):
    context = a_health_server(heartbeat)
    served = await context.__aenter__()
    served.why_not_ready = lambda: ""

    async def stop():
        await context.__aexit__(None, None, None)

    return served, stop


async def one_beat(heartbeat):
    beating = asyncio.create_task(heartbeat.run())
    await asyncio.sleep(0)
    beating.cancel()
