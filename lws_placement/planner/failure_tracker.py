"""What went wrong for each group lately: the memory behind `engine/model/failure_history.py`.

Fed by what the planner sees each time it looks at a group, asked when it decides. What it knows is
written to the API server before it is acted on (`cluster/stores/failure_store.py`), so that a
planner that takes over passes over the same domains, and counts on. The same refusal or failure is
counted once, whoever sees it again.

A failed pod is deleted by its controller at once, and nothing on the API server tells of it then.
So a replica that stands by notes failures as well: what a planner saw and did not live to write
down, the next one has seen.

Groups that have keys of their own in place of ordinals share what is known of their set: a group
that restarts is a new one, and what it comes back to is the set's.

Only since when kube-scheduler refuses a pod is kept in memory: the next planner gives it
`refused-after-seconds` anew.
"""

from collections.abc import Callable, Iterable, Sequence

from lws_placement.cluster.cache.cluster_cache import ClusterCache
from lws_placement.cluster.cache.identity import leader_uid
from lws_placement.cluster.codec.failure_lease import Remembered
from lws_placement.cluster.stores.failure_store import FailureStore
from lws_placement.engine.model.failure_history import FailureHistory, History, Policy
from lws_placement.engine.model.groups import GroupId
from lws_placement.engine.model.nodes import DomainName
from lws_placement.engine.model.pods import Pod
from lws_placement.engine.model.reservation import Hold
from lws_placement.engine.reconcile.actions import Action, LeaveHold
from lws_placement.engine.reconcile.group_state import GroupState, living_members
from lws_placement.engine.reconcile.repair import failed_by_node
from lws_placement.errors import ConflictError

_NOTHING = History()


