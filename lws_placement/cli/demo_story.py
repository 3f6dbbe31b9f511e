"""The demo's story: pools, acts, and what must be true at the end of each."""

import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.table import Table

from lws_placement.cli.demo_map import Seen, draw, look
from lws_placement.keys import LWS_NAME
from lws_placement.localcluster.cluster import LocalCluster
from lws_placement.localcluster.install import MANIFESTS, Installation
from lws_placement.localcluster.nodes import a_simulated_node

Raw = dict[str, Any]

SLICE = "topology.example.com/slice"
_NODE_POOL = "cloud.google.com/gke-nodepool"
_RACK = "topology.example.com/rack"
_BLOCK = "topology.example.com/block"
_TITLES = {
    SLICE: "the trap: slices",
    _NODE_POOL: "TPU v5e-16: node pools",
    _RACK: "GPU: racks",
    _BLOCK: "disaggregated: blocks",
}
_PLAIN_SCHEDULER = {
    "apiVersion": "kubescheduler.config.k8s.io/v1",
    "kind": "KubeSchedulerConfiguration",
    "leaderElection": {"leaderElect": False},
}
_ACT_S = 90.0
_LOOK_S = 0.25


class Story:
    """Runs the acts; `results` says what came of each, `broken` which promises were seen broken."""

    def __init__(self, cluster: LocalCluster, installation: Installation, console: Console) -> None:
        self._cluster = cluster
        self._installed = installation
        self._console = console
        self.results: list[tuple[str, bool, str]] = []
        self.broken: list[str] = []
        self.looks = 0
        self._nodes: list[Raw] = []
        self._watched = False

    # -- acts ------------------------------------------------------------------------------------

    def without_us(self) -> None:
        """The trap with LeaderWorkerSet's own affinity alone."""
        self._say("Act 1: the trap, our roles switched off: leaders are bound one by one")
        roles = "webhook,controller,certificates"
        self._installed.start_server("plain", roles=roles, ports=True, flags=["--placing=false"])
        self._installed.wait_ready("plain")
        self._cluster.start_scheduler(_PLAIN_SCHEDULER)
        self._make_pools(_trap_nodes(), [_taken(f"trap-{d:02}-0") for d in range(0, 20, 2)])
        self._apply("trap.yaml")
        self._until("plain affinity", lambda seen: self._all_tried(), keys=(SLICE,))
        groups = self._look((SLICE,))[0].groups
        whole = sum(g.whole for g in groups)
        stuck = sum(0 < g.bound < g.size for g in groups)
        text = f"{whole} of 10 groups whole, {stuck} stuck half-placed, each keeping a slice shut"
        self.results.append(("the trap, plain affinity (for comparison)", whole < 10, text))
        self._console.print(f"  {text}")
        # The StatefulSets by name as well: garbage collection of a new kind takes half a minute.
        self._cluster.kubectl("delete", "lws,sts", "--all", "--wait=false")
        self._until("clearing away", lambda seen: not self._members(), keys=(SLICE,))
        self._installed.stop_server("plain")
        self._cluster.stop_scheduler()

    def with_us(self) -> None:
        self._say("Act 2: the same trap, with lws-placement")
        self._installed.start_server("one", ports=True, flags=["--hold-seconds=5"])
        self._installed.wait_ready("one")
        self._installed.start_scheduler()
        self._watched = True
        started = time.monotonic()
        self._apply("trap.yaml")
        done = self._until("placing whole groups", _all_whole(10), keys=(SLICE,))
        took = time.monotonic() - started
        whole = sum(g.whole for g in self._look((SLICE,))[0].groups)
        self.results.append(
            ("the trap, lws-placement", done, f"{whole} of 10 whole in {took:.1f} s")
        )

    def examples(self) -> None:
        self._say("Act 3: the reference examples of manifests/examples/")
        self._make_pools([*_tpu_nodes(), *_gpu_nodes()], [])
        for name in ("tpu-v5e-16", "gpu-ray", "disaggregated"):
            self._apply(f"{name}.yaml")
        keys = (_NODE_POOL, _RACK, _BLOCK)
        done = self._until(
            "placing the examples",
            lambda seen: (
                [len(s.groups) for s in seen] == [2, 2, 1]
                and all(g.whole for s in seen for g in s.groups)
            ),
            keys=keys,
        )
        for seen in self._look(keys):
            groups = seen.groups
            text = "; ".join(
                f"group {g.index}: {g.size} pods in {g.domains[0]}" for g in groups if g.domains
            )
            self.results.append((seen.title, done and all(g.whole for g in groups), text))

    def waiting(self) -> None:
        self._say("Act 4: an eleventh group has to wait, and says why")
        self._cluster.kubectl("scale", "lws", "trap", "--replicas=11")
        told = self._until("waiting", lambda seen: bool(self._notes()), keys=(SLICE,))
        note = self._notes()[-1] if told else "no event"
        self._console.print(f"  event: {note}")
        self._console.print("  one of the foreign pods goes …")
        self._cluster.kubectl("delete", "pod", "taken-trap-00-0", "--wait=false")
        done = self._until("placing the eleventh", _all_whole(11), keys=(SLICE,))
        self.results.append(("an eleventh group waited, then was placed", told and done, note))

    def restart(self) -> None:
        self._say("Act 5: a worker is killed: its whole group restarts, in its own slice")
        before = {g.index: g.domains for g in self._look((SLICE,))[0].groups}
        uids = self._uids("trap-3")
        self._cluster.kubectl("delete", "pod", "trap-3-2", "--wait=false")

        def restarted(seen: Sequence[Seen]) -> bool:
            now = self._uids("trap-3")
            new = len(now) == 4 and not set(now.values()) & set(uids.values())
            return new and _all_whole(11)(seen)

        done = self._until("restarting group 3", restarted, keys=(SLICE,))
        after = {g.index: g.domains for g in self._look((SLICE,))[0].groups}
        same = before == after
        where = after.get("3", ("nowhere",))[0]
        self.results.append(("a killed worker restarts its group", done and same, f"in {where}"))

    # -- the end ---------------------------------------------------------------------------------

    def summary(self) -> bool:
        """Prints it; True only if every promise held."""
        table = Table(title="What happened", title_justify="left", show_lines=False)
        table.add_column("")
        table.add_column("act")
        table.add_column("outcome", overflow="fold")
        held = not self.broken
        exclusive = f"looked {self.looks} times: " + (
            "; ".join(sorted(set(self.broken))) or "never two groups on a domain, never one split"
        )
        for name, good, text in [
            *self.results,
            ("whole and exclusive, all the time", held, exclusive),
        ]:
            table.add_row("[green]ok[/]" if good else "[red]FAILED[/]", name, text)
        self._console.print(table)
        return held and bool(self.results) and all(good for _, good, _ in self.results)

    # -- inside ----------------------------------------------------------------------------------

    def _say(self, text: str) -> None:
        self._console.rule(f"[bold]{text}", align="left")

    def _apply(self, example: str) -> None:
        path: Path = MANIFESTS / "examples" / example
        self._console.print(f"  kubectl apply --server-side -f manifests/examples/{example}")
        self._cluster.kubectl("apply", "--server-side", "-f", str(path))

    def _make_pools(self, nodes: Sequence[Raw], pods: Sequence[Raw]) -> None:
        text = "\n---\n".join(json.dumps(o) for o in [*nodes, *pods])
        self._cluster.kubectl("create", "-f", "-", stdin=text)
        self._nodes += nodes
        names = [n["metadata"]["name"] for n in nodes]
        self._cluster.kubectl(
            "wait", "--for=condition=Ready", "--timeout=30s", *[f"node/{n}" for n in names]
        )

    def _until(
        self, what: str, done: Callable[[Sequence[Seen]], bool], *, keys: Sequence[str]
    ) -> bool:
        """Draws the map until `done`; False if it never was."""
        until = time.monotonic() + _ACT_S
        with Live(console=self._console, auto_refresh=False, transient=False) as live:
            while True:
                self._cluster.check()
                for server in self._installed.servers.values():
                    server.check()
                seen = self._look(keys)
                finished = done(seen)
                waiting = self._notes()[-1:] if self._watched and not finished else []
                live.update(draw(seen, headline=f"  {what}", waiting=waiting), refresh=True)
                if finished or time.monotonic() > until:
                    break
                time.sleep(_LOOK_S)
        if not self._console.is_terminal:
            self._console.print()  # Live ends its last frame without a line end there
        return finished

    def _look(self, keys: Sequence[str]) -> list[Seen]:
        pods = self._get("pods")
        found = [look(k, _TITLES[k], nodes=self._nodes, pods=pods) for k in _TITLES]
        if self._watched:
            self.looks += 1
            self.broken += [text for seen in found for text in seen.broken()]
        return [seen for seen in found if seen.key in keys]

    def _get(self, kind: str, *args: str) -> list[Raw]:
        items: list[Raw] = json.loads(self._cluster.kubectl("get", kind, *args, "-ojson"))["items"]
        return items

    def _members(self) -> list[Raw]:
        return self._get("pods", "-l", LWS_NAME)

    def _uids(self, prefix: str) -> dict[str, str]:
        return {
            p["metadata"]["name"]: p["metadata"]["uid"]
            for p in self._members()
            if p["metadata"]["name"] == prefix or p["metadata"]["name"].startswith(f"{prefix}-")
        }

    def _notes(self) -> list[str]:
        events = self._get("events", "--field-selector=reason=WaitingForDomain")
        return [e["message"] for e in events if e["involvedObject"]["kind"] == "LeaderWorkerSet"]

    def _all_tried(self) -> bool:
        """Every leader, and every worker that a bound leader has, is bound or refused."""
        pods = self._members()
        leaders = [p for p in pods if p["metadata"]["name"].count("-") == 1]
        expected = 10 + 3 * sum(bool(p["spec"].get("nodeName")) for p in leaders)
        return len(pods) == expected and all(_tried(p) for p in pods)


