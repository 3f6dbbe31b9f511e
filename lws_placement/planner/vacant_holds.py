"""Groups that have holds and no pods, or members that do not come, and the groups that wait
meanwhile (`engine/reconcile/vacant_holds.py`).

Such a group is planned again when an object of it changes, when a group of a new equivalence class
begins to wait, and, a few groups at a time, when room has changed. This is kept in memory: a new
planner counts the hold time afresh.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from lws_placement.cluster.cache.cluster_cache import ClusterCache
from lws_placement.engine.model.groups import Group, GroupId
from lws_placement.engine.planning.waiting import WaitingClasses
from lws_placement.engine.reconcile.actions import Action, KeepHold, Wait
from lws_placement.engine.reconcile.context import Context
from lws_placement.engine.reconcile.foreign_gates import is_held_back
from lws_placement.engine.reconcile.group_state import GroupState
from lws_placement.planner.observer import Observer


class VacantHolds(Observer):
    """`look_at` is called with each group that is to be planned again."""

    def __init__(self, cache: ClusterCache, *, look_at: Callable[[GroupId], None]) -> None:
        self._cache = cache
        self._look_at = look_at
        self._waiting = WaitingClasses()
        self._examples: tuple[Group, ...] | None = None
        self._absent: set[GroupId] = set()

    def __iter__(self) -> Iterator[GroupId]:
        return iter(self._absent)

    def with_who_waits(self, context: Context, observed: GroupState) -> Context:
        """Adds the waiting groups and refused foreign pods, if the observed group has holds and no
        pod that can run, or members that do not come.
        """
        runs = observed.members and not is_held_back(observed)
        if not observed.holds or (runs and not _is_incomplete(observed)):
            return context
        if self._examples is None:
            self._examples = self._waiting.examples()
        refused = dict.fromkeys(pod.demand for pod in self._cache.unbound.refused())
        return replace(context, waiting=self._examples, refused=tuple(refused))

    def decided(self, observed: GroupState, actions: Sequence[Action]) -> None:
        group = observed.id
        if any(isinstance(a, KeepHold) for a in actions) or _is_incomplete(observed):
            self._absent.add(group)
        else:
            self._absent.discard(group)
        asked = next((a.group for a in actions if isinstance(a, Wait)), None)
        if asked is None:
            if self._waiting.drop(group):
                self._examples = None
            return
        self._examples = None
        if self._waiting.put(asked):  # the first of its equivalence class
            for absent in self._absent:
                self._look_at(absent)


def _is_incomplete(observed: GroupState) -> bool:
    return observed.failures.missing_since_s is not None
