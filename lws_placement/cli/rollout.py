"""`lws-placement rollout status|history|undo`: what `kubectl rollout` does for Deployments.

It uses the caller's credentials. `undo` changes the LeaderWorkerSet's template and nothing else;
its controller rolls it out.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from functools import wraps
from pathlib import Path
from typing import Any

import click
import yaml
from kubernetes.aio.config import ConfigException, list_kube_config_contexts

from lws_placement.cli.rollout_client import Rollout, is_live, numbered, previous
from lws_placement.cluster.api.client import connected
from lws_placement.engine.base import keys
from lws_placement.engine.base.raw import Raw
from lws_placement.engine.lws.revision import spec_at
from lws_placement.engine.lws.rollout_report import Report, report_of


@click.group()
def rollout() -> None:
    """Follow, list and take back updates of a LeaderWorkerSet.

    \b
    lws-placement rollout status llm              wait until the update is done
    lws-placement rollout history llm             the templates that can be gone back to
    lws-placement rollout undo llm                back to the one before

    An update starts when spec.leaderWorkerTemplate or spec.networkConfig changes.
    """


def _about_a_set(verb: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """Adds the argument and options that every verb has, and calls `verb` with the set that they
    name.
    """

    @click.argument("name", metavar="[lws/]NAME")
    @click.option("-n", "--namespace", help="Default: that of the current context.")
    @click.option("--kubeconfig", type=click.Path(path_type=Path), help="Your credentials.")
    @wraps(verb)
    def command(name: str, namespace: str | None, kubeconfig: Path | None, **options: Any) -> None:
        plain = _plain(name)

        async def run() -> None:
            async with connected(kubeconfig) as api:
                target = Rollout(api, namespace or _context_namespace(kubeconfig), plain)
                await verb(target, **options)

        asyncio.run(run())

    return command


@rollout.command()
@_about_a_set
@click.option("--watch/--no-watch", "-w", default=True, show_default=True, help="Until it is done.")
@click.option(
    "--timeout",
    "timeout_s",
    type=click.FloatRange(min=0),
    default=0.0,
    metavar="SECONDS",
    help="Give up after this time; 0: never.",
)
async def status(target: Rollout, *, watch: bool, timeout_s: float) -> None:
    """Say how far an update is, and wait for its end.

    Exit code 0 when it is done (with --no-watch: always), 1 when it is not done after --timeout.
    """
    if not watch:
        click.echo(report_of(await target.fetch()).text)
        return
    try:
        async with asyncio.timeout(timeout_s or None):
            await target.follow(_say_changes())
    except TimeoutError as e:
        click.echo(f"not done after {timeout_s:g} s", err=True)
        raise click.exceptions.Exit(1) from e


@rollout.command()
@_about_a_set
@click.option("--revision", type=int, help="Show the template of this one, as YAML.")
async def history(target: Rollout, *, revision: int | None) -> None:
    """List the revisions of a set, the newest last; * is the present one."""
    lws = await target.fetch()
    stored = await target.revisions(lws)
    if revision is None:
        _print_table(lws, stored)
        return
    spec = spec_at(lws, numbered(stored, revision)["data"])["spec"]
    shown = {k: spec[k] for k in ("leaderWorkerTemplate", "networkConfig") if k in spec}
    click.echo(yaml.safe_dump(shown, sort_keys=False), nl=False)


@rollout.command()
@_about_a_set
@click.option("--to-revision", type=int, help="Default: the newest that is not the present one.")
@click.option("--dry-run", is_flag=True, help="Ask the API server, but change nothing.")
async def undo(target: Rollout, *, to_revision: int | None, dry_run: bool) -> None:
    """Go back to an earlier template, in the middle of an update or after it."""
    lws = await target.fetch()
    stored = await target.revisions(lws)
    chosen = previous(lws, stored) if to_revision is None else numbered(stored, to_revision)
    number = chosen["revision"]
    if is_live(lws, chosen):
        click.echo(f'"{target.name}" is at revision {number} already')
        return
    await target.set_template(lws, chosen["data"], dry_run=dry_run)
    note = " (dry run: nothing was changed)" if dry_run else ""
    click.echo(f'"{target.name}" goes back to revision {number}{note}')


def _plain(name: str) -> str:
    kind, slash, rest = name.partition("/")
    if not slash:
        return name
    if kind.split(".")[0] not in ("lws", "leaderworkerset", "leaderworkersets") or not rest:
        raise click.UsageError(f"{name}: this is about LeaderWorkerSets; say lws/NAME or NAME")
    return rest


def _context_namespace(kubeconfig: Path | None) -> str:
    try:
        _, active = list_kube_config_contexts(str(kubeconfig) if kubeconfig else None)
    except (ConfigException, OSError):
        return "default"
    return str(active["context"].get("namespace") or "default")


def _say_changes() -> Callable[[Report], None]:
    last = ""

    def say(report: Report) -> None:
        nonlocal last
        if last != report.text:
            last = report.text
            click.echo(last)

    return say


def _print_table(lws: Raw, stored: list[Raw]) -> None:
    click.echo(f"{'':2}{'REVISION':<10}{'KEY':<12}{'SIZE':<6}IMAGES")
    for raw in stored:
        mark = "*" if is_live(lws, raw) else ""
        template = raw["data"]["spec"]["leaderWorkerTemplate"]
        key = raw["metadata"]["labels"].get(keys.LWS_REVISION, "")
        size = template.get("size", 1)
        images = ", ".join(dict.fromkeys(_images(template)))
        click.echo(f"{mark:<2}{raw['revision']:<10}{key:<12}{size:<6}{images}")


def _images(template: Raw) -> Iterator[str]:
    for part in ("leaderTemplate", "workerTemplate"):
        for container in ((template.get(part) or {}).get("spec") or {}).get("containers") or ():
            yield container.get("image", "")
