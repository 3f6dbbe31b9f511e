"""kube-scheduler's calls to us, over HTTP on loopback, as it makes them: one after another for the
guard, four at a time for the binds of a group.

CPU is that of the thread that serves; the client, and the API server that `bind` reads from and
writes to (a stub that answers at once), run in threads of their own. Wall times include both, and
the interpreter that all three share. The baseline of a foreign pod reads the names and writes them
out again, and decides nothing.
"""

import asyncio
import http.client
import json
import threading
import time

from aiohttp import web
from kubernetes.aio.client.configuration import Configuration

from lws_placement.cluster.client import Api
from lws_placement.cluster.hold_codec import encode_holds
from lws_placement.cluster.hold_store import HoldStore
from lws_placement.cluster.world import ClusterWorld
from lws_placement.engine.holds import lease_name
from lws_placement.extender.app import build_app, build_calls
from lws_placement.extender.guard import Guard
from lws_placement.extender.members import Members

from .figures import Figure, percentile
from .objects import CHIPS, KEY, NAMESPACE, PER_DOMAIN, a_member, node_name
from .world import a_large_cluster, held

HELD = 1000
CALLS = 200
GROUPS = 100
LEASES = f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases"


def measure(args, console):
    figures = []
    for nodes in (int(n) for n in (args.nodes or "15000").split(",")):
        console.print(f"extender: {nodes} nodes, {min(HELD, nodes // PER_DOMAIN)} domains held …")
        figures += asyncio.run(_measure(nodes))
    return figures


async def _measure(nodes):
    cache = a_large_cluster(nodes)
    cache.domains.domains(KEY)
    held_count = min(HELD, nodes // PER_DOMAIN - GROUPS)
    for domain in range(held_count):
        held(cache, GROUPS + domain, number=domain)
    leases = _place_groups(cache)
    stub = _Thread(_stub_api(leases))
    stub_port = await asyncio.to_thread(stub.start)
    configuration = Configuration(host=f"http://127.0.0.1:{stub_port}")
    api = Api(configuration)
    world = _World(api, cache)
    app = build_app(build_calls(Members(world), Guard(world, guarded=(CHIPS,))))
    app.router.add_post("/echo", _echo)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    try:
        return await _calls(port, nodes)
    finally:
        await runner.cleanup()
        await api.close()
        stub.stop()


async def _calls(port, nodes):
    body = json.dumps({"Pod": _foreign(), "NodeNames": [node_name(i) for i in range(nodes)]})
    where = f"{nodes} names"
    found, figures = {}, []
    for path in ("/echo", "/guard/filter", "/guard/prioritize"):
        await _timed(port, path, [body.encode()] * 5)
        found[path] = await _timed(port, path, [body.encode()] * CALLS)
    echo = found.pop("/echo")[0]
    for path, (cpu, wall) in found.items():
        figures += [
            Figure("extender", where, f"{path}, CPU", cpu, "ms", "reading the names", echo),
            Figure("extender", where, f"{path}, wall p99", wall, "ms"),
        ]
    both = sum(cpu for cpu, _ in found.values())
    figures.append(Figure("extender", where, "a foreign pod, both calls, CPU", both, "ms", goal=8))
    binds = [_bind(number, rank) for number in range(GROUPS) for rank in range(PER_DOMAIN)]
    cpu, wall = await _timed(port, "/members/bind", binds, at_once=PER_DOMAIN)
    figures += [
        Figure("extender", f"{nodes} nodes", "a member, /members/bind, CPU", cpu, "ms", goal=0.5),
        Figure("extender", f"{nodes} nodes", "a member, /members/bind, wall p99", wall, "ms"),
    ]
    return figures


async def _timed(port, path, bodies, *, at_once=1):
    """(CPU of this thread per call, p99 of wall time), in ms."""
    walls = []

    def call(mine):
        connection = http.client.HTTPConnection("127.0.0.1", port)
        for body in mine:
            started = time.perf_counter()
            connection.request("POST", path, body, {"Content-Type": "application/json"})
            answer = connection.getresponse().read()
            walls.append(time.perf_counter() - started)
            if b'"Error":"' in answer and b'"Error":""' not in answer:
                raise SystemExit(f"{path}: {answer[:300]}")
        connection.close()

    started = time.thread_time()
    shares = [bodies[i::at_once] for i in range(at_once)]
    await asyncio.gather(*(asyncio.to_thread(call, share) for share in shares))
    return (time.thread_time() - started) * 1000 / len(bodies), percentile(walls, 0.99) * 1000


async def _echo(request):
    args = json.loads(await request.read())
    return web.json_response({"NodeNames": args["NodeNames"]})


def _foreign():
    pod = a_member(0, 0, gated=False)
    pod["metadata"] |= {"labels": {"app": "a"}, "annotations": {}, "ownerReferences": []}
    requests = {CHIPS: "1", "cpu": "1"}
    pod["spec"] = {"containers": [{"name": "c", "resources": {"requests": requests}}]}
    return pod


def _bind(number, rank):
    name = f"bench-{number}" if rank == 0 else f"bench-{number}-{rank}"
    args = {
        "PodName": name,
        "PodNamespace": NAMESPACE,
        "PodUID": f"uid-{name}",
        "Node": node_name(number * PER_DOMAIN + rank),
    }
    return json.dumps(args).encode()


def _place_groups(cache):
    """Pinned groups on the first domains; their holds as Leases, by name."""
    leases = {}
    for number in range(GROUPS):
        for rank in range(PER_DOMAIN):
            cache.put_pod(a_member(number, rank, gated=False))
        hold = held(cache, number, number=number, name="bench")
        leases[lease_name(hold.domain)] = json.dumps(encode_holds([hold], namespace=NAMESPACE))
    return leases


class _World(ClusterWorld):
    def __init__(self, api, cache):
        store = HoldStore(api, namespace=NAMESPACE, may_write=lambda: None)
        super().__init__(api, cache, mirror=None, store=store)

    def ready(self):
        return True


def _stub_api(leases):
    async def lease(request):
        text = leases[request.match_info["name"]]
        return web.Response(text=text, content_type="application/json")

    async def binding(request):
        await request.read()
        return web.Response(text='{"kind":"Status"}', content_type="application/json", status=201)

    app = web.Application()
    app.router.add_get(f"{LEASES}/{{name}}", lease)
    app.router.add_post("/api/v1/namespaces/{namespace}/pods/{name}/binding", binding)
    return app


class _Thread:
    """An HTTP server with an event loop of its own."""

    def __init__(self, app):
        self._app = app
        self._port = 0
        self._up = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()

    def start(self):
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=[self._run()])
        self._thread.start()
        self._up.wait()
        return self._port

    async def _run(self):
        runner = web.AppRunner(self._app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self._port = runner.addresses[0][1]
        self._up.set()
        await self._stop.wait()
        await runner.cleanup()

    def stop(self):
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()
        self._loop.close()
