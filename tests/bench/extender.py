"""kube-scheduler's calls to us: one after another for the guard, four at a time for the binds of a
group.

CPU is that of this process, on the event loop of `serve`: once the handler's, with its requests to
the API server, and once with all that HTTP/2 and TLS cost besides; the median of several rounds.
kube-scheduler (one connection, as it has) and the API server (a stub over TLS that answers at once)
are processes of their own; wall times include all three. The baseline of the guard reads the names
and writes them out again; that of a bind makes its requests and checks nothing, and over the wire
it is an empty call.
"""

import asyncio
import json
import time
from datetime import UTC, datetime
from statistics import median

import uvloop
from aiohttp import web
from kubernetes.aio.client.configuration import Configuration

from certs.authority import Names, make
from lws_placement.cluster.adapters.extender_world import ExtenderWorld
from lws_placement.cluster.api.client import Api
from lws_placement.cluster.codec.hold_lease import encode_holds
from lws_placement.cluster.stores.hold_store import HoldStore
from lws_placement.engine.model.reservation import lease_name
from lws_placement.engine.objects.nodes import DomainName
from lws_placement.extender.app import build_app, build_calls
from lws_placement.extender.guard import Guard
from lws_placement.extender.members import Members
from lws_placement.garbage import collect_rarely
from lws_placement.http_server.server import Server, ServerTls

from .caller import APART, Caller
from .figures import Figure, percentile
from .objects import CHIPS, KEY, NAMESPACE, PER_DOMAIN, a_member, node_name
from .world import a_large_cluster, held

HELD = 1000
CALLS = 50
GROUPS = 100
ROUNDS = 7
LEASES = f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases"


def measure(args, console):
    collect_rarely()  # as `serve` does
    figures = []
    for nodes in (int(n) for n in (args.nodes or "15000").split(",")):
        console.print(f"extender: {nodes} nodes, {min(HELD, nodes // PER_DOMAIN)} domains held …")
        figures += uvloop.run(_measure(nodes))
    return figures


