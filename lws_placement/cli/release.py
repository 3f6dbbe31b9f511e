"""`lws-placement release`: break the glass, and let pods that wait for us go to kube-scheduler.

Works with nothing of ours running: it takes the gate off with the credentials of the person who
calls it, and marks the pod so that planner and extender leave it alone. What is given up is said
before it is done.
"""

import asyncio
from pathlib import Path

import click

from lws_placement import keys
from lws_placement.cluster.client import Api, Raw, connect
from lws_placement.errors import NotFoundError, SettingsError

_LWS = ("lws", "leaderworkerset")
_POD = ("pod", "po")


@click.command()
@click.argument("target", metavar="lws/NAME|pod/NAME")
@click.option("-n", "--namespace", default="default", show_default=True, help="Its namespace.")
@click.option("--kubeconfig", type=click.Path(path_type=Path), help="Your credentials.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@click.option("--dry-run", is_flag=True, help="Say which pods, and change nothing.")
def release(target: str, namespace: str, kubeconfig: Path | None, yes: bool, dry_run: bool) -> None:
    """Free gated pods for kube-scheduler, without a plan.

    Of a LeaderWorkerSet: all its pods that wait; members of the same groups that come later are let
    go by the planner. The group is then neither whole nor alone by our doing. To leave the object
    alone for good, annotate it with lws-placement.dev/managed=false instead.
    """
    kind, _, name = target.partition("/")
    if kind not in (*_LWS, *_POD) or not name:
        raise SettingsError(f"{target!r}: say lws/NAME or pod/NAME")
    asyncio.run(_release(kind, name, namespace, kubeconfig, ask=not yes, dry_run=dry_run))


async def _release(
    kind: str, name: str, namespace: str, kubeconfig: Path | None, *, ask: bool, dry_run: bool
) -> None:
    api = await connect(str(kubeconfig) if kubeconfig else None)
    try:
        pods = await _gated(api, kind, name, namespace)
        for pod in pods:
            click.echo(f"pod {namespace}/{pod['metadata']['name']} waits for a plan")
        if not pods:
            click.echo(f"no pod of {kind}/{name} in namespace {namespace} waits for us")
        if dry_run or not pods:
            return
        if ask:
            click.confirm("Let kube-scheduler place them one by one?", abort=True)
        for pod in pods:
            await _let_go(api, pod)
            click.echo(f"pod {namespace}/{pod['metadata']['name']} released")
    finally:
        await api.close()


async def _gated(api: Api, kind: str, name: str, namespace: str) -> list[Raw]:
    path = f"/api/v1/namespaces/{namespace}/pods"
    if kind in _POD:
        try:
            pods = [await api.get(f"{path}/{name}")]
        except NotFoundError as e:
            raise SettingsError(f"there is no pod {namespace}/{name}") from e
    else:
        pods, _ = await api.list_all(path, labelSelector=f"{keys.LWS_NAME}={name}")
    return [p for p in pods if keys.GATE in _gates(p)]


async def _let_go(api: Api, pod: Raw) -> None:
    meta = pod["metadata"]
    body: Raw = {
        "metadata": {
            "uid": meta["uid"],
            "resourceVersion": meta["resourceVersion"],
            "annotations": {keys.RELEASED: "true", keys.CONDITION: None},
        },
        "spec": {"schedulingGates": [{"name": g} for g in _gates(pod) if g != keys.GATE]},
    }
    await api.patch(f"/api/v1/namespaces/{meta['namespace']}/pods/{meta['name']}", body)


def _gates(pod: Raw) -> list[str]:
    return [gate["name"] for gate in pod["spec"].get("schedulingGates") or ()]
