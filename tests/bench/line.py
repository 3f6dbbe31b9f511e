"""The whole line, from the create call to the last bind, on a real control plane: API server,
controller-manager, kube-scheduler and our two processes with the manifests that users apply.

No KWOK and no node leases: bound pods stay Pending, nodes stay as they are, so that all there is to
measure is placement. Each contender makes the same groups of 4, a node each, on the same nodes, one
after another; nobody's client is limited more than another's (kube-scheduler has the limits of our
manifest in all of them). Ratios are to the plain StatefulSets of the same run.

plain            StatefulSets of 4 pods; neither webhook nor extender is asked
lws              a LeaderWorkerSet without topology, --placing=false
lws-exclusive    the same with upstream's exclusive affinity, --placing=false
placed           ours, with upstream's affinity terms kept (--affinity=always, the default)
placed-never     ours, without them (--affinity=never)
"""

import asyncio
import tempfile
import time
from pathlib import Path

from lws_placement.cluster.api.client import connect
from lws_placement.cluster.api.watch import Watcher
from lws_placement.cluster.stores.hold_store import SELECTOR
from lws_placement.localcluster.binaries import find_or_build
from lws_placement.localcluster.cluster import LocalCluster
from lws_placement.localcluster.install import Installation

from .figures import Figure
from .load import cpu_seconds, create_all
from .objects import KEY, NAMESPACE, PER_DOMAIN, a_node

CONTENDERS = {
    "plain": ("--placing=false",),
    "lws": ("--placing=false",),
    "lws-exclusive": ("--placing=false",),
    "placed": ("--affinity=always",),
    "placed-never": ("--affinity=never",),
}
_WAIT_S = 900
_PODS = f"/api/v1/namespaces/{NAMESPACE}/pods"
_LWS = f"/apis/leaderworkerset.x-k8s.io/v1/namespaces/{NAMESPACE}/leaderworkersets"
_SETS = f"/apis/apps/v1/namespaces/{NAMESPACE}/statefulsets"
_REVISIONS = f"/apis/apps/v1/namespaces/{NAMESPACE}/controllerrevisions"
_HOLDS = "/apis/coordination.k8s.io/v1/namespaces/lws-placement-system/leases"


def measure(args, console):
    binaries = find_or_build(console.print)
    contenders = [c for c in CONTENDERS if not args.only or c in args.only.split(",")]
    figures, groups = [], args.groups or 200
    for nodes in (int(n) for n in (args.nodes or "5000,15000").split(",")):
        with tempfile.TemporaryDirectory() as folder:
            cluster = LocalCluster(Path(folder) / "c", binaries)
            try:
                cluster.start(stages=False)
                rows = _run(cluster, nodes, groups, contenders, console)
            finally:
                cluster.stop()
        figures += _figures(rows, nodes, groups * PER_DOMAIN)
    return figures


def _run(cluster, nodes, groups, contenders, console):
    installed = Installation(cluster, lease_s=15)
    installed.apply("standalone")
    console.print(f"line: making {nodes} nodes …")
    asyncio.run(
        create_all(cluster.kubeconfig, (("/api/v1/nodes", a_node(i)) for i in range(nodes)))
    )
    rows = {}
    try:
        for name in contenders:
            console.print(f"line: {nodes} nodes, {groups} groups of {PER_DOMAIN}, {name} …")
            installed.start_server("gate", roles="gate", ports=True, flags=CONTENDERS[name])
            installed.start_server("brain", roles="brain", flags=CONTENDERS[name])
            installed.wait_ready("gate")
            installed.wait_ready("brain")
            if cluster.scheduler is None:
                installed.start_scheduler()
            rows[name] = asyncio.run(_one(cluster, installed, name, groups))
            asyncio.run(_clean(cluster))
            installed.stop()
    finally:
        installed.stop()
    return rows


