"""`lws-placement uninstall`: removes lws-placement so that no pod is left waiting for it.

It uses the caller's credentials, which have to be an administrator's. It refuses to start while
kube-scheduler still calls our extender, as far as the API server shows that: kube-scheduler never
binds a pod that it leaves to an extender that is gone.

It works for every kind of installation. `helm uninstall` knows nothing of gates, and does not wait
for one thing before the next; this command completes what it leaves.
"""

import asyncio
from pathlib import Path
from typing import Any

import click

from lws_placement.cli.leave.steps import Uninstaller, find_namespace
from lws_placement.cli.scheduler.use import RESTORE, Use, scheduler_use
from lws_placement.cluster.api.client import Api, connected
from lws_placement.errors import ApiError, SettingsError


@click.command()
@click.option("--dry-run", is_flag=True, help="Say what would be done, and change nothing.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@click.option(
    "--scheduler-restored",
    is_flag=True,
    help="kube-scheduler does not call us any more, though that cannot be seen.",
)
@click.option(
    "--with-leaderworkersets",
    is_flag=True,
    help="Delete all LeaderWorkerSets, their pods and their CRD, too; without it these stay.",
)
@click.option("--namespace", help="Where lws-placement runs; default: as it was installed.")
@click.option("--kubeconfig", type=click.Path(path_type=Path), help="Your credentials.")
def uninstall(kubeconfig: Path | None, **wish: Any) -> None:
    """Take lws-placement off a cluster, in order; running pods run on.

    Give kube-scheduler its own configuration back first (scheduler-config --undo). Then our
    webhooks, our processes, our gates on pods that wait, and the rest of our objects go.
    LeaderWorkerSets, their pods and their CRD stay. Call it again if it was broken off.
    """
    asyncio.run(_uninstall(kubeconfig, **wish))


async def _uninstall(
    kubeconfig: Path | None,
    *,
    namespace: str | None,
    dry_run: bool,
    yes: bool,
    scheduler_restored: bool,
    with_leaderworkersets: bool,
) -> None:
    async with connected(kubeconfig) as api:
        namespace = await find_namespace(api, namespace)
        await _check_scheduler(api, namespace, restored=scheduler_restored, dry_run=dry_run)
        uninstaller = Uninstaller(api, namespace)
        second = await uninstaller.second_scheduler()
        steps = await uninstaller.steps(with_sets=with_leaderworkersets)
        if not steps:
            click.echo(f"there is nothing of lws-placement (namespace {namespace})")
            return
        for number, step in enumerate(steps, 1):
            click.echo(f"{number}. {step.words}")
        click.echo(await uninstaller.what_stays(with_sets=with_leaderworkersets))
        if dry_run:
            return
        if not yes:
            click.confirm("Do it?", abort=True)
        for number, step in enumerate(steps, 1):
            try:
                await step.do()
            except ApiError as e:
                raise ApiError(f"step {number}: {e}\nCall this again when that is mended") from e
            click.echo(f"{number}. done")
        if waiting := await uninstaller.what_waits(second):
            click.echo(waiting)


async def _check_scheduler(api: Api, namespace: str, *, restored: bool, dry_run: bool) -> None:
    """Raises SettingsError if kube-scheduler calls us, or may; a dry run only prints that."""
    found = await scheduler_use(api, namespace)
    # Where our Deployment is gone already, nothing is lost by going on.
    may_call = found.use is Use.YES or (found.use is Use.UNKNOWN and found.installed)
    if restored or not may_call:
        click.echo(found.words)
        return
    words = f"{found.words}\n{RESTORE}\nThen call this again, with --scheduler-restored if it looks"
    words += " the same from here."
    if not dry_run:
        raise SettingsError(f"not yet: {words}")
    click.echo(f"0. {words}")
