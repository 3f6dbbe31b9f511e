"""POST calls over HTTP/2: many on one connection, and what a client may do to them."""

import asyncio
import contextlib
import gc
import logging
import ssl
from datetime import UTC, datetime

import aiohttp
import pytest
from aiohttp import web
from bench.http2_client import connected

from certs.authority import Names, make
from lws_placement.http_server import http2
from lws_placement.http_server.http2 import MOST_BYTES
from lws_placement.http_server.server import Server, ServerTls


class Calls:
    def __init__(self):
        self.go = asyncio.Event()
        self.started = asyncio.Event()
        self.finished = asyncio.Event()

    async def echo(self, body):
        return body.decode()

    async def wait(self, body):
        self.started.set()
        await self.go.wait()
        self.finished.set()
        return body.decode()

    async def fail(self, body):
        raise RuntimeError("a defect of ours")


@contextlib.asynccontextmanager
async def serving(calls):
    material = make(Names(("x.svc",), ("127.0.0.1",)), now=datetime.now(UTC))
    tls = ServerTls(client_certificates=False, http2=True)
    tls.load(cert=material.tls_cert, key=material.tls_key, client_ca=material.ca)

    async def over_http1(request):
        return web.Response(text=await calls.echo(await request.read()))

    app = web.Application()
    app.router.add_post("/echo", over_http1)
    paths = {"/echo": calls.echo, "/wait": calls.wait, "/fail": calls.fail}
    server = Server(app, host="127.0.0.1", port=0, tls=tls, calls=paths)
    await server.start()
    trust = ssl.create_default_context(cadata=material.ca.decode())
    try:
        yield server, trust
    finally:
        await server.stop()


@contextlib.asynccontextmanager
async def reached(calls):
    async with serving(calls) as (server, trust), connected(server.bound_port, trust) as client:
        yield client


async def test_calls_of_one_connection_do_not_wait_for_each_other():
    calls = Calls()
    async with reached(calls) as client:
        slow = client.post("/wait", b"slow")
        await calls.started.wait()
        assert await client.answer(client.post("/echo", b"fast")) == ("200", "fast")
        calls.go.set()
        assert await client.answer(slow) == ("200", "slow")


@pytest.mark.parametrize("size", [2_000, 200_000])
async def test_a_body_and_an_answer_larger_than_any_frame_or_window_pass_whole(size):
    body = b"name of a node," * size
    async with reached(Calls()) as client:
        assert await client.answer(client.post("/echo", body)) == ("200", body.decode())


async def test_an_unknown_path_is_not_found():
    async with reached(Calls()) as client:
        assert await client.answer(client.post("/nothing", b"{}")) == ("404", "")


async def test_a_call_that_the_client_gives_up_is_finished_and_not_answered(caplog):
    gc.collect()  # what other tests left behind
    caplog.clear()
    calls = Calls()
    async with reached(calls) as client:
        stream = client.post("/wait")
        await calls.started.wait()
        client.h2.reset_stream(stream)
        client.flush()
        assert await client.answer(client.post("/echo", b"next")) == ("200", "next")
        calls.go.set()
        await calls.finished.wait()
        assert await client.answer(client.post("/echo", b"last")) == ("200", "last")
    gc.collect()  # which logs the failures of tasks that nobody has asked for
    assert [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING] == []


async def test_a_call_is_finished_though_its_connection_breaks():
    calls = Calls()
    async with reached(calls) as client:
        client.post("/wait")
        await calls.started.wait()
        client.transport.abort()
        await client.closed.wait()
        calls.go.set()
        await calls.finished.wait()


async def test_a_call_that_fails_is_answered(caplog):
    async with reached(Calls()) as client:
        assert await client.answer(client.post("/fail")) == ("500", "")
    assert "call failed" in caplog.text


