"""`lws-placement simulate`: where groups would be placed, and which would wait and why."""

import asyncio
import json
import time
from collections.abc import Mapping
from pathlib import Path

import click

from lws_placement.cli.reading import progress, read_cluster, read_failures
from lws_placement.cluster.adapters.empty_cache import empty_cache
from lws_placement.cluster.api.client import connected
from lws_placement.cluster.cache.cluster_cache import ClusterCache
from lws_placement.engine.base.raw import Raw
from lws_placement.engine.model.failure_history import FailureHistory
from lws_placement.engine.model.groups import GroupId
from lws_placement.errors import InvalidObjectError
from lws_placement.inspect.documents import load_files
from lws_placement.inspect.inquiry import NO_FAILURES
from lws_placement.inspect.report import outcome_json
from lws_placement.inspect.run import LWS, Simulation
from lws_placement.inspect.text import outcome_text
from lws_placement.settings import Settings, Tolerations, load_settings

_FILE = click.Path(exists=True, dir_okay=False, allow_dash=False, path_type=Path)


@click.command()
@click.option(
    "-f",
    "--filename",
    "files",
    type=_FILE,
    multiple=True,
    required=True,
    help="LeaderWorkerSets, in the order in which they come; may hold nodes and pods as well.",
)
@click.option("--nodes", "node_files", type=_FILE, multiple=True, help="Nodes, and pods on them.")
@click.option(
    "--node-group",
    "node_group_files",
    type=_FILE,
    multiple=True,
    help="NodeGroups: domains that a cluster autoscaler could make for groups that would wait.",
)
@click.option(
    "--from-cluster", is_flag=True, help="Beside what is in the cluster now. Nothing is written."
)
@click.option("--kubeconfig", type=click.Path(path_type=Path), help="Your credentials.")
@click.option("--system-namespace", help="Where lws-placement runs; default: lws-placement-system.")
@click.option(
    "--extended-resource-toleration",
    type=click.Choice([known.value for known in Tolerations]),
    help="Whether the API server adds tolerations for extended resources to pods (its plugin of "
    "that name); auto: as the pods that are there show.",
)
@click.option("--most", type=click.IntRange(1), default=8, help="Domains to tell of, per group.")
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text")
def simulate(
    files: tuple[Path, ...],
    node_files: tuple[Path, ...],
    node_group_files: tuple[Path, ...],
    *,
    from_cluster: bool,
    kubeconfig: Path | None,
    system_namespace: str | None,
    extended_resource_toleration: str | None,
    most: int,
    output: str,
) -> None:
    """Tell what would be placed where, what would wait, and why.

    The sets go through the same defaults, admission and planning as in a cluster. Nodes come from
    files (core/v1 Node, or `kind: NodePool` with name, key, count and allocatable; a name s01..s20
    is twenty pools), from the cluster, or from both. `kind: NodeGroup` is a NodePool with `most`:
    how many such domains could be made for groups that would wait. Nothing is ever written to a
    cluster.
    """
    settings = load_settings(
        {
            "kubeconfig": kubeconfig,
            "namespace": system_namespace,
            "extended_resource_toleration": extended_resource_toleration,
        }
    )
    objects = load_files([*node_files, *node_group_files, *files])
    if not any(raw["kind"] == LWS for raw in objects):
        raise InvalidObjectError(f"no LeaderWorkerSet in {', '.join(str(f) for f in files)}")
    cache = empty_cache(settings)
    failures = NO_FAILURES
    if from_cluster:
        found, failures = asyncio.run(_read(settings, cache))
        objects = [*found, *objects]
    with progress("planning groups") as show:
        simulation = Simulation(
            cache,
            namespace=settings.namespace,
            now_s=time.time(),
            progress=show,
            most=most,
            failures=failures,
        )
        outcome = simulation.run(objects)
    if output == "json":
        click.echo(json.dumps(outcome_json(outcome), indent=1))
    else:
        click.echo("\n".join(outcome_text(outcome)))


async def _read(
    settings: Settings, cache: ClusterCache
) -> tuple[list[Raw], Mapping[GroupId, FailureHistory]]:
    async with connected(settings.kubeconfig) as api:
        return await read_cluster(api, settings, cache), await read_failures(api, settings)
