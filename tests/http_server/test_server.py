"""Servers: renewed certificates are served at once, and open connections stay open; one that goes
loses no request.
"""

import asyncio
import contextlib
import gzip
import logging
import math
import socket
import ssl
import struct
from dataclasses import replace
from datetime import UTC, datetime

import aiohttp
import pytest
from aiohttp import web
from support.virtual_time import run

from certs.authority import Names, ends_of, make
from lws_placement.errors import InvalidObjectError
from lws_placement.http_server import http1
from lws_placement.http_server import server as http_server
from lws_placement.http_server.server import Server, ServerTls, serve_on

NAMES = Names(("x.svc",), ("127.0.0.1",))


def an_app():
    async def hello(request):
        return web.Response(text=str(request.transport.get_extra_info("peername")[1]))

    app = web.Application()
    app.router.add_get("/", hello)
    return app


def load(tls, material):
    tls.load(cert=material.tls_cert, key=material.tls_key, client_ca=material.ca)


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
            load(server, new)
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


# -- client certificates --------------------------------------------------------------------------


def client_of(material, folder, *, certificate=True):
    """The context of a client with kube-scheduler's certificate."""
    context = ssl.create_default_context(cadata=material.ca.decode())
    if certificate:
        for name, text in (("crt", material.client_cert), ("key", material.client_key)):
            (folder / name).write_bytes(text)
        context.load_cert_chain(folder / "crt", folder / "key")
    return context


@contextlib.asynccontextmanager
async def guarded(material, app):
    server = Server(app, host="127.0.0.1", port=0, tls=ServerTls(client_certificates=True))
    load(server, material)
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


def url_of(server, path=""):
    return f"https://127.0.0.1:{server.bound_port}/{path}"


async def test_a_client_whose_ca_is_gone_is_refused_and_its_open_connection_ends(tmp_path):
    """With the server's own certificate still trusted by it, so that it is the client's that
    counts.
    """
    old, new = (make(NAMES, now=datetime.now(UTC)) for _ in range(2))
    trusts_both = client_of(old, tmp_path)
    trusts_both.load_verify_locations(cadata=new.ca.decode())
    going = asyncio.Event()

    async def slow(request):
        await going.wait()
        return web.Response(text="done")

    app = an_app()
    app.router.add_get("/slow", slow)
    async with guarded(old, app) as server, aiohttp.ClientSession() as session:
        assert (await session.get(url_of(server), ssl=trusts_both)).status == 200
        under_way = asyncio.create_task(session.get(url_of(server, "slow"), ssl=trusts_both))
        while server._requests == 0:
            await asyncio.sleep(0)
        load(server, new)
        with pytest.raises(aiohttp.ClientError):
            async with aiohttp.ClientSession() as another:
                await another.get(url_of(server), ssl=trusts_both)
        going.set()
        assert await (await under_way).text() == "done"
        with pytest.raises(aiohttp.ClientError):
            await session.get(url_of(server), ssl=trusts_both)
        (tmp_path / "new").mkdir()
        async with aiohttp.ClientSession() as another:
            answer = await another.get(url_of(server), ssl=client_of(new, tmp_path / "new"))
            assert answer.status == 200


async def test_a_renewed_certificate_of_the_same_ca_ends_no_connection(tmp_path):
    material = make(NAMES, now=datetime.now(UTC))
    async with guarded(material, an_app()) as server, aiohttp.ClientSession() as session:
        context = client_of(material, tmp_path)
        first = await (await session.get(url_of(server), ssl=context)).text()
        load(server, material)
        assert await (await session.get(url_of(server), ssl=context)).text() == first


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_nobody_is_served_without_a_certificate_nor_with_sessions_to_resume(
    version, tmp_path
):
    material = make(NAMES, now=datetime.now(UTC))
    context = client_of(material, tmp_path, certificate=version is ssl.TLSVersion.TLSv1_2)
    context.maximum_version = version
    async with guarded(material, an_app()) as server, aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.ClientError):
            await session.get(url_of(server), ssl=context)


async def test_it_is_known_until_when_the_clients_certificate_is_valid(tmp_path):
    material = make(NAMES, now=datetime.now(UTC))
    async with guarded(material, an_app()) as server, aiohttp.ClientSession() as session:
        assert server.client_certificate_ends == math.inf
        await session.get(url_of(server), ssl=client_of(material, tmp_path))
        assert server.client_certificate_ends == ends_of(material)["client"].timestamp() // 1