def _tried(pod: Raw) -> bool:
    refused = any(
        c["type"] == "PodScheduled" and c["status"] == "False"
        for c in pod["status"].get("conditions") or ()
    )
    return bool(pod["spec"].get("nodeName")) or refused


def _all_whole(number: int) -> Callable[[Sequence[Seen]], bool]:
    def done(seen: Sequence[Seen]) -> bool:
        groups = seen[0].groups
        return len(groups) == number and all(g.whole for g in groups)

    return done


def _trap_nodes() -> list[Raw]:
    return [
        a_simulated_node(
            f"trap-{d:02}-{n}",
            labels={SLICE: f"s{d:02}", "topology.example.com/kind": "trap"},
            capacity={"google.com/tpu": "4"},
        )
        for d in range(20)
        for n in range(4)
    ]


def _taken(node: str) -> Raw:
    limits = {"google.com/tpu": "4"}
    container = {
        "name": "c",
        "image": "registry.example.com/other:1",
        "resources": {"limits": limits},
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": f"taken-{node}", "namespace": "default"},
        "spec": {"nodeName": node, "containers": [container]},
    }


def _tpu_nodes() -> list[Raw]:
    return [
        a_simulated_node(
            f"tpu-{d}-{n}",
            labels={
                _NODE_POOL: f"pool-{d}",
                "cloud.google.com/gke-tpu-accelerator": "tpu-v5-lite-podslice",
                "cloud.google.com/gke-tpu-topology": "4x4",
            },
            capacity={"google.com/tpu": "4"},
            taints=[{"key": "google.com/tpu", "value": "present", "effect": "NoSchedule"}],
        )
        for d in range(3)
        for n in range(4)
    ]


def _gpu_nodes() -> list[Raw]:
    room = {"nvidia.com/gpu": "8", "memory": "1Ti"}
    racks = [
        a_simulated_node(f"rack-{d}-{n}", labels={_RACK: f"rack-{d}"}, capacity=room)
        for d in range(3)
        for n in range(2)
    ]
    blocks = [
        a_simulated_node(f"block-{d}-{n}", labels={_BLOCK: f"block-{d}"}, capacity=room)
        for d in range(2)
        for n in range(6)
    ]
    return [*racks, *blocks]
