"""`lws-placement explain`: the state of groups, and why they wait."""

import asyncio
import json
from pathlib import Path

import click

from lws_placement.cli.reading import read_cluster, read_failures, read_leader
from lws_placement.cluster.adapters.empty_cache import empty_cache
from lws_placement.cluster.api.client import connected
from lws_placement.cluster.cache.cluster_cache import ClusterCache
from lws_placement.engine.admission.membership import why_no_member
from lws_placement.engine.model.failure_history import FailureHistory
from lws_placement.engine.model.groups import GroupId
from lws_placement.errors import NotFoundError, SettingsError
from lws_placement.inspect.inquiry import Answer, Inquiry, Standing
from lws_placement.inspect.report import answer_json
from lws_placement.inspect.text import answer_text, request_in_words
from lws_placement.settings import Settings, load_settings

_KINDS = {"lws": "lws", "leaderworkerset": "lws", "pod": "pod", "po": "pod"}
_PLANNER_MATTERS = (Standing.WAITS, Standing.NEXT, Standing.COMING, Standing.PREEMPTS)


@click.command()
@click.argument("target", metavar="[lws/|pod/]NAME")
@click.option("-n", "--namespace", default="default", show_default=True, help="Its namespace.")
@click.option("--most", type=click.IntRange(1), default=8, help="Domains to tell of, per group.")
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text")
@click.option("--kubeconfig", type=click.Path(path_type=Path), help="Your credentials.")
@click.option("--system-namespace", help="Where lws-placement runs; default: lws-placement-system.")
def explain(
    target: str,
    namespace: str,
    *,
    most: int,
    output: str,
    kubeconfig: Path | None,
    system_namespace: str | None,
) -> None:
    """Tell how the groups of a LeaderWorkerSet, or the group of a pod, stand.

    Of one that waits: for each domain why not, the nearest miss first, what would have to end for
    it to fit, and its place in the queue. The words are those of its events. Only reads.
    """
    kind, name = _parsed(target)
    settings = load_settings({"kubeconfig": kubeconfig, "namespace": system_namespace})
    cache = empty_cache(settings)
    failures, problem = asyncio.run(_read(settings, cache))
    inquiry = Inquiry(cache, most=most, failures=failures)
    answers = _answers(cache, inquiry, (kind, namespace, name))
    if output == "json":
        click.echo(json.dumps([answer_json(answer, inquiry) for answer in answers], indent=1))
        return
    for answer in answers:
        click.echo("\n".join(answer_text(answer, inquiry)))
    if problem and any(answer.standing in _PLANNER_MATTERS for answer in answers):
        click.echo(problem)


def _parsed(target: str) -> tuple[str, str]:
    kind, slash, name = target.rpartition("/")
    if (slash and kind not in _KINDS) or not name:
        raise SettingsError(f"{target!r}: say lws/NAME, pod/NAME or NAME")
    return _KINDS.get(kind, ""), name


async def _read(
    settings: Settings, cache: ClusterCache
) -> tuple[dict[GroupId, FailureHistory], str]:
    async with connected(settings.kubeconfig) as api:
        await read_cluster(api, settings, cache)
        failures = await read_failures(api, settings)
        return failures, (await read_leader(api, settings.namespace)).problem


def _answers(cache: ClusterCache, inquiry: Inquiry, asked: tuple[str, str, str]) -> list[Answer]:
    kind, namespace, name = asked
    groups = inquiry.groups_of(namespace, name, kind=kind)
    if groups:
        inquiry.rehearse()
        return [inquiry.about(group) for group in groups]
    lws = cache.workloads.lws.get((namespace, name)) if kind != "pod" else None
    pod = cache.pod_named(namespace, name) if kind != "lws" and lws is None else None
    why = why_no_member(pod) if pod is not None else ""
    if why:
        click.echo(
            f"{namespace}/{name}: carries LeaderWorkerSet's labels and is no member of a group, as "
            f"{why}: it is left to kube-scheduler"
        )
        return []
    if lws is None:
        what = kind or "LeaderWorkerSet, group or pod"
        raise NotFoundError(
            f"no {what} {name} in namespace {namespace} that is placed by lws-placement", status=404
        )
    wants = request_in_words(lws.request, groups=lws.replicas)
    click.echo(f"{namespace}/{name}: {wants}{'; it has no pods yet' if lws.request.places else ''}")
    return []
