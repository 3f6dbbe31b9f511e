"""Groups that hold something and have no pod, and who waits while they do
(`engine/reconcile/vacant_holds.py`).

Such a group is looked at when something of it changed, when somebody begins to wait who asks for
what nobody asked for before, and, a few at a time, when room has changed. In memory: a new planner
counts the hold time afresh.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from lws_placement.cluster.cache.cluster_cache import ClusterCache
from lws_placement.engine.model.groups import Group, GroupId
from lws_placement.engine.planning.waiting import WaitingClasses
from lws_placement.engine.reconcile.actions import Action, KeepHold, Wait
from lws_placement.engine.reconcile.context import Context
from lws_placement.engine.reconcile.foreign_gates import is_held_back
from lws_placement.engine.reconcile.group_state import GroupState, living_members
from lws_placement.planner.observer import Observer


class VacantHolds(Observer):
    """`look_at`: to be called of groups that are to be looked at again."""

    def __init__(self, cache: ClusterCache, *, look_at: Callable[[GroupId], None]) -> None:
        self._cache = cache
        self._look_at = look_at
        self._waiting = WaitingClasses()
        self._examples: tuple[Group, ...] | None = None
        self._absent: set[GroupId] = set()

    def __iter__(self) -> Iterator[GroupId]:
        return iter(self._absent)

    def with_who_waits(self, context: Context, observed: GroupState) -> Context:
        """What `decide` should know of others, for a group that holds something and has no pod, or
        none that can run.
        """
        if not observed.holds or (living_members(observed.pods) and not is_held_back(observed)):
            return context
        if self._examples is None:
            self._examples = self._waiting.examples()
        refused = dict.fromkeys(pod.demand for pod in self._cache.refused())
        return replace(context, waiting=self._examples, refused=tuple(refused))

    def decided(self, observed: GroupState, actions: Sequence[Action]) -> None:
        group = observed.id
        if any(isinstance(a, KeepHold) for a in actions):
            self._absent.add(group)
        else:
            self._absent.discard(group)
        asked = next((a.group for a in actions if isinstance(a, Wait)), None)
        if asked is None:
            if self._waiting.drop(group):
                self._examples = None
            return
        self._examples = None
        if self._waiting.put(asked):  # nobody asked for that before
            for absent in self._absent:
                self._look_at(absent)