async def test_a_body_without_end_is_refused():
    async with reached(Calls()) as client:
        stream = client.begin("/echo")
        piece = bytes(client.h2.max_outbound_frame_size)
        for _ in range(MOST_BYTES // len(piece) + 1):
            if client.answers[stream][2].is_set():
                break
            while client.h2.local_flow_control_window(stream) < len(piece):
                await asyncio.sleep(0)
            client.h2.send_data(stream, piece)
            client.flush()
        assert await client.answer(stream) == ("reset", "")


async def test_before_the_end_calls_are_finished_and_the_client_is_told_to_go():
    calls = Calls()
    async with serving(calls) as (server, trust), connected(server.bound_port, trust) as client:
        stream = client.post("/wait", b"done")
        await calls.started.wait()
        stopping = asyncio.create_task(server.stop())
        await asyncio.sleep(0)
        assert not stopping.done()
        calls.go.set()
        assert await client.answer(stream) == ("200", "done")
        await stopping
        await client.told_to_go.wait()
        await client.closed.wait()


ANY_CALL = 2**31 - 1


async def test_a_server_that_leaves_says_so_and_answers_what_comes_nevertheless():
    calls = Calls()
    async with serving(calls) as (server, trust), connected(server.bound_port, trust) as client:
        slow = client.post("/wait", b"slow")
        await calls.started.wait()
        server.leave()
        await client.told_to_go.wait()
        assert client.last_calls == [ANY_CALL]
        crossed = client.post("/echo", b"crossed")
        assert await client.answer(crossed) == ("200", "crossed")
        calls.go.set()
        assert await client.answer(slow) == ("200", "slow")
        await server.stop()
        await client.closed.wait()
        assert client.last_calls == [ANY_CALL, crossed]


async def test_a_connection_that_comes_later_is_told_with_its_first_call():
    async with serving(Calls()) as (server, trust):
        server.leave()
        async with connected(server.bound_port, trust) as client:
            assert await client.answer(client.post("/echo", b"one")) == ("200", "one")
            assert client.last_calls == [ANY_CALL]
            assert await client.answer(client.post("/echo", b"two")) == ("200", "two")
            assert client.last_calls == [ANY_CALL], "once is enough"


async def test_a_call_after_the_last_one_is_not_begun():
    calls = Calls()
    async with serving(calls) as (server, trust), connected(server.bound_port, trust) as client:
        last = client.post("/wait", b"last")
        await calls.started.wait()
        stopping = asyncio.create_task(server.stop())
        await client.told_to_go.wait()
        assert client.last_calls == [last]
        calls.started.clear()
        client.post("/wait", b"late")
        calls.go.set()
        assert await client.answer(last) == ("200", "last")
        await stopping
        assert not calls.started.is_set()


async def test_a_body_that_is_still_coming_is_waited_for():
    async with serving(Calls()) as (server, trust), connected(server.bound_port, trust) as client:
        stream = client.begin("/echo")
        client.h2.send_data(stream, b"first, ")
        client.flush()
        assert await client.answer(client.post("/echo", b"heard")) == ("200", "heard")
        stopping = asyncio.create_task(server.stop())
        await client.told_to_go.wait()
        client.h2.send_data(stream, b"second", end_stream=True)
        client.flush()
        assert await client.answer(stream) == ("200", "first, second")
        await stopping


async def test_an_answer_that_the_client_has_no_room_for_yet_is_waited_for():
    calls, body = Calls(), b"name of a node," * 20_000
    async with (
        serving(calls) as (server, trust),
        connected(server.bound_port, trust, 16_384) as client,
    ):
        stream = client.post("/wait", body)
        await calls.started.wait()
        calls.go.set()
        await calls.finished.wait()
        await server.stop()
        assert await client.answer(stream) == ("200", body.decode())


async def test_what_is_no_http2_closes_the_connection():
    async with reached(Calls()) as client:
        client.transport.write(b"\x00" * 64)
        await client.closed.wait()


async def test_a_client_without_http2_is_answered_over_http1():
    async with serving(Calls()) as (server, trust), aiohttp.ClientSession() as session:
        url = f"https://127.0.0.1:{server.bound_port}/echo"
        answer = await session.post(url, data=b"x", ssl=trust)
        assert (answer.version, await answer.text()) == (aiohttp.HttpVersion11, "x")


async def test_calls_that_are_cancelled_at_once_still_count_as_under_way(monkeypatch):
    """What a rapid reset is meant to get round."""
    monkeypatch.setattr(http2, "MOST_CALLS", 3)
    calls = Calls()
    async with reached(calls) as client:
        for _ in range(3):
            client.h2.reset_stream(client.post("/wait"))
        client.flush()
        refused = client.post("/wait")
        assert await client.answer(refused) == ("reset", "")
        calls.go.set()
        await calls.finished.wait()
        while (await client.answer(client.post("/echo", b"next")))[0] == "reset":
            await asyncio.sleep(0)


async def test_bodies_of_one_connection_are_bounded_together(monkeypatch):
    monkeypatch.setattr(http2, "MOST_BYTES", 1000)
    async with reached(Calls()) as client:
        first, second = client.begin("/echo"), client.begin("/echo")
        client.h2.send_data(first, bytes(600))
        client.h2.send_data(second, bytes(600))
        client.flush()
        assert await client.answer(second) == ("reset", "")
        client.h2.send_data(first, b"!", end_stream=True)
        client.flush()
        assert await client.answer(first) == ("200", bytes(600).decode() + "!")
        assert (await client.answer(client.post("/echo", bytes(900))))[0] == "200"


async def test_a_client_that_reads_no_answers_is_not_read_from():
    """The event loop calls both as the transport's buffer fills and empties."""
    async with serving(Calls()) as (server, trust), connected(server.bound_port, trust) as client:
        (connection,) = server._http2
        connection.pause_writing()
        assert not connection._transport.is_reading()
        connection.resume_writing()
        assert await client.answer(client.post("/echo", b"next")) == ("200", "next")


async def test_connections_of_clients_that_are_not_trusted_any_more_end_after_their_calls(tmp_path):
    old, new = (make(Names(("x.svc",), ("127.0.0.1",)), now=datetime.now(UTC)) for _ in range(2))
    calls = Calls()
    tls = ServerTls(client_certificates=True, http2=True)
    server = Server(
        web.Application(), host="127.0.0.1", port=0, tls=tls, calls={"/wait": calls.wait}
    )
    server.load(cert=old.tls_cert, key=old.tls_key, client_ca=old.ca)
    await server.start()
    trust = ssl.create_default_context(cadata=old.ca.decode())
    for name, text in (("crt", old.client_cert), ("key", old.client_key)):
        (tmp_path / name).write_bytes(text)
    trust.load_cert_chain(tmp_path / "crt", tmp_path / "key")
    try:
        async with connected(server.bound_port, trust) as client:
            stream = client.post("/wait", b"done")
            await calls.started.wait()
            server.load(cert=new.tls_cert, key=new.tls_key, client_ca=new.ca)
            await client.told_to_go.wait()
            calls.go.set()
            assert await client.answer(stream) == ("200", "done")
            await client.closed.wait()
    finally:
        await server.stop()
