"""Servers: renewed certificates are served at once, and open connections stay open."""

import ssl
from datetime import UTC, datetime

import aiohttp
import pytest
from aiohttp import web

from certs.authority import Names, make
from lws_placement.serve import Server, ServerTls, health_app

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
