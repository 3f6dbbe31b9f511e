"""What the demo's stories share: the cluster, the map, and the result of each act.

While it waits, a stage polls the API server and records each instant at which a promise does not
hold.
"""

import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console
from rich.live import Live
from rich.table import Table

from lws_placement.cli.demo.domain_map import Seen, draw, look
from lws_placement.engine.base.keys import LWS_NAME
from lws_placement.engine.base.raw import Raw
from lws_placement.inspect.documents import load_files
from lws_placement.localcluster.cluster import LocalCluster
from lws_placement.localcluster.install import MANIFESTS, Installation

SLICE = "topology.example.com/slice"
NODE_POOL = "cloud.google.com/gke-nodepool"
RACK = "topology.example.com/rack"
BLOCK = "topology.example.com/block"
_TITLES = {
    SLICE: "slices",
    NODE_POOL: "TPU v5e-16: node pools",
    RACK: "GPU: racks",
    BLOCK: "disaggregated: blocks",
}
_DEFAULT = "/api/v1/namespaces/default"
_PODS = f"{_DEFAULT}/pods"
_NODES = "/api/v1/nodes"
_ACT_S = 120.0
_LOOK_S = 0.25


class Stage:
    """`results`: the outcome of each act; `broken`: promises that did not hold at some instant."""

    def __init__(self, cluster: LocalCluster, installation: Installation, console: Console) -> None:
        self.cluster = cluster
        self.installed = installation
        self.console = console
        self.results: list[tuple[str, bool, str]] = []
        self.broken: list[str] = []
        self.watched = False
        self.meanwhile: Callable[[], None] = lambda: None
        """Called again and again while it waits."""
        self._looks = 0

    def start_ours(self, *flags: str) -> None:
        """Starts lws-placement and kube-scheduler. The promises are checked from now on."""
        self.installed.start_server("one", ports=True, flags=["--hold-seconds=5", *flags])
        self.installed.wait_ready("one")
        self.installed.start_scheduler()
        self.watched = True

    def summary(self) -> bool:
        """Prints the results. True only if every promise held."""
        table = Table(title="What happened", title_justify="left", show_lines=False)
        table.add_column("")
        table.add_column("act")
        table.add_column("outcome", overflow="fold")
        held = not self.broken
        exclusive = f"looked {self._looks} times: " + (
            "; ".join(sorted(set(self.broken))) or "never two groups on a domain, never one split"
        )
        for name, good, text in [
            *self.results,
            ("whole and exclusive, all the time", held, exclusive),
        ]:
            table.add_row("[green]ok[/]" if good else "[red]FAILED[/]", name, text)
        self.console.print(table)
        return held and bool(self.results) and all(good for _, good, _ in self.results)

    def say(self, text: str) -> None:
        self.console.rule(f"[bold]{text}", align="left")

    def apply(self, example: str) -> None:
        path: Path = MANIFESTS / "examples" / example
        self.console.print(f"  kubectl apply --server-side -f manifests/examples/{example}")
        self.cluster.kubectl("apply", "--server-side", "-f", str(path))

    def pools(self, key: str) -> dict[str, list[Raw]]:
        """The nodes of manifests/examples/nodes.yaml that have this label, by its value."""
        found: dict[str, list[Raw]] = {}
        for node in load_files([MANIFESTS / "examples" / "nodes.yaml"]):
            if key in node["metadata"]["labels"]:
                node["status"] = {"capacity": node["status"]["allocatable"]}  # KWOK reports Ready
                found.setdefault(node["metadata"]["labels"][key], []).append(node)
        return found

    def make_pools(self, keys: Sequence[str], pods: Sequence[Raw]) -> None:
        """The pools of these keys, and pods."""
        nodes = [node for key in keys for pool in self.pools(key).values() for node in pool]
        text = "\n---\n".join(json.dumps(o) for o in [*nodes, *pods])
        self.cluster.kubectl("create", "-f", "-", stdin=text)
        names = [n["metadata"]["name"] for n in nodes]
        self.cluster.kubectl(
            "wait", "--for=condition=Ready", "--timeout=30s", *[f"node/{n}" for n in names]
        )

    def until(
        self, what: str, done: Callable[[Sequence[Seen]], bool], *, keys: Sequence[str]
    ) -> bool:
        """Draws the map until `done`, at most for the time of an act. False if `done` never was
        true.
        """
        until = time.monotonic() + _ACT_S
        with Live(console=self.console, auto_refresh=False, transient=False) as live:
            while True:
                self.cluster.check()
                self.meanwhile()
                for server in self.installed.servers.values():
                    server.check()
                seen = self.look(keys)
                finished = done(seen)
                waiting = self.notes()[-1:] if self.watched and not finished else []
                live.update(draw(seen, headline=f"  {what}", waiting=waiting), refresh=True)
                if finished or time.monotonic() > until:
                    break
                time.sleep(_LOOK_S)
        if not self.console.is_terminal:
            self.console.print()  # Live ends its last frame without a line end there
        return finished

    def look(self, keys: Sequence[str]) -> list[Seen]:
        pods, nodes = self.cluster.api.items(_PODS), self.cluster.api.items(_NODES)
        found = [look(k, _TITLES[k], nodes=nodes, pods=pods) for k in _TITLES]
        if self.watched:
            self._looks += 1
            self.broken += [text for seen in found for text in seen.broken()]
        return [seen for seen in found if seen.key in keys]

    def members(self) -> list[Raw]:
        return self.cluster.api.items(_PODS, labelSelector=LWS_NAME)

    def uids(self) -> dict[str, str]:
        return {p["metadata"]["name"]: p["metadata"]["uid"] for p in self.members()}

    def notes(self) -> list[str]:
        events = self.cluster.api.items(
            f"{_DEFAULT}/events", fieldSelector="reason=WaitingForDomain"
        )
        return [e["message"] for e in events if e["involvedObject"]["kind"] == "LeaderWorkerSet"]
