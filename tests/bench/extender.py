"""kube-scheduler's calls to us, over HTTP on loopback, as it makes them: one after another for the
guard, four at a time for the binds of a group.

CPU is that of the process that serves; the client, and the API server that `bind` reads from and
writes to (a stub that answers at once), are processes of their own. Wall times include both. The
baseline of a foreign pod reads the names and writes them out again, and decides nothing.
"""

import asyncio
import http.client
import json
import multiprocessing
import time
from concurrent.futures import ProcessPoolExecutor

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
    apart = multiprocessing.get_context("spawn")
    here, there = apart.Pipe()
    stub = apart.Process(target=_serve_stub, args=(leases, there), daemon=True)
    stub.start()
    stub_port = await asyncio.to_thread(here.recv)
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
        with ProcessPoolExecutor(PER_DOMAIN, mp_context=apart) as clients:
            return await _calls(port, nodes, clients)
    finally:
        await runner.cleanup()
        await api.close()
        stub.terminate()
        stub.join()


async def _calls(port, nodes, clients):
    body = json.dumps({"Pod": _foreign(), "NodeNames": [node_name(i) for i in range(nodes)]})
    where = f"{nodes} names"
    found, figures = {}, []
    for path in ("/echo", "/guard/filter", "/guard/prioritize"):
        await _timed(clients, port, path, [body.encode()], times=5)
        found[path] = await _timed(clients, port, path, [body.encode()], times=CALLS)
    echo = found.pop("/echo")[0]
    for path, (cpu, wall) in found.items():
        figures += [
            Figure("extender", where, f"{path}, CPU", cpu, "ms", "reading the names", echo),
            Figure("extender", where, f"{path}, wall p99", wall, "ms"),
        ]
    both = sum(cpu for cpu, _ in found.values())
    figures.append(Figure("extender", where, "a foreign pod, both calls, CPU", both, "ms", goal=8))
    binds = [_bind(number, rank) for number in range(GROUPS) for rank in range(PER_DOMAIN)]
    await _timed(clients, port, "/members/bind", binds, at_once=PER_DOMAIN)
    cpu, wall = await _timed(clients, port, "/members/bind", binds, at_once=PER_DOMAIN)
    figures += [
        Figure("extender", f"{nodes} nodes", "a member, /members/bind, CPU", cpu, "ms", goal=0.5),
        Figure("extender", f"{nodes} nodes", "a member, /members/bind, wall p99", wall, "ms"),
    ]
    return figures


async def _timed(clients, port, path, bodies, *, times=1, at_once=1):
    """(CPU of this process per call, p99 of wall time), in ms."""
    loop = asyncio.get_running_loop()
    started = time.process_time()
    shares = [(port, path, bodies[i::at_once], times) for i in range(at_once)]
    found = await asyncio.gather(*(loop.run_in_executor(clients, _call, *s) for s in shares))
    cpu = (time.process_time() - started) * 1000 / (len(bodies) * times)
    return cpu, percentile([wall for walls in found for wall in walls], 0.99) * 1000


def _call(port, path, bodies, times):
    """One call after another on one connection, in a process of its own; seconds of each."""
    connection, walls = http.client.HTTPConnection("127.0.0.1", port), []
    for body in bodies * times:
        started = time.perf_counter()
        connection.request("POST", path, body, {"Content-Type": "application/json"})
        answer = connection.getresponse().read()
        walls.append(time.perf_counter() - started)
        if b'"Error":"' in answer and b'"Error":""' not in answer:
            raise RuntimeError(f"{path}: {answer[:300]}")
    connection.close()
    return walls


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


def _serve_stub(leases, pipe):
    async def serve():
        runner = web.AppRunner(_stub_api(leases), access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        pipe.send(runner.addresses[0][1])
        await asyncio.Event().wait()

    asyncio.run(serve())
