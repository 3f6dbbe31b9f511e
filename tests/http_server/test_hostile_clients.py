"""Clients that do what no client of ours does: each is refused or closed, and the next honest one
is served. Nothing is logged as a fault of ours.
"""

import asyncio
import contextlib
import logging
import ssl
from datetime import UTC, datetime

import h2.config
import h2.connection
import pytest
from aiohttp import web
from bench.http2_client import connected
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    Frame,
    HeadersFrame,
    PingFrame,
    PriorityFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

from certs.authority import Names, make
from lws_placement.http_server import server as http_server
from lws_placement.http_server.server import Server, ServerTls

POST = b"POST /echo HTTP/1.1\r\nHost: x\r\n"


async def echo(body):
    return body.decode()


async def over_http1(request):
    return web.Response(text=await request.text())


@contextlib.asynccontextmanager
async def serving(*, tls=False):
    """The server and what a client trusts; the loop raises what it would only log."""
    faults = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: faults.append(context))
    material = make(Names(("x.svc",), ("127.0.0.1",)), now=datetime.now(UTC))
    own = ServerTls(client_certificates=False, http2=True)
    own.load(cert=material.tls_cert, key=material.tls_key, client_ca=material.ca)
    app = web.Application(client_max_size=1000)
    app.router.add_post("/echo", over_http1)
    server = Server(app, host="127.0.0.1", port=0, tls=own if tls else None, calls={"/echo": echo})
    await server.start()
    trust = ssl.create_default_context(cadata=material.ca.decode())
    trust.set_alpn_protocols(["h2"])
    try:
        yield server, trust
    finally:
        await server.stop()
    assert faults == []


@pytest.fixture(autouse=True)
def no_faults(caplog):
    yield
    assert [r for r in caplog.records if r.levelno >= logging.ERROR or r.exc_info] == []


async def read_to_the_end(reader):
    """However it comes."""
    with contextlib.suppress(ConnectionResetError, BrokenPipeError, ssl.SSLError):
        return await reader.read()
    return b""


async def honest_over_http1(server):
    reader, writer = await asyncio.open_connection("127.0.0.1", server.bound_port)
    writer.write(POST + b"Content-Length: 2\r\n\r\nok")
    assert (await reader.readuntil(b"ok")).startswith(b"HTTP/1.1 200")
    writer.close()


# -- HTTP/1.1 -------------------------------------------------------------------------------------

REQUESTS = {
    "no HTTP": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500) + b"\r\n\r\n",
    "HTTP/2 without TLS": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "a long path": b"POST /" + b"a" * 100_000 + b" HTTP/1.1\r\n\r\n",
    "a long header": POST + b"X: " + b"a" * 100_000 + b"\r\n\r\n",
    "many headers": POST + b"".join(b"X%d: 1\r\n" % n for n in range(50_000)) + b"\r\n",
    "a header without end": POST + b"X: " + b"a" * 1_000_000,
    "a length that is none": POST + b"Content-Length: x\r\n\r\n",
    "a negative length": POST + b"Content-Length: -1\r\n\r\n",
    "a length of 5 000 digits": POST + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n",
    "two lengths": POST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    "a length and chunks": POST
    + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunks of no size": POST + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n",
    "a chunk of 5 000 digits": POST + b"Transfer-Encoding: chunked\r\n\r\n" + b"f" * 5000 + b"\r\n",
    "a header that is none": POST + b"no colon\r\n\r\n",
    "a NUL in a header": POST + b"X: \0\r\n\r\n",
    "a body that is too large": POST + b"Content-Length: 5000\r\n\r\n" + bytes(5000),
    "a long trailer": POST
    + b"Transfer-Encoding: chunked\r\n\r\n0\r\nX: "
    + b"a" * 100_000
    + b"\r\n\r\n",
}


@pytest.mark.parametrize("name", REQUESTS)
async def test_a_request_that_is_none_is_refused(name):
    async with serving() as (server, _):
        reader, writer = await asyncio.open_connection("127.0.0.1", server.bound_port)
        with contextlib.suppress(ConnectionResetError, BrokenPipeError):
            writer.write(REQUESTS[name])
            writer.write_eof()
            await writer.drain()
        answer = await read_to_the_end(reader)
        assert not answer or answer.startswith((b"HTTP/1.1 4", b"HTTP/1.0 4")), answer[:200]
        writer.close()
        await honest_over_http1(server)


async def test_who_only_opens_connections_keeps_nobody_out(monkeypatch):
    monkeypatch.setattr(http_server, "_MOST_CONNECTIONS", 20)
    async with serving() as (server, _):
        idle = [await asyncio.open_connection("127.0.0.1", server.bound_port) for _ in range(100)]
        await honest_over_http1(server)
        assert len(server._http1) <= 20
        for _, writer in idle:
            writer.close()


# -- HTTP/2 ---------------------------------------------------------------------------------------


def client_of_http2():
    made = h2.connection.H2Connection(h2.config.H2Configuration(validate_outbound_headers=False))
    made.initiate_connection()
    return made


