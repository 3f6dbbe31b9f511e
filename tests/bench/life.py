"""The life of a large LeaderWorkerSet without placement: created, updated at 25 %, deleted, by the
built-in controller on a real control plane with KWOK.

What our controller costs stands beside kube-controller-manager's CPU in the same run, whose
StatefulSet controller makes every pod. Requests are our writes to the API server per group, by our
own metric; reads and the leader Lease are left out.
"""

import asyncio
import json
import tempfile
import time
from pathlib import Path
from urllib.request import ProxyHandler, build_opener

from prometheus_client.parser import text_string_to_metric_families

from lws_placement.localcluster.binaries import find_or_build
from lws_placement.localcluster.cluster import LocalCluster
from lws_placement.localcluster.install import Installation

from ..support.simulated_nodes import a_simulated_node
from .figures import Figure
from .load import cpu_seconds, create_all

NODES = 40
SIZE = 4
_WAIT_S = 1800
_MANAGER = "kube-controller-manager"


def measure(args, console):
    binaries = find_or_build(console.print)
    groups = args.groups or 1000
    with tempfile.TemporaryDirectory() as folder:
        cluster = LocalCluster(Path(folder) / "c", binaries)
        installed = None
        try:
            cluster.start()
            installed = Installation(cluster, lease_s=15)
            installed.apply("standalone")
            for role in ("gate", "brain"):
                installed.start_server(role, roles=role, ports=role == "gate")
            for role in ("gate", "brain"):
                installed.wait_ready(role)
            installed.start_scheduler()
            nodes = (
                ("/api/v1/nodes", a_simulated_node(f"n{i}", labels={}, capacity={"cpu": "64"}))
                for i in range(NODES)
            )
            asyncio.run(create_all(cluster.kubeconfig, nodes))
            return _live(Life(cluster, installed, groups), console)
        finally:
            if installed is not None:
                installed.stop()
            cluster.stop()


def _live(life, console):
    figures = []
    for what, act, done in (
        ("created", life.create, life.is_ready),
        ("updated at 25 %", life.update, life.is_updated),
        ("deleted", life.delete, life.is_gone),
    ):
        console.print(f"life: {life.groups} groups of {SIZE} are being {what} …")
        figures += life.figures(what, *life.act(act, done))
    return figures


class Life:
    def __init__(self, cluster, installed, groups):
        self.groups = groups
        self._cluster = cluster
        self._installed = installed
        programs = (*cluster.processes, *installed.servers.values())
        self._programs = {p.name: p for p in programs}

    def act(self, begin, done):
        """(seconds, CPU seconds by program, our requests) until `done`."""
        cpu = {name: cpu_seconds(p) for name, p in self._programs.items()}
        requests, started = self._requests(), time.monotonic()
        begin()
        while not done():
            self._cluster.check()
            if time.monotonic() - started > _WAIT_S:
                raise TimeoutError(f"not done after {_WAIT_S} s")
            time.sleep(0.5)
        took = time.monotonic() - started
        spent = {name: cpu_seconds(p) - cpu[name] for name, p in self._programs.items()}
        return took, spent, self._requests() - requests

    def figures(self, what, seconds, cpu, requests):
        where = f"{self.groups} groups of {SIZE}, {what}"

        def figure(name, value, unit, *against):
            return Figure("life", where, name, value, unit, *against)

        ours, theirs = (cpu[p] * 1000 / self.groups for p in ("serve brain", _MANAGER))
        return [
            figure("until done", seconds, "s"),
            figure(f"{_MANAGER}, CPU per group", theirs, "ms"),
            figure("our controller, CPU per group", ours, "ms", _MANAGER, theirs),
            figure("our writes per group", requests / self.groups, ""),
        ]

    def create(self):
        container = {"name": "c", "image": "x", "resources": {"requests": {"cpu": "10m"}}}
        rolling = {"rollingUpdateConfiguration": {"maxUnavailable": "25%"}}
        lws = {
            "apiVersion": "leaderworkerset.x-k8s.io/v1",
            "kind": "LeaderWorkerSet",
            "metadata": {"name": "llm"},
            "spec": {
                "replicas": self.groups,
                "rolloutStrategy": {"type": "RollingUpdate", **rolling},
                "leaderWorkerTemplate": {
                    "size": SIZE,
                    "workerTemplate": {"spec": {"containers": [container]}},
                },
            },
        }
        self._cluster.kubectl("create", "-f", "-", stdin=json.dumps(lws))

    def update(self):
        patch = {"spec": {"leaderWorkerTemplate": {"restartPolicy": "None"}}}
        self._cluster.kubectl("patch", "lws", "llm", "--type=merge", f"-p={json.dumps(patch)}")

    def delete(self):
        self._cluster.kubectl("delete", "lws", "llm", "--wait=false")

    def is_ready(self):
        return self._lws().get("status", {}).get("readyReplicas") == self.groups

    def is_updated(self):
        lws = self._lws()
        status = lws["status"]
        true = {c["type"] for c in status["conditions"] if c["status"] == "True"}
        return (
            status["observedGeneration"] == lws["metadata"]["generation"]
            and status["updatedReplicas"] == status["readyReplicas"] == self.groups
            and "Available" in true
        )

    def is_gone(self):
        return not self._cluster.kubectl("get", "statefulsets,pods", "-oname", "--chunk-size=10")

    def _lws(self):
        return json.loads(self._cluster.kubectl("get", "lws", "llm", "-ojson"))

    def _requests(self):
        ports = json.loads((self._cluster.folder / "brain.ports").read_text())
        url = f"http://127.0.0.1:{ports['health']}/metrics"
        with build_opener(ProxyHandler({})).open(url, timeout=10) as answer:
            families = list(text_string_to_metric_families(answer.read().decode()))
        return sum(
            s.value
            for s in (s for f in families for s in f.samples)
            if s.name == "lws_placement_api_requests_total"
            and s.labels["method"] != "GET"
            and s.labels["resource"] not in ("leases", "secrets")
        )
