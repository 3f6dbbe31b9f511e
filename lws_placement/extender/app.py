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
from lws_placement.http_server.http2 import MOST_BYTES, Call
from lws_placement.http_server.wire import W, Wire, parse

log = logging.getLogger(__name__)


def build_calls(members: Members, guard: Guard) -> dict[str, Call]:
    """The calls, by path."""

    def not_bound(error: str) -> Wire:
        return BindResult(error=error)

    def no_node(error: str) -> Wire:
        return FilterResult(node_names=[], error=error)

    def no_opinion(_: str) -> Wire:
        return Priorities(scores={})

    def no_victims(_: str) -> Wire:
        return PreemptResult(victims={})

    return {
        "/members/bind": _call(BindArgs, members.bind, not_bound),
        "/members/preempt": _call(PreemptArgs, members.preempt, no_victims),
        "/guard/filter": _call(FilterArgs, guard.filter, no_node),
        "/guard/prioritize": _call(FilterArgs, guard.prioritize, no_opinion),
        "/guard/preempt": _call(PreemptArgs, guard.preempt, no_victims),
    }


def build_app(calls: Mapping[str, Call]) -> web.Application:
    """Serves the calls over HTTP/1.1."""
    app = web.Application(client_max_size=MOST_BYTES)
    for path, call in calls.items():
        app.router.add_post(path, _handler(call))
    return app


def _call(
    model: type[W], decide: Callable[[W], Wire | Awaitable[Wire]], failed: Callable[[str], Wire]
) -> Call:
    async def call(body: bytes) -> str:
        try:
            decided = decide(parse(model, body))
            result = decided if isinstance(decided, Wire) else await decided
        except (InvalidObjectError, KeyError, TypeError, ValueError, AttributeError) as e:
            log.warning("malformed call", extra={"body": model.__name__, "error": str(e)[:500]})
            result = failed(f"malformed body: {e}"[:1000])
        return result.to_json()

    return call


def _handler(call: Call) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def handle(request: web.Request) -> web.Response:
        return web.Response(text=await call(await request.read()), content_type="application/json")

    return handle