HEADERS = [(":method", "POST"), (":scheme", "https"), (":authority", "x"), (":path", "/echo")]


def serialized(*frames: Frame) -> bytes:
    return b"".join(frame.serialize() for frame in frames)


def flags(frame, *names):
    for name in names:
        frame.flags.add(name)
    return frame


def headers_of(client, stream, headers, *names):
    block = client.encoder.encode(headers)
    return flags(HeadersFrame(stream, data=block), "END_HEADERS", *names)


def many_resets(client):
    for n in range(3000):
        stream = 2 * n + 1
        yield serialized(
            headers_of(client, stream, HEADERS, "END_STREAM"), RstStreamFrame(stream, error_code=8)
        )


def many_continuations(client):
    yield serialized(HeadersFrame(1, data=client.encoder.encode(HEADERS)))
    for _ in range(20_000):
        yield serialized(ContinuationFrame(1, data=b""))


def many_pings(_):
    for _ in range(20_000):
        yield serialized(PingFrame(0, opaque_data=b"12345678"))


def many_settings(_):
    for n in range(5000):
        yield serialized(SettingsFrame(0, settings={SettingsFrame.INITIAL_WINDOW_SIZE: n}))


def a_bomb_of_headers(client):
    value = "a" * 4000
    for n in range(200):
        more = [("x-bomb", value)] * 100
        yield serialized(headers_of(client, 2 * n + 1, [*HEADERS, *more], "END_STREAM"))


def many_header_fields(client):
    more = [(f"x-{n}", "1") for n in range(5000)]
    yield serialized(headers_of(client, 1, [*HEADERS, *more], "END_STREAM"))


def many_empty_frames(client):
    yield serialized(headers_of(client, 1, HEADERS))
    for _ in range(20_000):
        yield serialized(DataFrame(1, data=b""))


def many_streams_that_never_end(client):
    for n in range(3000):
        yield serialized(headers_of(client, 2 * n + 1, HEADERS))


ATTACKS = {
    "rapid reset": many_resets,
    "CONTINUATION": many_continuations,
    "PING": many_pings,
    "SETTINGS": many_settings,
    "a bomb of headers": a_bomb_of_headers,
    "many header fields": many_header_fields,
    "empty DATA": many_empty_frames,
    "streams that never end": many_streams_that_never_end,
    "CONNECT": lambda c: [
        serialized(headers_of(c, 1, [(":method", "CONNECT"), (":authority", "x")]))
    ],
    "no path": lambda c: [serialized(headers_of(c, 1, HEADERS[:3], "END_STREAM"))],
    "a path that is no UTF-8": lambda c: [
        serialized(headers_of(c, 1, [*HEADERS[:3], (b":path", b"/\xff\xfe")], "END_STREAM"))
    ],
    "a length that is wrong": lambda c: [
        serialized(
            headers_of(c, 1, [*HEADERS, ("content-length", "9" * 5000)]),
            flags(DataFrame(1, data=b"x"), "END_STREAM"),
        )
    ],
    "a window of nothing": lambda _: [b"\0\0\4\x08\0\0\0\0\0\0\0\0\0"],
    "a window that overflows": lambda _: [
        serialized(WindowUpdateFrame(0, window_increment=2**31 - 1)) * 2
    ],
    "a stream that waits for itself": lambda _: [serialized(PriorityFrame(1, depends_on=1))],
    "data of no stream": lambda _: [serialized(DataFrame(7, data=b"x"))],
    "a reset of no stream": lambda _: [serialized(RstStreamFrame(7, error_code=8))],
    "an even stream": lambda c: [serialized(headers_of(c, 2, HEADERS, "END_STREAM"))],
    "settings that are out of range": lambda _: [
        serialized(SettingsFrame(0, settings={SettingsFrame.INITIAL_WINDOW_SIZE: 2**31}))
    ],
    "a frame that is too large": lambda _: [b"\xff\xff\xff\0\0\0\0\0\1" + bytes(100_000)],
    "padding that is longer than its frame": lambda _: [b"\0\0\1\0\x08\0\0\0\1\xff"],
    "unknown frames": lambda _: [b"\0\0\1\xee\0\0\0\0\1x" * 1000],
}


@pytest.mark.parametrize("name", ATTACKS)
async def test_an_attack_on_http2_ends_at_most_its_own_connection(name):
    async with serving(tls=True) as (server, trust):
        reader, writer = await asyncio.open_connection("127.0.0.1", server.bound_port, ssl=trust)
        client = client_of_http2()
        writer.write(client.data_to_send())
        with contextlib.suppress(ConnectionResetError, BrokenPipeError, ssl.SSLError):
            for sent in ATTACKS[name](client):
                writer.write(sent)
                if writer.transport.get_write_buffer_size() > 2**16 or writer.is_closing():
                    await writer.drain()
            await writer.drain()
        async with connected(server.bound_port, trust) as honest:
            assert await honest.answer(honest.post("/echo", b"ok")) == ("200", "ok")
        writer.transport.abort()
        await read_to_the_end(reader)
