"""Keeps cluster autoscalers from taking nodes away as empty to which a group is about to come.

Such a node is assigned to a member by an ACTIVE or COMING hold, and no pod of the group is bound
there: the group restarts, or its victims have just gone. A node is kept once that has lasted for
some seconds, as most members are bound at once, and let go when the member is bound or the hold
ends; also when that takes too long, as pods that a quota forbids must not keep nodes for ever. A
domain whose last group has gone is left to the autoscaler.

What is kept is written on the nodes (`cluster/codec/kept_nodes.py`), so a new planner goes on from
there.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress

from lws_placement import metrics
from lws_placement.backoff import Backoff
from lws_placement.cluster.api.client import Api
from lws_placement.cluster.cache.cluster_cache import ClusterCache
from lws_placement.cluster.codec.kept_nodes import encode_keep, encode_let_go
from lws_placement.engine.base import keys
from lws_placement.engine.base.raw import Raw
from lws_placement.engine.model.groups import GroupId
from lws_placement.engine.model.hold_states import HoldState
from lws_placement.engine.model.pods import Pod
from lws_placement.engine.model.reservation import Hold
from lws_placement.engine.objects.nodes import NodeName
from lws_placement.engine.reconcile.actions import Action
from lws_placement.engine.reconcile.group_state import GroupState
from lws_placement.errors import ApiError, NotFoundError
from lws_placement.planner.observer import Observer

log = logging.getLogger(__name__)

_EVERY_S = 2.0
_BACKOFF = Backoff(first_s=_EVERY_S, most_s=60.0)
_AFTER_S = 5.0
"""An autoscaler takes no node away that was empty for less."""


class KeptNodes(Observer):
    """`run()` runs until cancelled, and raises NotLeaderError when deposed. `gives_up_after_s`: how
    long a node is kept at most.
    """

    def __init__(self, api: Api, cache: ClusterCache, *, gives_up_after_s: float) -> None:
        self._gives_up_after_s = gives_up_after_s
        self._api = api
        self._cache = cache
        self._incomplete: dict[GroupId, float] = {}
        """Groups with an assigned node and no pod there; since when, by loop time."""
        self._kept: set[NodeName] = set()
        self._mark = 0

    def decided(self, observed: GroupState, actions: Sequence[Action]) -> None:
        if any(_empty(hold, observed.pods) for hold in observed.holds):
            self._incomplete.setdefault(observed.id, asyncio.get_running_loop().time())
        else:
            self._incomplete.pop(observed.id, None)

    async def run(self, *, keeps: bool) -> None:
        """`keeps`: whether to keep nodes; if not, those that an earlier planner kept are let go."""
        failures = 0
        while True:
            try:
                await self._pass(keeps=keeps)
            except ApiError as e:
                log.warning("nodes not kept, will retry", extra={"error": str(e)})
                metrics.RETRIES.labels(metrics.Retry.NODES).inc()
                await asyncio.sleep(_BACKOFF.delay_s(failures, at_least_s=e.retry_after_s))
                failures += 1
            else:
                failures = 0
                await asyncio.sleep(_EVERY_S)

    async def _pass(self, *, keeps: bool) -> None:
        self._look()
        wanted = set(self._wanted()) if keeps else set()
        for name in sorted(self._kept - wanted):
            if not (keeps and self._is_needed(name)):
                await self._patch(name, encode_let_go)
        for name in sorted(wanted - self._kept):
            await self._patch(name, encode_keep)

    def _look(self) -> None:
        """At the nodes that have changed since the last time."""
        domains = self._cache.domains
        for name in domains.node_changes.since(self._mark):
            node = domains.node(name)
            if node is not None and keys.KEPT in node.scale_down:
                self._kept.add(name)
            else:
                self._kept.discard(name)
        self._mark = domains.node_changes.mark

    def _wanted(self) -> Iterable[NodeName]:
        for group in list(self._incomplete):
            holds = self._cache.holds_of(group)
            if not holds:
                del self._incomplete[group]
            elif _AFTER_S <= self._age_s(group) < self._gives_up_after_s:
                pods = self._cache.group_pods(group)
                yield from (name for hold in holds for name in _empty(hold, pods))

    def _is_needed(self, name: NodeName) -> bool:
        """For a node that is kept already: an earlier planner may have begun that."""
        return any(
            self._age_s(hold.group) < self._gives_up_after_s
            and name in _empty(hold, self._cache.group_pods(hold.group))
            for hold in self._cache.domains.holds_on(name)
        )

    def _age_s(self, group: GroupId) -> float:
        """For how long the group has been known to be incomplete."""
        now = asyncio.get_running_loop().time()
        return now - self._incomplete.get(group, now)

    async def _patch(self, name: NodeName, encode: Callable[..., Raw]) -> None:
        node = self._cache.domains.node(name)
        if node is None:
            return
        with suppress(NotFoundError):
            await self._api.patch(f"/api/v1/nodes/{name}", encode(node.scale_down))


def _empty(hold: Hold, pods: Iterable[Pod]) -> set[NodeName]:
    """The nodes that the hold assigns to members and on which no pod of the group runs."""
    if hold.state is HoldState.LEAVING:
        return set()
    return set(hold.nodes.values()) - {pod.node for pod in pods if not pod.finished}