async def _measure(nodes):
    cache = a_large_cluster(nodes)
    cache.domains.domains(KEY)
    held_count = min(HELD, nodes // PER_DOMAIN - GROUPS)
    for domain in range(held_count):
        held(cache, GROUPS + domain, number=domain)
    leases = _place_groups(cache)
    material = make(Names(("x.svc",), ("127.0.0.1",)), now=datetime.now(UTC))
    here, there = APART.Pipe()
    stub = APART.Process(target=_serve_stub, args=(leases, material, there), daemon=True)
    stub.start()
    stub_port = await asyncio.to_thread(here.recv)
    configuration = Configuration(host=f"https://127.0.0.1:{stub_port}")
    configuration.ca_cert_data = material.ca.decode()
    api = Api(configuration)
    world = _World(api, cache)
    calls = build_calls(Members(world), Guard(world, guarded=(CHIPS,)))
    calls |= {"/echo": _echo, "/empty": _empty, "/requests": _requests_alone(world)}
    server = Server(build_app(calls), host="127.0.0.1", port=0, tls=_tls(material), calls=calls)
    await server.start()
    caller = Caller(server.bound_port, material.ca.decode())
    try:
        return await _guard_figures(calls, caller, nodes) + await _bind_figures(
            calls, caller, nodes
        )
    finally:
        caller.close()
        await server.stop()
        await api.close()
        stub.terminate()
        stub.join()


async def _guard_figures(calls, caller, nodes):
    args = {"Pod": _foreign(), "NodeNames": [node_name(i) for i in range(nodes)]}
    bursts = [[json.dumps(args).encode()]] * CALLS
    where = f"{nodes} names"
    echo, _ = await _handled(calls["/echo"], bursts)
    figures, both, wire = [], 0, 0
    for path in ("/guard/filter", "/guard/prioritize"):
        cpu, _ = await _handled(calls[path], bursts)
        wired, wall = await _called(caller, path, bursts)
        both, wire = both + cpu, wire + wired
        figures += [
            Figure("extender", where, f"{path}, CPU", cpu, "ms", "reading the names", echo),
            Figure("extender", where, f"{path}, wall p99", wall, "ms"),
        ]
    return [
        *figures,
        Figure("extender", where, "a foreign pod, both calls, CPU", both, "ms", goal=8),
        Figure("extender", where, "the same with HTTP/2 and TLS, CPU", wire, "ms"),
    ]


async def _bind_figures(calls, caller, nodes):
    path, where = "/members/bind", f"{nodes} nodes"
    bursts = [[_bind(number, rank) for rank in range(PER_DOMAIN)] for number in range(GROUPS)]
    empty, _ = await _called(caller, "/empty", bursts)
    alone, _ = await _handled(calls["/requests"], bursts)
    cpu, _ = await _handled(calls[path], bursts)
    wired, wall = await _called(caller, path, bursts)
    return [
        Figure(
            part="extender",
            where=where,
            what=f"a member, {path}, CPU",
            value=cpu,
            unit="ms",
            against="its requests to the API server alone",
            baseline=alone,
            goal=0.5,
        ),
        Figure(
            "extender", where, "the same with HTTP/2 and TLS, CPU", wired, "ms", "a call", empty
        ),
        Figure("extender", where, f"a member, {path}, wall p99", wall, "ms"),
    ]


async def _handled(call, bursts):
    """(CPU per call, None), in ms, with no connection between."""

    async def run():
        for bodies in bursts:
            await asyncio.gather(*(call(body) for body in bodies))

    return await _costs(run, bursts)


async def _called(caller, path, bursts):
    """(CPU of this process per call, p99 of wall time), in ms, as kube-scheduler calls."""
    cpu, walls = await _costs(lambda: caller.call(path, bursts), bursts)
    return cpu, percentile(walls, 0.99) * 1000


async def _costs(run, bursts):
    """The median of the rounds; the first is not counted."""
    await run()
    spent, results = [], []
    for _ in range(ROUNDS):
        started = time.process_time()
        results += await run() or ()
        spent.append(time.process_time() - started)
    return median(spent) * 1000 / sum(len(bodies) for bodies in bursts), results


async def _echo(body):
    return json.dumps({"NodeNames": json.loads(body)["NodeNames"]})


def _requests_alone(world):
    """What a bind asks the API server for, and nothing else."""

    async def call(body):
        args = json.loads(body)
        domain = DomainName(KEY, world.node(args["Node"]).labels[KEY])
        await asyncio.gather(world.fetch_holds(domain), world.fetch_pods_on(args["Node"]))
        await world.bind(
            args["PodNamespace"], args["PodName"], uid=args["PodUID"], node=args["Node"]
        )

    return call


async def _empty(_):
    return "{}"


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


class _World(ExtenderWorld):
    def __init__(self, api, cache):
        store = HoldStore(api, namespace=NAMESPACE)
        super().__init__(api, cache, informers=None, store=store)

    def ready(self):
        return True


def _stub_api(leases):
    async def lease(request):
        text = leases[request.match_info["name"]]
        return web.Response(text=text, content_type="application/json")

    async def binding(request):
        await request.read()
        return web.Response(text='{"kind":"Status"}', content_type="application/json", status=201)

    async def pods(_):
        text = '{"kind":"PodList","metadata":{},"items":[]}'
        return web.Response(text=text, content_type="application/json")

    app = web.Application()
    app.router.add_get("/api/v1/pods", pods)
    app.router.add_get(f"{LEASES}/{{name}}", lease)
    app.router.add_post("/api/v1/namespaces/{namespace}/pods/{name}/binding", binding)
    return app


def _tls(material):
    tls = ServerTls(client_certificates=False, http2=True)
    tls.load(cert=material.tls_cert, key=material.tls_key, client_ca=material.ca)
    return tls


def _serve_stub(leases, material, pipe):
    async def serve():
        server = Server(_stub_api(leases), host="127.0.0.1", port=0, tls=_tls(material))
        await server.start()
        pipe.send(server.bound_port)
        await asyncio.Event().wait()

    asyncio.run(serve())
