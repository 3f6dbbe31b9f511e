"""What went wrong for each group lately: the memory behind `engine/troubles.py`.

Fed by what the planner sees each time it looks at a group, asked when it decides. In memory: a new
planner knows nothing of what was, which costs a group at most one more attempt at a domain that
will refuse it, and some more failures before a domain becomes its last choice.
"""

from collections.abc import Callable, Sequence

from lws_placement.cluster.cache import ClusterCache
from lws_placement.engine.actions import Action, LeaveHold
from lws_placement.engine.holds import Hold
from lws_placement.engine.model import DomainName, GroupId, Pod
from lws_placement.engine.repair import failed_by_node
from lws_placement.engine.seen import Seen, living_members
from lws_placement.engine.troubles import History, Policy, Troubles


class TroubleBook:
    """`clock`: seconds since the epoch."""

    def __init__(self, cache: ClusterCache, *, clock: Callable[[], float], policy: Policy) -> None:
        self._cache = cache
        self._clock = clock
        self._policy = policy
        self._histories: dict[GroupId, History] = {}
        self._refused_since: dict[GroupId, dict[str, float]] = {}

    def look(self, seen: Seen) -> Troubles:
        """Note what is to be seen of the group now; what `decide` should know of it."""
        now = self._clock()
        history = self._histories.get(seen.id, History()).pruned(self._policy, now=now)
        for pod in seen.pods:
            domain = (
                _domain_of(pod, seen.holds) if failed_by_node(pod, self._cache.domains) else None
            )
            if domain is not None:
                incarnation = self._cache.leader_uid(pod)
                history = history.with_failure(domain, incarnation, now=now)
        if _is_whole(seen):
            for hold in seen.active:
                history = history.settled(hold.domain)
        self._keep(seen.id, history)
        return Troubles(now, history, self._refusals(seen, now), self._policy)

    def acted(self, group: GroupId, action: Action) -> None:
        """The action was taken."""
        if isinstance(action, LeaveHold) and action.refused:
            history = self._histories.get(group, History())
            now = self._clock()
            self._keep(group, history.with_refusal(action.hold.domain, action.refused, now=now))

    def _keep(self, group: GroupId, history: History) -> None:
        if history == History():
            self._histories.pop(group, None)
        else:
            self._histories[group] = history

    def _refusals(self, seen: Seen, now: float) -> dict[str, float]:
        before = self._refused_since.pop(seen.id, {})
        found = {
            p.uid: before.get(p.uid, now)
            for p in seen.pods
            if p.node is None and p.unschedulable and not p.terminating and not p.finished
        }
        if found:
            self._refused_since[seen.id] = found
        return found


def _domain_of(pod: Pod, holds: Sequence[Hold]) -> DomainName | None:
    return next((h.domain for h in holds if pod.node in h.nodes.values()), None)


def _is_whole(seen: Seen) -> bool:
    bound = [p for p in living_members(seen.pods).values() if p.node is not None]
    return bool(bound) and all(len(bound) == h.size for h in seen.active)
