"""`lws-placement status`: domains, their holders, free room, and the queue."""

import asyncio
import json
import sys
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import click
from rich.console import Console
from rich.live import Live
from rich.text import Text

from certs.expiry import ends_line
from lws_placement.cli.reading import LeaderSeen, read_cluster, read_failures, read_leader
from lws_placement.cluster.adapters.empty_cache import empty_cache
from lws_placement.cluster.api.client import Api, connected
from lws_placement.cluster.api.discovery import look_around
from lws_placement.cluster.cache.cluster_cache import ClusterCache
from lws_placement.cluster.cache.informers import Informers
from lws_placement.inspect.found import found_json, found_lines
from lws_placement.inspect.overview import Overview, overview
from lws_placement.inspect.status_text import overview_json, overview_text
from lws_placement.settings import Settings, load_settings

_EVERY_S = 1.0


@click.command()
@click.option("-w", "--watch", is_flag=True, help="Go on showing it as it changes.")
@click.option("--most", type=click.IntRange(1), default=40, help="Domains and groups to show.")
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text")
@click.option("--kubeconfig", type=click.Path(path_type=Path), help="Your credentials.")
@click.option("--system-namespace", help="Where lws-placement runs; default: lws-placement-system.")
def status(
    *,
    watch: bool,
    most: int,
    output: str,
    kubeconfig: Path | None,
    system_namespace: str | None,
) -> None:
    """Show the domains of the topologies in use, who holds them, what is free, and who waits;
    before that, versions of what was found on the cluster.

    A domain is whole (accelerators and nodes all free), held, or broken (something is taken or
    unusable). Only reads.
    """
    settings = load_settings({"kubeconfig": kubeconfig, "namespace": system_namespace})
    cache = empty_cache(settings)
    with suppress(KeyboardInterrupt):
        asyncio.run(_show(settings, cache, watch=watch, most=most, output=output))


async def _show(
    settings: Settings, cache: ClusterCache, *, watch: bool, most: int, output: str
) -> None:
    async with connected(settings.kubeconfig) as api:
        if watch:
            await _follow(api, settings, cache, most=most)
            return
        around = await look_around(api)
        await read_cluster(api, settings, cache)
        found = await _overview(api, settings, cache, most=most)
        leader = await read_leader(api, settings.namespace)
        ends = await ends_line(api, namespace=settings.namespace, now=datetime.now(UTC))
    if output == "json":
        all_of_it = {"found": found_json(around), **overview_json(found), "problem": leader.problem}
        all_of_it |= {"certificates": ends, "scaleUp": leader.scale_up}
        click.echo(json.dumps(all_of_it, indent=1))
    else:
        click.echo(_text([*found_lines(around), ends], found, most=most, leader=leader))


async def _follow(api: Api, settings: Settings, cache: ClusterCache, *, most: int) -> None:
    """Until interrupted. Redraws in place on a terminal, else prints each text that differs."""
    around = await look_around(api)
    informers = Informers(api, cache, namespace=settings.namespace)
    console = Console()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(informers.run())
        await informers.wait_synced()
        with Live(console=console, auto_refresh=False, screen=False) as live:
            shown = ""
            while True:
                found = await _overview(api, settings, cache, most=most)
                leader = await read_leader(api, settings.namespace)
                text = _text(found_lines(around), found, most=most, leader=leader)
                if text != shown and sys.stdout.isatty():
                    live.update(Text(text), refresh=True)
                elif text != shown:
                    click.echo(f"{text}\n")
                shown = text
                await asyncio.sleep(_EVERY_S)


async def _overview(api: Api, settings: Settings, cache: ClusterCache, *, most: int) -> Overview:
    failures = await read_failures(api, settings)
    return overview(cache, guarded=settings.guarded_resources, most=most, failures=failures)


def _text(head: list[str], found: Overview, *, most: int, leader: LeaderSeen) -> str:
    scale_up = f"scale-up: {leader.scale_up}" if leader.scale_up else ""
    above, below = filter(None, [*head, scale_up]), filter(None, [leader.problem])
    return "\n".join([*above, "", *overview_text(found, most=most), *below])
