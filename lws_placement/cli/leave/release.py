"""`lws-placement release`, the break-glass: leaves waiting pods to kube-scheduler without a plan.

It needs nothing of ours to run: it removes the gate with the caller's credentials, and marks the
pod so that planner and extender leave it alone. Before it does, it says what is given up, and what
else is needed if our extender is gone.
"""

import asyncio
from pathlib import Path

import click

from lws_placement.cli.leave.gates import gated_pods, gates_of, name_of, release_pod
from lws_placement.cli.leave.our_objects import SECOND_SCHEDULER
from lws_placement.cli.scheduler.use import RESTORE, Use, nobody_answers, scheduler_use
from lws_placement.cluster.api.client import Api, connected
from lws_placement.engine.base import keys
from lws_placement.engine.base.raw import RawList
from lws_placement.errors import ApiError, NotFoundError, SettingsError
from lws_placement.kube_scheduler.config import SERVICE
from lws_placement.settings import load_settings

_LWS = ("lws", "leaderworkerset")
_POD = ("pod", "po")


@click.command()
@click.argument("target", metavar="[lws/NAME|pod/NAME]", required=False)
@click.option("--all", "everything", is_flag=True, help="All pods of the cluster that wait for us.")
@click.option("-n", "--namespace", default="default", show_default=True, help="Its namespace.")
@click.option("--kubeconfig", type=click.Path(path_type=Path), help="Your credentials.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@click.option("--dry-run", is_flag=True, help="Say which pods, and change nothing.")
def release(
    target: str | None,
    everything: bool,
    namespace: str,
    kubeconfig: Path | None,
    yes: bool,
    dry_run: bool,
) -> None:
    """Free gated pods for kube-scheduler, without a plan.

    Of a LeaderWorkerSet: all its pods that wait; members of the same groups that come later are let
    go by the planner. The group is then neither whole nor alone by our doing. To leave the object
    alone for good, annotate it with lws-placement.dev/managed=false instead.
    """
    if everything == (target is not None):
        raise click.UsageError("say lws/NAME, pod/NAME or --all")
    kind, _, name = (target or "").partition("/")
    if target is not None and (kind not in (*_LWS, *_POD) or not name):
        raise SettingsError(f"{target!r}: say lws/NAME or pod/NAME")
    whose = f" of {target} in namespace {namespace}" if target is not None else ""

    async def run() -> None:
        async with connected(kubeconfig) as api:
            pods = await (gated_pods(api) if everything else _gated(api, kind, name, namespace))
            for pod in pods:
                click.echo(f"pod {name_of(pod)} waits for a plan")
            if not pods:
                click.echo(f"no pod{whose} waits for us")
                return
            if what_else := await _what_else(api, pods, load_settings({}).namespace):
                click.echo(what_else, err=True)
            if dry_run:
                return
            if not yes:
                click.confirm("Let kube-scheduler place them one by one?", abort=True)
            await release_pods(api, pods)

    asyncio.run(run())


async def release_pods(api: Api, pods: RawList) -> None:
    """Raises ApiError that names those that were refused, after all the others."""
    refused = []
    for pod in pods:
        try:
            released = await release_pod(api, pod)
            click.echo(f"pod {name_of(pod)} {'released' if released else 'is gone'}")
        except ApiError as e:
            refused.append(f"pod {name_of(pod)}: {e}")
    if refused:
        raise ApiError("; ".join(refused))


async def _gated(api: Api, kind: str, name: str, namespace: str) -> RawList:
    path = f"/api/v1/namespaces/{namespace}/pods"
    if kind in _LWS:
        return await gated_pods(api, path, labelSelector=f"{keys.LWS_NAME}={name}")
    try:
        pod = await api.get(f"{path}/{name}")
    except NotFoundError as e:
        raise SettingsError(f"there is no pod {namespace}/{name}") from e
    return [pod] if keys.GATE in gates_of(pod) else []


async def _what_else(api: Api, pods: RawList, our_namespace: str) -> str:
    """What released pods need besides, in words; empty if nothing, or if we may not read it."""
    if not await nobody_answers(api, our_namespace):
        return ""
    nobody = f"no extender of ours is ready (Service {our_namespace}/{SERVICE})"
    if any(pod["spec"].get("schedulerName") == SECOND_SCHEDULER for pod in pods):
        return (
            f"{nobody}, and {SECOND_SCHEDULER}, which these pods name, calls it: they are not "
            "bound until lws-placement runs again. If it is not to, `lws-placement uninstall` has "
            "them made anew."
        )
    found = await scheduler_use(api, our_namespace)
    if found.use is Use.NO:
        return ""
    if_so = "If it still calls our extender, it" if found.use is Use.UNKNOWN else "It"
    return (
        f"{nobody}, and {found.words}. {if_so} fails to bind these pods until lws-placement runs "
        f"again or kube-scheduler is on its own.\n{RESTORE}"
    )
