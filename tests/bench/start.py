"""`serve` from nothing on a large cluster: seconds until it is ready, and its greatest memory.

A real kube-apiserver is filled with nodes and four bound pods on each (KWOK and node leases off, so
nothing changes meanwhile). Then each role is started alone. The baseline is a program that does no
more than fetch the same two lists whole and decode their JSON.
"""

import asyncio
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from lws_placement.localcluster.binaries import find_or_build
from lws_placement.localcluster.cluster import LocalCluster
from lws_placement.localcluster.install import Installation

from .figures import Figure
from .load import cpu_seconds, create_all
from .objects import NAMESPACE, a_filler, a_node, node_name

PER_NODE = 4
GOAL_S, GOAL_MB = 30, 1000

_BASELINE = """
import asyncio, json, resource, sys, time
from lws_placement.cluster.api.client import connect
async def main():
    started = time.perf_counter()
    api = await connect(sys.argv[1], timeout_s=300)
    lists = [await api.get(p) for p in ("/api/v1/nodes", "/api/v1/pods")]
    s = time.perf_counter() - started
    await api.close()
    print(json.dumps([s, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024]))
asyncio.run(main())
"""


def measure(args, console):
    binaries = find_or_build(console.print)
    figures = []
    for nodes in (int(n) for n in (args.nodes or "15000").split(",")):
        with tempfile.TemporaryDirectory() as folder:
            cluster = LocalCluster(Path(folder) / "c", binaries)
            try:
                cluster.start(stages=False)
                figures += _measure(cluster, nodes, console)
            finally:
                cluster.stop()
    return figures


def _measure(cluster, nodes, console):
    installed = Installation(cluster, lease_s=15)
    installed.apply("standalone")
    console.print(f"start: making {nodes} nodes and {nodes * PER_NODE} pods …")
    started = time.monotonic()
    asyncio.run(
        create_all(cluster.kubeconfig, (("/api/v1/nodes", a_node(i)) for i in range(nodes)))
    )
    asyncio.run(create_all(cluster.kubeconfig, _fillers(nodes)))
    console.print(f"start: made in {time.monotonic() - started:.0f} s")
    done = subprocess.run(
        [sys.executable, "-c", _BASELINE, str(cluster.kubeconfig)], capture_output=True, check=True
    )
    whole_s, whole_mb = json.loads(done.stdout)
    figures = []
    where = f"{nodes} nodes, {nodes * PER_NODE} pods"
    against = "fetching and decoding both lists whole"
    try:
        # The gate's certificates are needed before the webhooks are trusted: it is started first,
        # and measured second.
        installed.start_server("first", roles="brain")
        installed.wait_for(lambda: _answers(installed, "first"), "first")
        installed.stop_server("first")
        for name in ("gate", "brain"):
            started = time.monotonic()
            process = installed.start_server(name, roles=name, ports=name == "gate")
            installed.wait_for(lambda n=name: _answers(installed, n), name)
            seconds = time.monotonic() - started
            figures += [
                Figure(
                    "start", where, f"{name}, until ready", seconds, "s", against, whole_s, GOAL_S
                ),
                Figure("start", where, f"{name}, CPU", cpu_seconds(process), "s"),
                Figure(
                    "start",
                    where,
                    f"{name}, greatest memory",
                    _peak_mb(process),
                    "MB",
                    against,
                    whole_mb,
                    GOAL_MB,
                ),
            ]
            installed.stop_server(name)
    finally:
        installed.stop()
    return figures


def _answers(installed, name):
    return (installed.cluster.folder / f"{name}.ports").exists() and installed.is_ready(name)


def _peak_mb(process):
    status = Path(f"/proc/{process.pid}/status").read_text()
    return next(int(x.split()[1]) for x in status.splitlines() if x.startswith("VmHWM")) / 1024


def _fillers(nodes):
    for i in range(nodes * PER_NODE):
        yield f"/api/v1/namespaces/{NAMESPACE}/pods", a_filler(i, node_name(i % nodes))
