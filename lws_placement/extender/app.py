"""The extender's HTTP shell: decode, decide, encode; always 200.

kube-scheduler treats every other status alike and does not read the body, so our own failures go
into `Error`. Where a result has no such field a failure is an empty answer: no victims (preempt),
no opinion (prioritize).
"""

import logging
from collections.abc import Awaitable, Callable

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
    Wire,
    parse,
)

log = logging.getLogger(__name__)

_MOST_BYTES = 64 * 2**20
"""15 000 node names of 63 characters are 1 MB; a preempt call names victims besides."""

_Failed = Callable[[str], Wire]


def build_app(members: Members, guard: Guard) -> web.Application:
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

    app = web.Application(client_max_size=_MOST_BYTES)
    app.router.add_post("/members/bind", _handler(bind, lambda e: BindResult(error=e)))
    app.router.add_post("/members/preempt", _handler(members_preempt, _no_victims))
    app.router.add_post(
        "/guard/filter", _handler(guard_filter, lambda e: FilterResult(node_names=[], error=e))
    )
    app.router.add_post("/guard/prioritize", _handler(guard_prioritize, _no_opinion))
    app.router.add_post("/guard/preempt", _handler(guard_preempt, _no_victims))
    return app


def _no_victims(_: str) -> Wire:
    return PreemptResult(victims={})


def _no_opinion(_: str) -> Wire:
    return Priorities(scores={})


def _handler(
    decide: Callable[[bytes], Awaitable[Wire]], failed: _Failed
) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def handle(request: web.Request) -> web.Response:
        try:
            result = await decide(await request.read())
        except web.HTTPRequestEntityTooLarge:
            result = failed(f"body of more than {_MOST_BYTES} bytes")
        except (InvalidObjectError, KeyError, TypeError, ValueError, AttributeError) as e:
            log.warning("malformed call", extra={"path": request.path, "error": str(e)[:500]})
            result = failed(f"malformed body: {e}"[:1000])
        return web.Response(text=result.to_json(), content_type="application/json")

    return handle
