"""Searches for the victims of groups of several domains, beside the planner.

In a large cluster one search takes seconds (`engine/preemption/multi_domain_search.py`), so it runs
in turns with the event loop, one search at a time. The cluster may change meanwhile. So of victims
that are found, only the places count: once the group is decided again, it is searched there anew,
in one step.

The answer of a search that found no victims stands for a while, so that all searches together take
a tenth of the time. The planner still looks for free room with every event. The answers are kept in
memory: a new planner searches at once.
"""

import asyncio
import logging
from collections.abc import Callable, Hashable, Sequence
from functools import partial

from lws_placement.engine.model.groups import Group, GroupId
from lws_placement.engine.model.snapshot import ClusterSnapshot
from lws_placement.engine.model.verdicts import Placed
from lws_placement.engine.objects.nodes import NodeName
from lws_placement.engine.planning.multi_domain import nodes_of
from lws_placement.engine.preemption.multi_domain_search import preempt_multi_domain
from lws_placement.engine.preemption.search import NoPreemption, Preemption, WhyNoPreemption
from lws_placement.engine.preemption.victims import Tenants
from lws_placement.engine.reconcile.actions import Action, LookAgain, Wait
from lws_placement.planner.limits.turns import Turns

log = logging.getLogger(__name__)

_PAUSE = 10.0
"""Multiple of the search's duration, for each group that is searched for."""
_SEARCHING = NoPreemption(WhyNoPreemption.SEARCHING)


class VictimSearches:
    """Call `search` while a group is decided and `decided` after, on the event loop. `look_at`:
    called for a group whose search has ended.
    """

    def __init__(self, *, look_at: Callable[[GroupId], None]) -> None:
        self._look_at = look_at
        self._wanted: dict[GroupId, tuple[Group, ClusterSnapshot, Tenants]] = {}
        """The first one is under way."""
        self._places: dict[GroupId, tuple[frozenset[NodeName], float]] = {}
        """Where victims were found, and the seconds that it took."""
        self._standing: dict[GroupId, tuple[float, NoPreemption]] = {}
        """Loop time at which the answer expires, and the answer."""
        self._new: dict[GroupId, NoPreemption] = {}
        """Answers that were not used yet, of searches during which nothing changed."""
        self._again_at = 0.0
        """When the standing answer expires that the present decision uses; 0: it uses none."""
        self._task: asyncio.Task[None] | None = None

    def search(
        self, group: Group, views: ClusterSnapshot, tenants: Tenants
    ) -> Preemption | NoPreemption:
        """A `VictimSearch`: the answer as far as it is known."""
        if group.id in self._new:
            return self._new.pop(group.id)
        until, nobody = self._standing.get(group.id, (0.0, _SEARCHING))
        if _now() < until:
            self._again_at = until
            return nobody
        if group.id in self._places:
            there, spent_s = self._places.pop(group.id)
            answer = preempt_multi_domain(group, views, tenants, only=there)
            if isinstance(answer, NoPreemption):  # the cluster has changed since
                self._again_at = self._let_stand(group.id, answer, spent_s=spent_s)
            return answer
        if group.id not in self._wanted:
            self._wanted[group.id] = group, views, tenants
            if self._task is None or self._task.done():
                self._task = asyncio.create_task(self._search_all())
        return _SEARCHING

    def decided(self, group: GroupId, actions: Sequence[Action]) -> Sequence[Action]:
        """`actions`; with a LookAgain if a standing answer was used in place of a search."""
        again_at, self._again_at = self._again_at, 0.0
        waits = any(isinstance(a, Wait) and not a.group.request.in_one_domain for a in actions)
        if not waits:
            self._standing.pop(group, None)
            self._new.pop(group, None)
            self._places.pop(group, None)
            if group != next(iter(self._wanted), None):
                self._wanted.pop(group, None)
            return actions
        return [*actions, LookAgain(again_at - _now())] if again_at else actions

    def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()

    async def _search_all(self) -> None:
        while self._wanted:
            group, (asked, views, tenants) = next(iter(self._wanted.items()))
            turns = Turns(partial(_victims, asked, views, tenants))
            state = _state(views, tenants)
            try:
                answer = await turns.run()
            except Exception as e:
                # It may have read what was changed during a pause; it is made again later.
                changed = _state(views, tenants) != state
                how = log.info if changed else log.exception
                how("search for victims failed", extra={"group": str(group), "error": repr(e)})
                answer = _SEARCHING
            finally:
                del self._wanted[group]
            if isinstance(answer, Preemption):
                placed = Placed(answer.domain, answer.nodes, answer.others)
                self._places[group] = nodes_of(placed, views), turns.spent_s
            else:
                self._let_stand(group, answer, spent_s=turns.spent_s)
                if answer is not _SEARCHING and _state(views, tenants) == state:
                    self._new[group] = answer
            self._look_at(group)

    def _let_stand(self, group: GroupId, answer: NoPreemption, *, spent_s: float) -> float:
        """Until when, by loop time."""
        groups = len(self._standing.keys() | {group})
        until = _now() + _PAUSE * groups * spent_s
        self._standing[group] = until, answer
        return until


def _victims(
    group: Group, views: ClusterSnapshot, tenants: Tenants, pause: Callable[[], None]
) -> Preemption | NoPreemption:
    return preempt_multi_domain(group, views, tenants, pause=pause)


def _state(views: ClusterSnapshot, tenants: Tenants) -> Hashable:
    """Equal while nothing has changed that a search reads."""
    return views.node_changes.mark, tenants.version


def _now() -> float:
    return asyncio.get_running_loop().time()
