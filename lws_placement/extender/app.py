"""The extender's HTTP shell: decode, decide, encode; always 200.

kube-scheduler treats every other status alike and does not read the body, so our own failures go
into `Error`. A result without that field reports a failure as an empty answer: no victims
(preempt), no opinion (prioritize).
"""

import logging
from collections.abc import Awaitable, Callable, Mapping

from aiohttp import web

from lws_placement.errors import InvalidObjectError
from lws_placement.extender.guard import Guard
from lws_placement.extender.members import Members
from lws_placement.extender.wire import (
    BindArgs,
    BindResult,
    FilterArgs,
    FilterResult,
    PreemptArgs,
    PreemptResult,
    Priorities,
)
from lws_placement.http2 import MOST_BYTES, Call
from lws_placement.wire import Wire, parse

log = logging.getLogger(__name__)


def build_calls(members: Members, guard: Guard) -> dict[str, Call]:
    """The calls, by path."""

    async def bind(body: bytes) -> Wire:
        return await members.bind(parse(BindArgs, body))

    async def members_preempt(body: bytes) -> Wire:
        return members.preempt(parse(PreemptArgs, body))

    async def guard_filter(body: bytes) -> Wire:
        return guard.filter(parse(FilterArgs, body))

    async def guard_prioritize(body: bytes) -> Wire:
        return guard.prioritize(parse(FilterArgs, body))

    async def guard_preempt(body: bytes) -> Wire:
        return guard.preempt(parse(PreemptArgs, body))

    def no_node(error: str) -> Wire:
        return FilterResult(node_names=[], error=error)

    return {
        "/members/bind": _call("bind", bind, lambda e: BindResult(error=e)),
        "/members/preempt": _call("members preempt", members_preempt, _no_victims),
        "/guard/filter": _call("filter", guard_filter, no_node),
        "/guard/prioritize": _call("prioritize", guard_prioritize, _no_opinion),
        "/guard/preempt": _call("guard preempt", guard_preempt, _no_victims),
    }


def build_app(calls: Mapping[str, Call]) -> web.Application:
    """Serves the calls over HTTP/1.1."""
    app = web.Application(client_max_size=MOST_BYTES)
    for path, call in calls.items():
        app.router.add_post(path, _handler(call))
    return app


def _no_victims(_: str) -> Wire:
    return PreemptResult(victims={})


def _no_opinion(_: str) -> Wire:
    return Priorities(scores={})


def _call(
    verb: str, decide: Callable[[bytes], Awaitable[Wire]], failed: Callable[[str], Wire]
) -> Call:
    async def call(body: bytes) -> str:
        try:
            result = await decide(body)
        except (InvalidObjectError, KeyError, TypeError, ValueError, AttributeError) as e:
            log.warning("malformed call", extra={"verb": verb, "error": str(e)[:500]})
            result = failed(f"malformed body: {e}"[:1000])
        return result.to_json()

    return call


def _handler(call: Call) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def handle(request: web.Request) -> web.Response:
        return web.Response(text=await call(await request.read()), content_type="application/json")

    return handle
