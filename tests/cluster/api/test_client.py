"""Requests are counted by what they are about, never by whom, and go nowhere else."""

import asyncio
from contextlib import suppress

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from kubernetes.aio.client.configuration import Configuration

from lws_placement import metrics
from lws_placement.cluster.api.client import Api, object_path, resource_of
from lws_placement.errors import ApiError, NotFoundError, NotLeaderError


@pytest.mark.parametrize(
    ("path", "resource"),
    [
        ("/api/v1/nodes", "nodes"),
        ("/api/v1/nodes/n0", "nodes"),
        ("/api/v1/namespaces/ns/pods/llm-0", "pods"),
        ("/api/v1/namespaces/ns/pods/llm-0/binding", "pods/binding"),
        ("/api/v1/namespaces/ns", "namespaces"),
        ("/apis/apps/v1/namespaces/ns/statefulsets", "statefulsets"),
        (
            "/apis/leaderworkerset.x-k8s.io/v1/namespaces/ns/leaderworkersets/llm/status",
            "leaderworkersets/status",
        ),
        ("/version", "other"),
    ],
)
def test_what_a_request_is_about(path, resource):
    assert resource_of(path) == resource


@pytest.mark.parametrize(
    ("status", "message", "refused"),
    [
        (403, "may not", True),
        (422, "Invalid value", True),
        (409, "the object has been modified", False),
        (429, "too many requests", False),
        (500, "etcdserver: request timed out", False),
        (0, "Cannot connect", False),
        # As kube-apiserver answers to an apply, 1.34 to 1.37.
        (
            500,
            "failed to create typed patch object (ns/llm; apps/v1, Kind=StatefulSet): "
            ".spec.template.spec.evictionResponders: field not declared in schema",
            True,
        ),
    ],
)
def test_a_refusal_is_what_would_be_answered_again(status, message, refused):
    assert ApiError(message, status=status).is_refusal is refused


async def test_who_does_not_lead_reads_and_writes_nothing():
    def deposed():
        raise NotLeaderError("leadership has lapsed")

    api = Api(Configuration(host="http://127.0.0.1:1"), timeout_s=1.0)
    guarded = api.where(deposed)
    path = "/api/v1/namespaces/ns/pods/llm-0"
    for write in (
        guarded.create(path, {}),
        guarded.replace(path, {}),
        guarded.patch(path, {}),
        guarded.delete(path),
    ):
        with pytest.raises(NotLeaderError):
            await write
    for call in (guarded.get(path), api.delete(path)):
        with pytest.raises(ApiError):  # sent, and not answered
            await call
    await api.close()


async def test_a_write_that_gets_no_connection_while_it_is_allowed_is_not_sent():
    arrived, answer = [], asyncio.Event()

    async def slow(request):
        arrived.append(request.method)
        await answer.wait()
        return web.json_response({})

    async with TestServer(_app(slow)) as server:
        configuration = Configuration(host=str(server.make_url("")).rstrip("/"))
        configuration.connection_pool_maxsize = 1
        api = Api(configuration, timeout_s=60.0)
        reading = asyncio.create_task(api.get("/api/v1/nodes"))
        while not arrived:
            await asyncio.sleep(0.001)
        with pytest.raises(ApiError):
            await api.where(lambda: 0.01).create("/api/v1/nodes", {})
        answer.set()
        await reading
        assert arrived == ["GET"]
        await api.where(lambda: 60.0).create("/api/v1/nodes", {})
        assert arrived == ["GET", "POST"]
        await api.close()


ANSWERS = {
    "403": b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\n{}",
    "409": b"HTTP/1.1 409 Conflict\r\nContent-Length: 0\r\n\r\n",
    "422": b"HTTP/1.1 422 X\r\nContent-Length: 2\r\n\r\n[]",
    "429": b"HTTP/1.1 429 X\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n",
    "429 for a year": b"HTTP/1.1 429 X\r\nRetry-After: 31536000\r\nContent-Length: 0\r\n\r\n",
    "429 for 5 000 digits": b"HTTP/1.1 429 X\r\nRetry-After: "
    + b"9" * 5000
    + b"\r\nContent-Length: 0\r\n\r\n",
    "429 until a date": b"HTTP/1.1 429 X\r\nRetry-After: Wed, 21 Oct 2026 07:28:00 GMT\r\n"
    b"Content-Length: 0\r\n\r\n",
    "500": b"HTTP/1.1 500 X\r\nRetry-After: 1\r\nContent-Length: 4\r\n\r\nnull",
    "cut": b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{",
    "no JSON": b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n{",
    "no HTTP": b"\x16\x03\x01\r\n\r\n",
    "nothing": b"",
}
WAITS_S = {"429": 7, "429 for a year": 60, "500": 1}


@pytest.mark.parametrize("method", ["create", "replace", "patch", "delete"])
@pytest.mark.parametrize("name", ANSWERS)
async def test_a_write_is_sent_once_whatever_is_answered(name, method):
    """Who asked decides whether, and when, it asks again."""
    arrived, ended = [], asyncio.Event()

    async def answer(reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        arrived.append(head.split()[0].decode())
        writer.write(ANSWERS[name])
        await _ended(writer)
        ended.set()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    api = Api(Configuration(host=f"http://127.0.0.1:{port}"), timeout_s=60.0)
    body = () if method == "delete" else ({},)
    with pytest.raises(ApiError) as refused:
        await getattr(api, method)("/api/v1/nodes/n", *body)
    assert str(refused.value.status) == (name[:3] if name[0] in "45" else "0")
    assert refused.value.retry_after_s == WAITS_S.get(name, 0)
    assert len(arrived) == 1
    await api.close()
    await ended.wait()
    server.close()


async def test_a_write_that_is_not_answered_ends():
    ended = asyncio.Event()

    async def never(reader, writer):
        await reader.read()
        await _ended(writer)
        ended.set()

    server = await asyncio.start_server(never, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    api = Api(Configuration(host=f"http://127.0.0.1:{port}"), timeout_s=0.1)
    with pytest.raises(ApiError, match="TimeoutError"):
        await api.create("/api/v1/nodes", {})
    await api.close()
    await ended.wait()
    server.close()


async def _ended(writer):
    """Nothing of the connection outlives the test's loop."""
    writer.close()
    with suppress(ConnectionError):
        await writer.wait_closed()


def _app(handler):
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    return app


NO_NAMES = [
    "",
    ".",
    "..",
    "x?watch=1",
    "x/status",
    "x%2Fstatus",
    "x#y",
    "x y",
    "x\n",
    "\u0661",
    "n" * 254,
]


@pytest.mark.parametrize("name", NO_NAMES)
async def test_a_name_that_no_object_can_have_is_not_found_and_nothing_is_sent(name):
    folder = "/apis/apps/v1/namespaces/ns/statefulsets"
    with pytest.raises(NotFoundError):
        object_path(folder, name)
    if "/" in name or not name:
        return
    api = Api(Configuration(host="http://127.0.0.1:1"), timeout_s=1.0)
    counted = _counted()
    with pytest.raises(NotFoundError):
        await api.get(f"{folder}/{name}")
    assert _counted() == counted
    await api.close()


def _counted():
    return [s for m in metrics.REQUESTS.collect() for s in m.samples]


@pytest.mark.parametrize("name", ["llm-0", "system:kube-scheduler", "llm.x", "Llm_0"])
def test_a_name_that_an_object_can_have_is_part_of_its_path(name):
    assert object_path("/x", name) == f"/x/{name}"
