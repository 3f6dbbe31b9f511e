"""A proxy in front of the API server, plain HTTP on loopback: what its subclass answers itself goes
nowhere else.
"""

import asyncio
import ssl
import threading

import aiohttp
from aiohttp import web

_TURNS = 20
"""Of the event loop, until every connection that was aborted is closed as well."""
_KEPT = ("Accept", "Authorization", "Content-Type")
_PLAIN = {"Accept-Encoding": "identity"}  # long lists are compressed otherwise


class ApiProxy:
    """Listens at `url` until `close()`, in a thread of its own."""

    def __init__(self, cluster):
        self._server = cluster.server
        self._ca = str(cluster.folder / "pki" / "ca.crt")
        self.url = ""
        self._begun = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._run(),))
        self._thread.start()
        assert self._begun.wait(10)

    def close(self):
        self._loop.call_soon_threadsafe(self._ended.set)
        self._thread.join()
        self._loop.close()

    async def handle(self, request):
        """Answers one request; `forward` asks the real one."""
        raise NotImplementedError

    def call(self, request, body, timeout_s):
        """The same request to the API server, as a context manager; no timeout if it is None."""
        headers = _PLAIN | {n: request.headers[n] for n in _KEPT if n in request.headers}
        timeout = aiohttp.ClientTimeout(total=timeout_s)
        url = f"{self._server}{request.path_qs}"
        return self._session.request(
            request.method, url, headers=headers, data=body, timeout=timeout
        )

    async def forward(self, request):
        async with self.call(request, await request.read(), 60) as answer:
            data, kind = await answer.read(), answer.content_type
            return web.Response(status=answer.status, body=data, content_type=kind)

    async def _run(self):
        self._ended = asyncio.Event()
        app = web.Application(client_max_size=2**26)
        app.router.add_route("*", "/{path:.*}", self.handle)
        runner = web.AppRunner(
            app, access_log=None, shutdown_timeout=0.5, handler_cancellation=True
        )
        await runner.setup()
        context = ssl.create_default_context(cafile=self._ca)
        connector = aiohttp.TCPConnector(ssl=context, limit=0)
        async with aiohttp.ClientSession(connector=connector, auto_decompress=False) as session:
            self._session = session
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
            self._begun.set()
            await self._ended.wait()
            await connector.close(abort_ssl=True)  # else each waits for the other side's goodbye
            await runner.cleanup()
            await _cancelled(asyncio.all_tasks() - {asyncio.current_task()})
        for _ in range(_TURNS):
            await asyncio.sleep(0)


async def _cancelled(tasks):
    """Calls whose client went away in the middle are nobody's any more."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def status_body(status, reason):
    return {"kind": "Status", "apiVersion": "v1", "code": status, "reason": reason, "message": "no"}


def refusal(status, reason):
    headers = {"Retry-After": "1"} if status == 429 else {}
    return web.json_response(status_body(status, reason), status=status, headers=headers)