async def _one(cluster, installed, name, groups):
    programs = {p.name: p for p in (*cluster.processes, *installed.servers.values())}
    api = await connect(str(cluster.kubeconfig))
    try:
        bound = asyncio.create_task(_all_bound(api, groups * PER_DOMAIN))
        await asyncio.sleep(1)
        before = {p: cpu_seconds(programs[p]) for p in programs}
        started = time.monotonic()
        await create_all(cluster.kubeconfig, _objects(name, groups))
        async with asyncio.timeout(_WAIT_S):
            seconds = await bound - started
        return seconds, {p: cpu_seconds(programs[p]) - before[p] for p in programs}
    finally:
        await api.close()


async def _all_bound(api, pods):
    """When the last of so many was bound; a watch that the API server ends is resumed."""
    seen, done = set(), asyncio.get_running_loop().create_future()

    def on_event(kind, pod):
        if kind != "DELETED" and pod["spec"].get("nodeName"):
            seen.add(pod["metadata"]["name"])
            if len(seen) == pods and not done.done():
                done.set_result(time.monotonic())

    watching = asyncio.create_task(Watcher(api, _PODS, on_event=on_event).run())
    try:
        return await done
    finally:
        watching.cancel()


async def _clean(cluster):
    """Until nothing of it is left: what garbage collection does would count for the next one."""
    api = await connect(str(cluster.kubeconfig))
    try:
        for path in (_LWS, _SETS):
            await api.delete(path, {"propagationPolicy": "Background"})
        async with asyncio.timeout(_WAIT_S):
            for path in (_PODS, _SETS, _REVISIONS, _HOLDS):
                while (await api.list(path, limit="1", **_selector(path)))["items"]:
                    await asyncio.sleep(0.5)
    finally:
        await api.close()


def _selector(path):
    return {"labelSelector": SELECTOR} if path == _HOLDS else {}


def _objects(name, groups):
    if name == "plain":
        return [(_SETS, _plain(g)) for g in range(groups)]
    notes = {} if name == "lws" else {"leaderworkerset.sigs.k8s.io/exclusive-topology": KEY}
    lws = {
        "apiVersion": "leaderworkerset.x-k8s.io/v1",
        "kind": "LeaderWorkerSet",
        "metadata": {"name": name, "annotations": notes},
        "spec": {
            "replicas": groups,
            "leaderWorkerTemplate": {"size": PER_DOMAIN, "workerTemplate": {"spec": _pod_spec()}},
        },
    }
    return [(_LWS, lws)]


def _plain(group):
    labels = {"group": f"plain-{group}"}
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {"name": f"plain-{group}"},
        "spec": {
            "replicas": PER_DOMAIN,
            "serviceName": "plain",
            "podManagementPolicy": "Parallel",
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": _pod_spec()},
        },
    }


def _pod_spec():
    """A node takes one; it is gone as soon as it is deleted, since there is no kubelet."""
    requests = {"requests": {"cpu": "40"}}
    return {
        "terminationGracePeriodSeconds": 0,
        "containers": [{"name": "c", "image": "x", "resources": requests}],
    }


def _figures(rows, nodes, pods):
    base = rows.get("plain")
    figures = []
    for name, (seconds, cpu) in rows.items():
        where = f"{nodes} nodes, {pods} pods, {name}"

        def figure(what, value, unit, baseline=None, goal=None, where=where, name=name):
            against = "" if baseline is None or name == "plain" else "plain"
            figures.append(
                Figure("line", where, what, value, unit, against, against and baseline, goal)
            )

        figure("until the last bind", seconds, "s", base and base[0])
        for program in ("kube-scheduler", "kube-apiserver", "kube-controller-manager"):
            each = cpu[program] * 1000 / pods
            figure(f"{program}, CPU per pod", each, "ms", base and base[1][program] * 1000 / pods)
        for program in ("serve gate", "serve brain"):
            figure(f"{program}, CPU per pod", cpu[program] * 1000 / pods, "ms")
    return figures