class FailureTracker:
    """`store`: of whoever leads. `clock`: seconds since the epoch."""

    def __init__(
        self,
        cache: ClusterCache,
        *,
        store: FailureStore,
        clock: Callable[[], float],
        policy: Policy,
    ) -> None:
        self._cache = cache
        self._store = store
        self._clock = clock
        self._policy = policy
        self._written: dict[GroupId, Remembered] = {}
        self._histories: dict[GroupId, History] = {}
        self._refused_since: dict[GroupId, dict[str, float]] = {}

    async def take_over(self) -> None:
        """From now on it is ours to write.

        What we have seen ourselves is added to it, except refusals from when we led before: others
        may have had the group since.
        """
        written = await self._store.fetch_all()
        self._written.clear()
        self._refused_since.clear()
        for group, history in list(self._histories.items()):
            self._keep(group, History(failed=history.failed))
        for remembered in written:
            self._found(remembered)

    def groups(self) -> list[GroupId]:
        """All that there is something to remember, or to forget, of."""
        return sorted(self._histories.keys() | self._written.keys())

    def node_failed(self, pod: Pod) -> None:
        """At once: a failed pod is deleted by its controller, perhaps before the group is looked
        at.
        """
        now, group = self._clock(), self._cache.group_of(pod)
        if group is not None:
            book = self._book_of(group)
            history = self._histories.get(book, _NOTHING)
            holds = self._cache.holds_of(group)
            self._keep(book, self._with_failure(history, pod, holds, now=now))
            self._drop_old(now)

    def look(self, observed: GroupState) -> FailureHistory:
        """Note what is to be seen of the group now; what `decide` should know of it."""
        now, book = self._clock(), self._book_of(observed.id)
        history = self._histories.get(book, _NOTHING).pruned(self._policy, now=now)
        for pod in observed.pods:
            history = self._with_failure(history, pod, observed.holds, now=now)
        if _is_whole(observed):
            for hold in observed.active:
                history = history.settled(hold.domain)
        if not observed.pods and not observed.holds and observed.lws is None:
            history = _NOTHING  # the group is no more, and will not be again
        self._keep(book, history)
        return FailureHistory(now, history, self._refusals(observed, now), self._policy)

    async def write(self, group: GroupId, actions: Iterable[Action]) -> None:
        """What is to be remembered when these actions are taken. Raises ConflictError where
        somebody else wrote it, and takes that over.
        """
        self._leaves(group, actions)
        unwritten = self.unwritten(group)
        if unwritten is None:
            return
        try:
            self._was_written(await self._store.write(unwritten))
        except ConflictError:
            self._found(await self._store.fetch(unwritten.group))
            raise

    def _leaves(self, group: GroupId, actions: Iterable[Action]) -> None:
        book = self._book_of(group)
        history = self._histories.get(book, _NOTHING)
        for action in actions:
            if isinstance(action, LeaveHold) and action.refused:
                hold, now = action.hold, self._clock()
                history = history.with_refusal(hold.domain, action.refused, plan=hold.plan, now=now)
        self._keep(book, history)

    def unwritten(self, group: GroupId) -> Remembered | None:
        """What is to be written of the group; None: the API server has it."""
        book = self._book_of(group)
        history = self._histories.get(book, _NOTHING)
        there = self._written.get(book)
        if there is None:
            return Remembered(book, history) if history != _NOTHING else None
        if there.history.pruned(self._policy, now=self._clock()) == history != _NOTHING:
            return None
        return Remembered(book, history, there.resource_version, there.uid)

    def _was_written(self, remembered: Remembered) -> None:
        if remembered.resource_version:
            self._written[remembered.group] = remembered
        else:
            self._written.pop(remembered.group, None)

    def _found(self, remembered: Remembered) -> None:
        """What the API server has, whoever wrote it."""
        self._was_written(remembered)
        history = self._histories.get(remembered.group, _NOTHING)
        known = remembered.history.known_by(now=self._clock())
        self._keep(remembered.group, known.with_all_of(history))

    def forgets_after_s(self, group: GroupId) -> float | None:
        """How long until something of the group is too old to matter."""
        at_s = self._histories.get(self._book_of(group), _NOTHING).forgotten_s(self._policy)
        return None if at_s is None else max(at_s - self._clock(), 0.0)

    def _book_of(self, group: GroupId) -> GroupId:
        """Under whose id it is remembered."""
        lws = self._cache.workloads.lws_of(group)
        return group.of_set if lws is not None and lws.keyed else group

    def _with_failure(
        self, history: History, pod: Pod, holds: Sequence[Hold], *, now: float
    ) -> History:
        domain = _domain_of(pod, holds) if failed_by_node(pod, self._cache.domains) else None
        if domain is None:
            return history
        return history.with_failure(
            domain, leader_uid(pod, self._cache.workloads.stateful_sets.get(pod.owner_uid)), now=now
        )

    def _keep(self, group: GroupId, history: History) -> None:
        """Last of all."""
        self._histories.pop(group, None)
        if history != _NOTHING:
            self._histories[group] = history

    def _drop_old(self, now: float) -> None:
        """Where we stand by, nobody looks at the groups."""
        while self._histories:
            oldest = next(iter(self._histories))
            if self._histories[oldest].pruned(self._policy, now=now) != _NOTHING:
                return
            del self._histories[oldest]

    def _refusals(self, observed: GroupState, now: float) -> dict[str, float]:
        before = self._refused_since.pop(observed.id, {})
        found = {
            p.uid: before.get(p.uid, now)
            for p in observed.pods
            if p.node is None and p.unschedulable and p.living
        }
        if found:
            self._refused_since[observed.id] = found
        return found


def _domain_of(pod: Pod, holds: Sequence[Hold]) -> DomainName | None:
    return next((h.domain for h in holds if pod.node in h.nodes.values()), None)


def _is_whole(observed: GroupState) -> bool:
    bound = [p for p in living_members(observed.pods).values() if p.node is not None]
    return bool(bound) and all(len(bound) == h.size for h in observed.active)
