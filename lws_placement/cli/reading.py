"""Reads a cluster once, for verbs that answer a question, and shows progress on a terminal's
stderr.
"""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from lws_placement.cluster.api.client import Api
from lws_placement.cluster.api.leader_election import LEADER_LEASE, leader_of
from lws_placement.cluster.cache.cluster_cache import ClusterCache
from lws_placement.cluster.cache.informers import read_once
from lws_placement.cluster.stores.failure_store import FailureStore
from lws_placement.engine.base import keys
from lws_placement.engine.base.raw import Raw
from lws_placement.engine.model.failure_history import FailureHistory
from lws_placement.engine.model.groups import GroupId
from lws_placement.errors import ApiError, NotFoundError
from lws_placement.settings import Settings

_LATE_S = 5.0
"""Clocks of two machines differ by less."""
_PRIORITY_CLASSES = "/apis/scheduling.k8s.io/v1/priorityclasses"


async def read_cluster(api: Api, settings: Settings, cache: ClusterCache) -> list[Raw]:
    """Reads all that placement depends on into the cache. Returns the PriorityClasses, which the
    cache does not keep.

    Raises ApiError, which names the rights that are missing if that is the cause.
    """
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


async def read_failures(api: Api, settings: Settings) -> dict[GroupId, FailureHistory]:
    """The failure histories that the planner has stored, under our settings, which may differ from
    the planner's. Empty if we may not read them.
    """
    now, policy = time.time(), settings.failure_policy()
    try:
        remembered = await FailureStore(api, namespace=settings.namespace).fetch_all()
    except ApiError:
        return {}
    return {
        one.group: FailureHistory(now, one.history.known_by(now=now), policy=policy)
        for one in remembered
    }


@dataclass(frozen=True, slots=True)
class LeaderSeen:
    """What the leader Lease says. `problem`: why no planner is at work, in words. `scale_up`: how
    the leader requests nodes, in words. Both may be empty.
    """

    problem: str = ""
    scale_up: str = ""


async def read_leader(api: Api, namespace: str) -> LeaderSeen:
    """Empty if we may not read the Lease."""
    path = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases/{LEADER_LEASE}"
    name = f"{namespace}/{LEADER_LEASE}"
    try:
        lease = await api.get(path)
    except NotFoundError:
        return LeaderSeen(f"no planner has been at work: there is no Lease {name}")
    except ApiError:
        return LeaderSeen()
    leader, late_s = leader_of(lease, now_s=time.time())
    if not leader:
        return LeaderSeen(f"no planner is at work: nobody holds the Lease {name}")
    if late_s > _LATE_S:
        return LeaderSeen(
            f"no planner is at work: {leader} holds the Lease {name}, "
            f"which ran out {late_s:.0f} s ago"
        )
    notes = lease["metadata"].get("annotations") or {}
    return LeaderSeen(scale_up=str(notes.get(keys.SCALE_UP_MODE, "")))


def _explained(error: ApiError) -> ApiError:
    if error.status not in (401, 403):
        return error
    return ApiError(
        f"{error}. Reading needs list rights on nodes, pods, namespaces, leaderworkersets, "
        "statefulsets, controllerrevisions, daemonsets, priorityclasses, limitranges, "
        "runtimeclasses, persistentvolumes, persistentvolumeclaims, storageclasses, csidrivers, "
        "csinodes, csistoragecapacities, volumeattachments, and on leases in our namespace, and "
        "where Kueue is, on its workloads, admissionchecks and resourceflavors; the "
        "ClusterRole lws-placement-view has them and is part of the cluster's role view",
        status=error.status,
        reason=error.reason,
    )


@contextmanager
def progress(what: str) -> Iterator[Callable[[int, int], None]]:
    """Shows progress inside of the block: (done, total), with total 0 if it is not known."""
    console = Console(stderr=True)
    if not sys.stderr.isatty():
        yield lambda done, of: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeElapsedColumn(), console=console, transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, of: bar.update(task, completed=done, total=of or None)
