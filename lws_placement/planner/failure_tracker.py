"""Recent failures and refusals of each group: the memory behind `engine/model/failure_history.py`.

The planner records what it observes of a group and passes the history to `decide`. A history is
written to the API server before it is acted on (`cluster/stores/failure_store.py`), so a new leader
passes over the same domains and continues the count. A refusal or failure counts once, whichever
replica sees it again.

A controller deletes a failed pod at once, and then no object shows the failure. So standby replicas
record failures as well: the next leader has seen what its predecessor saw and died before writing.

Groups with hash keys in place of ordinals share one history per LeaderWorkerSet: a restarted group
is a new group, and it returns to the set's domains.

The time of kube-scheduler's first refusal of a pod, and since when members are missing, are kept in
memory only: a new leader waits `refused-after-seconds`, or `hold-seconds`, anew.
"""

from collections.abc import Callable, Iterable, Sequence

from lws_placement.cluster.cache.cluster_cache import ClusterCache
from lws_placement.cluster.cache.pods.identity import leader_uid
from lws_placement.cluster.codec.failure_lease import Remembered
from lws_placement.cluster.stores.failure_store import FailureStore
from lws_placement.engine.model.failure_history import FailureHistory, History, Policy
from lws_placement.engine.model.groups import GroupId
from lws_placement.engine.model.pods import Pod
from lws_placement.engine.model.reservation import Hold
from lws_placement.engine.objects.nodes import ANYWHERE, DomainName
from lws_placement.engine.reconcile.actions import Action, LeaveHold
from lws_placement.engine.reconcile.group_state import GroupState
from lws_placement.engine.reconcile.repair import failed_by_node, is_left_alone
from lws_placement.errors import ConflictError

_NOTHING = History()


class FailureTracker:
    """`store` writes only while this process leads. `clock`: seconds since the epoch."""

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
        self._missing_since: dict[GroupId, tuple[str, float]] = {}
        """Group -> UID of its leader, and since when members are missing beside it."""

    async def take_over(self) -> None:
        """Reads all histories at the start of leadership; from then on this process writes them.

        Adds the failures seen in standby, but no refusals from an earlier leadership: another
        leader may have placed the group since.
        """
        written = await self._store.fetch_all()
        self._written.clear()
        self._refused_since.clear()
        self._missing_since.clear()
        for group, history in list(self._histories.items()):
            self._keep(group, History(failed=history.failed))
        for remembered in written:
            self._found(remembered)

    def groups(self) -> list[GroupId]:
        """All groups with a history, in memory or on the API server."""
        return sorted(self._histories.keys() | self._written.keys())

    def node_failed(self, pod: Pod) -> None:
        """Records the failure at once: a controller may delete the pod before the next `look`."""
        now, group = self._clock(), self._cache.group_of(pod)
        if group is not None:
            book = self._book_of(group)
            history = self._histories.get(book, _NOTHING)
            holds = self._cache.holds_of(group)
            self._keep(book, self._with_failure(history, pod, holds, now=now))
            self._drop_old(now)

    def look(self, observed: GroupState) -> FailureHistory:
        """Records what is observed of the group now, and returns its history for `decide`."""
        now, book = self._clock(), self._book_of(observed.id)
        history = self._histories.get(book, _NOTHING).pruned(self._policy, now=now)
        for pod in observed.pods:
            history = self._with_failure(history, pod, observed.holds, now=now)
        if _is_whole(observed):
            for domain in (ANYWHERE, *(hold.domain for hold in observed.active)):
                history = history.settled(domain)
        if not observed.pods and not observed.holds and observed.lws is None:
            history = _NOTHING  # the group is gone for good
        self._keep(book, history)
        return FailureHistory(
            now,
            history,
            self._refusals(observed, now),
            self._missing(observed, now),
            policy=self._policy,
        )

    async def write(self, group: GroupId, actions: Iterable[Action]) -> None:
        """Writes the history as it is once these actions are taken. Raises ConflictError if another
        replica wrote it meanwhile, after adding that version to the history.
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
                where = ANYWHERE if action.everywhere else hold.domain
                history = history.with_refusal(
                    where, action.refused, plan=hold.plan, now=now, node=action.node
                )
        self._keep(book, history)

    def unwritten(self, group: GroupId) -> Remembered | None:
        """The history to write for the group; None if the API server has it."""
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
        """Merges the API server's version, whichever replica wrote it."""
        self._was_written(remembered)
        history = self._histories.get(remembered.group, _NOTHING)
        known = remembered.history.known_by(now=self._clock())
        self._keep(remembered.group, known.with_all_of(history))

    def forgets_after_s(self, group: GroupId) -> float | None:
        """Seconds until an entry of the group expires; None without entries."""
        at_s = self._histories.get(self._book_of(group), _NOTHING).forgotten_s(self._policy)
        return None if at_s is None else max(at_s - self._clock(), 0.0)

    def _book_of(self, group: GroupId) -> GroupId:
        """The id that the history is kept under: the group's, or its set's if keys are hashes."""
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
        """Stores the history as the newest entry."""
        self._histories.pop(group, None)
        if history != _NOTHING:
            self._histories[group] = history

    def _drop_old(self, now: float) -> None:
        """Drops expired histories from the oldest on: a standby never calls `look`."""
        while self._histories:
            oldest = next(iter(self._histories))
            if self._histories[oldest].pruned(self._policy, now=now) != _NOTHING:
                return
            del self._histories[oldest]

    def _missing(self, observed: GroupState, now: float) -> float | None:
        uid, since = self._missing_since.pop(observed.id, ("", now))
        leader = _incomplete(observed)
        if leader is None:
            return None
        since = since if uid == leader.uid else now
        self._missing_since[observed.id] = leader.uid, since
        return since

    def _refusals(self, observed: GroupState, now: float) -> dict[str, float]:
        before = self._refused_since.pop(observed.id, {})
        found = {
            p.uid: before.get(p.uid, now)
            for p in observed.pods
            if p.node is None and p.living and (p.unschedulable or is_left_alone(p))
        }
        if found:
            self._refused_since[observed.id] = found
        return found


def _incomplete(observed: GroupState) -> Pod | None:
    """The leader beside which members are to come by now; None if there is none."""
    lws = observed.lws
    if lws is None or not observed.active:
        return None
    leader = observed.members.get(0)
    if leader is None or leader.node is None or leader.member is None:
        return None
    if lws.leader_first and not leader.ready:
        return None
    there = {pod.member.rank for pod in observed.pods if pod.member is not None}
    return leader if len(there) < leader.member.size else None


def _domain_of(pod: Pod, holds: Sequence[Hold]) -> DomainName | None:
    return next((h.domain for h in holds if pod.node in h.nodes.values()), None)


def _is_whole(observed: GroupState) -> bool:
    bound = [p for p in observed.members.values() if p.node is not None]
    return bool(bound) and all(len(bound) == h.size for h in observed.active)