@pytest.mark.parametrize("broken", ["tls_cert", "tls_key", "ca"])
async def test_what_cannot_be_loaded_changes_nothing(broken, tmp_path):
    material = make(NAMES, now=datetime.now(UTC))
    async with guarded(material, an_app()) as server, aiohttp.ClientSession() as session:
        for text in (b"", b"nothing", bytes(9), b"\xff", getattr(material, broken)[:-60]):
            with pytest.raises(InvalidObjectError, match="cannot be used"):
                load(server, replace(material, **{broken: text}))
        assert (await session.get(url_of(server), ssl=client_of(material, tmp_path))).status == 200


# -- what strangers may do ------------------------------------------------------------------------


async def connect(server):
    return await asyncio.open_connection("127.0.0.1", server.bound_port)


async def ended(reader):
    """Read to the end, however it came."""
    with contextlib.suppress(ConnectionResetError):
        return await reader.read()
    return b""


POST = b"POST / HTTP/1.1\r\nHost: x\r\n"


@pytest.mark.parametrize(
    "sent", [b"P", POST, POST + b"Content-Length: 9\r\n\r\n", POST + b"Content-Length: 9\r\n\r\n1"]
)
async def test_a_request_that_does_not_come_whole_ends_its_connection(sent, monkeypatch):
    monkeypatch.setattr(http1, "ARRIVAL_S", 0.05)
    async with plain(web.post("/", echo)) as server:
        reader, writer = await connect(server)
        writer.write(sent)
        assert await ended(reader) == b""
        writer.close()


@pytest.mark.parametrize("abort", [False, True], ids=["closed", "reset"])
@pytest.mark.parametrize("sent", [POST, POST + b"Content-Length: 9\r\n\r\n1"])
async def test_a_client_that_leaves_within_its_request_is_no_error(sent, abort, caplog):
    async with plain(web.post("/", echo)) as server:
        _, writer = await connect(server)
        writer.write(sent)
        while not len(server._http1) or (b"9" in sent and not server._requests):
            await asyncio.sleep(0)
        if abort:
            linger = struct.pack("ii", 1, 0)
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        writer.close()
        while len(server._http1) or server._requests:
            await asyncio.sleep(0)
    assert [r for r in caplog.records if r.levelno >= logging.WARNING] == []


async def test_an_answer_may_take_longer_than_its_request_and_silence_is_no_fault(monkeypatch):
    monkeypatch.setattr(http1, "ARRIVAL_S", 0.05)

    async def slow(request):
        await asyncio.sleep(0.2)
        return web.Response(text="done")

    async with plain(web.post("/", slow)) as server:
        reader, writer = await connect(server)
        for _ in range(2):
            writer.write(POST + b"Content-Length: 2\r\n\r\nxx")
            assert (await reader.readuntil(b"done")).startswith(b"HTTP/1.1 200")
            await asyncio.sleep(0.2)
        writer.close()


async def test_of_too_many_connections_the_last_is_not_served(monkeypatch):
    monkeypatch.setattr(http_server, "_MOST_CONNECTIONS", 2)
    async with plain(web.post("/", echo)) as server:
        open_ones = [await connect(server) for _ in range(2)]
        for reader, writer in open_ones:
            writer.write(POST + b"Content-Length: 0\r\n\r\n")
            await reader.readuntil(b"\r\n\r\n")
        reader, writer = await connect(server)
        assert await ended(reader) == b""
        writer.close()
        for _, one in open_ones:
            one.close()
        while len(server._http1):
            await asyncio.sleep(0)
        reader, writer = await connect(server)
        writer.write(POST + b"Content-Length: 0\r\n\r\n")
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
        writer.close()


async def test_all_requests_together_have_so_many_bytes(monkeypatch):
    monkeypatch.setattr(http1, "MOST_UNANSWERED_BYTES", 1000)
    async with plain(web.post("/", echo)) as server:
        half = POST + b"Content-Length: 600\r\n\r\n" + bytes(500)
        first, _ = pair = await connect(server)
        pair[1].write(half)
        while not server._http1.unanswered_bytes:
            await asyncio.sleep(0)
        second, writer = await connect(server)
        writer.write(half)
        assert await ended(second) == b""
        writer.close()
        pair[1].write(bytes(100))
        assert (await first.readuntil(bytes(600))).startswith(b"HTTP/1.1 200")
        assert server._http1.unanswered_bytes == 0
        pair[1].close()


async def test_a_compressed_body_is_not_blown_up():
    async with plain(web.post("/", echo)) as server, aiohttp.ClientSession() as session:
        body = gzip.compress(bytes(10_000))
        headers = {"Content-Encoding": "gzip"}

        answer = await session.post(
            f"http://127.0.0.1:{server.bound_port}/", data=body, headers=headers
        )
        assert answer.status == 500 or len(await answer.read()) < 1000
