"""`make bench`: the same pods as plain StatefulSets and as placed groups, in one run.

For each number of nodes one control plane is started (no KWOK: bound pods stay Pending), filled
with nodes in domains of 4, and given first plain StatefulSets of 4 pods, then one LeaderWorkerSet
with as many groups of 4. Measured: seconds from the create call to the last bind, and CPU seconds
of kube-scheduler and of our processes meanwhile. Only ratios within one run mean anything.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from lws_placement.localcluster.binaries import find_or_build
from lws_placement.localcluster.cluster import LocalCluster
from lws_placement.localcluster.install import Installation
from lws_placement.localcluster.nodes import a_simulated_node

KEY = "topology.example.com/slice"
SIZE = 4


def pod_spec():
    requests = {"requests": {"cpu": "40"}}  # a node takes one
    return {"containers": [{"name": "c", "image": "x", "resources": requests}]}


def plain(groups):
    return [
        {
            "apiVersion": "apps/v1",
            "kind": "StatefulSet",
            "metadata": {"name": f"plain-{g}", "labels": {"bench": "plain"}},
            "spec": {
                "replicas": SIZE,
                "serviceName": "plain",
                "podManagementPolicy": "Parallel",
                "selector": {"matchLabels": {"group": f"plain-{g}"}},
                "template": {
                    "metadata": {"labels": {"group": f"plain-{g}", "bench": "plain"}},
                    "spec": pod_spec(),
                },
            },
        }
        for g in range(groups)
    ]


def placed(groups):
    lws = {
        "apiVersion": "leaderworkerset.x-k8s.io/v1",
        "kind": "LeaderWorkerSet",
        "metadata": {
            "name": "placed",
            "labels": {"bench": "placed"},
            "annotations": {"leaderworkerset.sigs.k8s.io/exclusive-topology": KEY},
        },
        "spec": {
            "replicas": groups,
            "leaderWorkerTemplate": {
                "size": SIZE,
                "workerTemplate": {
                    "metadata": {"labels": {"bench": "placed"}},
                    "spec": pod_spec(),
                },
            },
        },
    }
    return [lws]


def run(binaries, nodes, groups, console):
    with tempfile.TemporaryDirectory() as folder:
        cluster = LocalCluster(Path(folder) / "c", binaries)
        try:
            cluster.start(stages=False)
            installed = Installation(cluster, lease_s=15)
            installed.apply("standalone")
            installed.start_server("gate", roles="gate", ports=True)
            installed.start_server("brain", roles="brain")
            installed.wait_ready("gate")
            installed.wait_ready("brain")
            installed.start_scheduler()
            made = [
                a_simulated_node(f"n{i:05}", labels={KEY: f"s{i // SIZE:05}"}, ready=True)
                for i in range(nodes)
            ]
            for at in range(0, nodes, 500):
                create(cluster, made[at : at + 500])
            rows = []
            for name, objects in (("plain", plain(groups)), ("placed", placed(groups))):
                console.print(f"{nodes} nodes, {groups} groups of {SIZE}, {name} …")
                rows.append(measure(cluster, installed, name, objects, groups * SIZE))
                cluster.kubectl(
                    "delete", "lws,sts", "--all", "--cascade=foreground", "--wait=false"
                )
                cluster.kubectl("delete", "pods", "--all", "--force", "--wait=false")
                wait(lambda: bound(cluster, "plain") + bound(cluster, "placed") == 0)
            return rows
        finally:
            if "installed" in locals():
                installed.stop()
            cluster.stop()


def measure(cluster, installed, name, objects, pods):
    ours = list(installed.servers.values())
    before = cluster.scheduler.cpu_seconds(), sum(p.cpu_seconds() for p in ours)
    started = time.monotonic()
    create(cluster, objects)
    wait(lambda: bound(cluster, name) == pods)
    return {
        "what": name,
        "pods": pods,
        "seconds_to_last_bind": round(time.monotonic() - started, 2),
        "scheduler_cpu_s": round(cluster.scheduler.cpu_seconds() - before[0], 2),
        "our_cpu_s": round(sum(p.cpu_seconds() for p in ours) - before[1], 2),
    }


def create(cluster, objects):
    cluster.kubectl("create", "-f", "-", stdin="\n---\n".join(json.dumps(o) for o in objects))


def bound(cluster, name):
    path = "{range .items[*]}{.spec.nodeName}{'\\n'}{end}"
    out = cluster.kubectl("get", "pods", "-l", f"bench={name}", f"-ojsonpath={path}")
    return len(out.split())


def wait(condition, timeout_s=600):
    until = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > until:
            raise SystemExit("the bench did not finish")
        time.sleep(0.2)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", default="1000,5000", help="comma-separated")
    parser.add_argument("--groups", type=int, default=200)
    parser.add_argument("--json", type=Path, default=Path("bench.json"))
    args = parser.parse_args()
    console = Console()
    binaries = find_or_build(console.print)
    table = Table("nodes", "pods", "what", "s to last bind", "scheduler CPU s", "our CPU s")
    results = []
    for nodes in (int(n) for n in args.nodes.split(",")):
        rows = run(binaries, nodes, args.groups, console)
        base = rows[0]
        for row in rows:
            ratio = {
                k: round(row[k] / base[k], 2) if base[k] else None
                for k in ("seconds_to_last_bind", "scheduler_cpu_s")
            }
            results.append({"nodes": nodes, **row, "ratio_to_plain": ratio})
            table.add_row(
                str(nodes),
                str(row["pods"]),
                row["what"],
                f"{row['seconds_to_last_bind']} (x{ratio['seconds_to_last_bind']})",
                f"{row['scheduler_cpu_s']} (x{ratio['scheduler_cpu_s']})",
                str(row["our_cpu_s"]),
            )
    console.print(table)
    args.json.write_text(json.dumps(results, indent=1))
    console.print(f"written to {args.json}")


if __name__ == "__main__":
    main()
