"""Reading a cluster once for verbs that answer a question, and showing that it takes a while.

Progress goes to stderr, and only where a person watches it.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from lws_placement.cluster.cache import ClusterCache
from lws_placement.cluster.client import Api, connect
from lws_placement.cluster.mirror import read_once
from lws_placement.errors import ApiError
from lws_placement.settings import Settings

Raw = dict[str, Any]

_PRIORITY_CLASSES = "/apis/scheduling.k8s.io/v1/priorityclasses"


async def fetch_cluster(settings: Settings, cache: ClusterCache) -> list[Raw]:
    """All that placement sees, into the cache; the PriorityClasses, which it does not keep."""
    api = await connect(str(settings.kubeconfig) if settings.kubeconfig else None)
    try:
        return await read_cluster(api, settings, cache)
    finally:
        await api.close()


async def read_cluster(api: Api, settings: Settings, cache: ClusterCache) -> list[Raw]:
    with progress("reading the cluster") as show:
        read: dict[str, int] = {}

        def on_page(path: str, number: int) -> None:
            read[path] = number
            show(sum(read.values()), 0)

        try:
            await read_once(api, cache, namespace=settings.namespace, on_page=on_page)
            classes, _ = await api.list_all(_PRIORITY_CLASSES)
        except ApiError as e:
            raise _explained(e) from e
    return [{**raw, "kind": "PriorityClass"} for raw in classes]


def _explained(error: ApiError) -> ApiError:
    if error.status not in (401, 403):
        return error
    return ApiError(
        f"{error}. Reading needs list rights on nodes, pods, leaderworkersets, statefulsets, "
        "controllerrevisions, daemonsets, priorityclasses, and on leases in our namespace; the "
        "ClusterRole lws-placement-view has them and is part of the cluster's role view",
        status=error.status,
        reason=error.reason,
    )


@contextmanager
def progress(what: str) -> Iterator[Callable[[int, int], None]]:
    """Show (done, of how many; 0: nobody knows) while inside."""
    console = Console(stderr=True)
    if not sys.stderr.isatty():
        yield lambda done, of: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeElapsedColumn(), console=console, transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, of: bar.update(task, completed=done, total=of or None)
