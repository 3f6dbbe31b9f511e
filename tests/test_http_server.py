"""Servers: renewed certificates are served at once, and open connections stay open; one that goes
loses no request.
"""

import asyncio
import contextlib
import math
import ssl
from datetime import UTC, datetime

import aiohttp
import pytest
from aiohttp import web
from support.virtual_time import run

from certs.authority import Names, make
from lws_placement.http_server import Server, ServerTls, health_app, serve_on

NAMES = Names(("x.svc",), ("127.0.0.1",))


def an_app():
    async def hello(request):
        return web.Response(text=str(request.transport.get_extra_info("peername")[1]))

    app = web.Application()
    app.router.add_get("/", hello)
    return app


def load(tls, material):
    tls.load(cert=material.tls_cert, key=material.tls_key, ca=material.ca)


async def test_a_reload_drops_no_connection_and_new_ones_get_the_new_certificate():
    old, new = (make(NAMES, now=datetime.now(UTC)) for _ in range(2))
    tls = ServerTls(client_certificates=False)
    load(tls, old)
    server = Server(an_app(), host="127.0.0.1", port=0, tls=tls)
    await server.start()
    url = f"https://127.0.0.1:{server.bound_port}/"
    try:
        async with aiohttp.ClientSession() as session:
            trusts_old = ssl.create_default_context(cadata=old.ca.decode())
            first = await (await session.get(url, ssl=trusts_old)).text()
            load(tls, new)
            again = await (await session.get(url, ssl=trusts_old)).text()
            assert again == first, "the same connection, by the client's port"
        async with aiohttp.ClientSession() as session:
            trusts_new = ssl.create_default_context(cadata=new.ca.decode())
            assert (await session.get(url, ssl=trusts_new)).status == 200
            with pytest.raises(aiohttp.ClientConnectorCertificateError):
                await session.get(
                    url,
                    ssl=ssl.create_default_context(cadata=old.ca.decode()),
                    headers={"Connection": "close"},
                )
    finally:
        await server.stop()


async def test_ready_is_an_answer_and_so_is_not_ready():
    obstacles = ["API server not reached: no route"]
    server = Server(health_app(lambda: "".join(obstacles)), host="127.0.0.1", port=0)
    await server.start()
    url = f"http://127.0.0.1:{server.bound_port}"
    try:
        async with aiohttp.ClientSession() as session:
            assert (await session.get(f"{url}/healthz")).status == 200
            not_yet = await session.get(f"{url}/readyz")
            assert not_yet.status == 503
            assert await not_yet.text() == "not ready: API server not reached: no route"
            obstacles.clear()
            assert (await session.get(f"{url}/readyz")).status == 200
            assert "python_info" in await (await session.get(f"{url}/metrics")).text()
    finally:
        await server.stop()


@contextlib.asynccontextmanager
async def plain(*routes):
    app = web.Application()
    app.add_routes(routes)
    server = Server(app, host="127.0.0.1", port=0)
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


async def echo(request):
    return web.Response(text=await request.text())


async def refuse(request):
    raise web.HTTPRequestEntityTooLarge(max_size=1, actual_size=2)


@pytest.mark.parametrize("path", ["/echo", "/refuse", "/nothing"])
async def test_answers_of_a_server_that_leaves_end_their_connections(path):
    routes = (web.post("/echo", echo), web.post("/refuse", refuse))
    async with plain(*routes) as server, aiohttp.ClientSession() as session:
        url = f"http://127.0.0.1:{server.bound_port}{path}"
        kept = await session.post(url)
        assert "Connection" not in kept.headers
        server.leave()
        for _ in range(2):
            answer = await session.post(url)
            assert answer.status == kept.status
            assert answer.headers["Connection"] == "close"


async def test_a_request_whose_body_is_still_coming_is_answered_before_the_end():
    async with plain(web.post("/", echo)) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.bound_port)
        writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n")
        writer.write(b"Content-Length: 10\r\n\r\n")
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 100")
        stopping = asyncio.create_task(server.stop())
        await asyncio.sleep(0)
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", server.bound_port)
        writer.write(b"first, ")
        writer.write(b"2nd")
        answer = (await reader.read()).decode()
        assert answer.startswith("HTTP/1.1 200")
        assert "\r\nConnection: close\r\n" in answer
        assert answer.endswith("first, 2nd")
        await stopping
        writer.close()


async def test_a_connection_without_a_request_does_not_keep_it():
    async with plain(web.post("/", echo)) as server:
        idle, writer = await asyncio.open_connection("127.0.0.1", server.bound_port)
        await server.stop()
        assert await idle.read() == b""
        writer.close()


async def test_one_that_was_never_started_can_be_stopped():
    await Server(web.Application(), host="127.0.0.1", port=0).stop()


class Clients:
    """A server as `serve_on` sees it: connections are made at these times."""

    def __init__(self, *times):
        self._times = times

    @property
    def newest_connection(self):
        now = asyncio.get_running_loop().time()
        return max((t for t in self._times if t <= now), default=-math.inf)


@pytest.mark.parametrize(
    ("webhook", "extender", "ends"),
    [
        pytest.param([], [], 5, id="nobody comes"),
        pytest.param([3], [], 8, id="from the last one on"),
        pytest.param([3], [6], 11, id="each server counts"),
        pytest.param([3, 9], [], 8, id="who comes too late"),
        pytest.param(range(100), [], 20, id="some never learn"),
    ],
)
def test_a_server_that_leaves_serves_on_until_nobody_comes(webhook, extender, ends):
    async def time_of_end():
        await serve_on([Clients(*webhook), Clients(*extender)], delay_s=5)
        return asyncio.get_running_loop().time()

    assert run(time_of_end()) == ends


async def test_a_server_knows_when_it_was_connected_to_last():
    async with plain(web.post("/", echo)) as server, aiohttp.ClientSession() as session:
        before = asyncio.get_running_loop().time()
        assert server.newest_connection < before
        url = f"http://127.0.0.1:{server.bound_port}/"
        await (await session.post(url)).read()
        first = server.newest_connection
        assert first >= before
        await (await session.post(url)).read()
        assert server.newest_connection == first, "a kept one is not new"
