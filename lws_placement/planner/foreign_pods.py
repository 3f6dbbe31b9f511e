"""Foreign pods that kube-scheduler finds no room for, and the preemption of groups for them.

A pod is considered when it begins to wait and, a few pods at a time, when room has changed. Each
pod preempts once (`engine/reconcile/foreign_preemption.py`). This is kept in memory: after a change
of leader a pod may preempt once more.
"""

from collections.abc import Callable, Iterator, Sequence

from lws_placement.cluster.cache.cluster_cache import ClusterCache
from lws_placement.engine.model.groups import GroupId
from lws_placement.engine.model.pods import Pod
from lws_placement.engine.preemption.victims import Tenants
from lws_placement.engine.reconcile.actions import Action, WriteHold
from lws_placement.engine.reconcile.foreign_preemption import is_for_pod, preempt_for_pod
from lws_placement.planner.observer import Observer

_MOST = 5


class ForeignPods(Observer):
    def __init__(
        self, cache: ClusterCache, tenants: Tenants, *, new_plan_id: Callable[[], str]
    ) -> None:
        self._cache = cache
        self._tenants = tenants
        self._new_plan_id = new_plan_id
        self._look_at: set[str] = set()
        self._helped: set[str] = set()

    def begins_to_wait(self, uid: str) -> None:
        self._look_at.add(uid)

    def look_again(self) -> None:
        """Considers all waiting foreign pods again, as room has changed."""
        self._helped &= self._cache.unbound.roomless
        self._look_at |= self._cache.unbound.roomless

    def done(self, group: GroupId, actions: Sequence[Action]) -> None:
        if any(isinstance(a, WriteHold) and is_for_pod(a.hold) for a in actions):
            self._helped.add(group.lws_uid)

    def to_help(self) -> Iterator[tuple[GroupId, list[Action]]]:
        """Actions per pod: the highest priority first, then the oldest."""
        lowest = self._cache.lowest_priority()
        waiting = sorted(self._take(), key=lambda p: (-p.priority, p.created_s, p.key))
        for pod in waiting[:_MOST]:
            group = GroupId.of_pod(pod.namespace, pod.name, pod.uid)
            if lowest is None or pod.priority <= lowest or self._cache.holds_of(group):
                continue
            actions = preempt_for_pod(
                pod,
                self._cache.holds(),
                self._cache.domains,
                self._tenants,
                plan_id=self._new_plan_id(),
            )
            if actions:
                yield group, actions

    def _take(self) -> list[Pod]:
        uids, self._look_at = self._look_at, set()
        found = (self._cache.pod(uid) for uid in uids & self._cache.unbound.roomless - self._helped)
        return [pod for pod in found if pod is not None]
