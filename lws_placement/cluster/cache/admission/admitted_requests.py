"""Demands of members as admitted: per set, revision and role, from the group whose member of that
role was created last, so that a change of what admission adds takes effect.

In memory, and rebuilt from existing pods: a new planner does not know demands that no existing pod
has, and learns them from the next pods.
"""

from dataclasses import dataclass, field, replace

from lws_placement.engine.base import keys
from lws_placement.engine.base.lru import LruCache
from lws_placement.engine.model.groups import GroupId
from lws_placement.engine.model.pods import Demand, Pod, Rank
from lws_placement.engine.reconcile.admitted_demand import Admitted

_SETS = 10_000
_REVISIONS = 16
_RANKS = 4096

LwsName = tuple[str, str]
"""(namespace, LeaderWorkerSet's name)."""
Revision = tuple[str, str]
"""(UID of the LeaderWorkerSet, revision key)."""


@dataclass(slots=True)
class _Group:
    """Members of one role, in the group that had the newest one."""

    key: str = ""
    made_s: float = float("-inf")
    by_rank: dict[Rank, tuple[float, Demand]] = field(default_factory=dict)

    def add(self, key: str, rank: Rank, pod: Pod) -> None:
        if key != self.key:
            if pod.created_s < self.made_s:
                return
            self.key, self.by_rank = key, {}
        self.made_s = max(self.made_s, pod.created_s)
        known = self.by_rank.get(rank)
        if known is not None and known[0] > pod.created_s:
            return
        if known is not None or len(self.by_rank) < _RANKS:
            self.by_rank[rank] = (pod.created_s, _of_any_place(pod))

    @property
    def demands(self) -> tuple[Demand, ...]:
        return tuple(dict.fromkeys(demand for _, demand in self.by_rank.values()))


def _of_any_place(pod: Pod) -> Demand:
    """The pod's demand without what ties it to its own place: the domain that LeaderWorkerSet gives
    a worker, a node, its volumes, rules about other pods.
    """
    request = pod.member.request.keys if pod.member is not None else ()
    ties = {keys.HOSTNAME, *request}
    selector = tuple(item for item in pod.demand.selector if item[0] not in ties)
    return replace(pod.demand, selector=selector, rules=None, volumes=())


@dataclass(slots=True)
class _Roles:
    leader: _Group = field(default_factory=_Group)
    worker: _Group = field(default_factory=_Group)


class AdmittedRequests:
    """Bounded: keeps the sets, and the revisions of a set, that had a new pod or a query last."""

    def __init__(self) -> None:
        self._sets: LruCache[LwsName, LruCache[Revision, _Roles]] = LruCache(_SETS)

    def put(self, group: GroupId, pod: Pod) -> None:
        """Takes a pod of this group, as admitted."""
        member = pod.member
        if member is None or not member.of_lws:
            return
        name, revision = (group.namespace, group.lws), (group.lws_uid, member.revision)
        revisions = self._sets.get_or_make(name, lambda: LruCache(_REVISIONS))
        roles = revisions.get_or_make(revision, _Roles)
        which = roles.leader if member.rank == 0 else roles.worker
        which.add(group.group_key, member.rank, pod)

    def of(self, group: GroupId, revision: str) -> Admitted:
        """Demands of admitted members of the group's set at this revision."""
        revisions = self._sets.get((group.namespace, group.lws))
        roles = revisions.get((group.lws_uid, revision)) if revisions is not None else None
        if roles is None:
            return Admitted()
        return Admitted(roles.leader.demands, roles.worker.demands)

    def forget_workers(self, group: GroupId, revision: str) -> None:
        """Forgets the workers of the group's set at this revision."""
        revisions = self._sets.get((group.namespace, group.lws))
        roles = revisions.get((group.lws_uid, revision)) if revisions is not None else None
        if roles is not None:
            roles.worker = _Group()

    def forget(self, namespace: str, lws: str, revision: str | None = None) -> None:
        """Forgets a deleted set, or one deleted revision of it."""
        if revision is None:
            self._sets.drop((namespace, lws))
            return
        revisions = self._sets.get((namespace, lws))
        if revisions is None:
            return
        for known in [known for known in revisions if known[1] == revision]:
            revisions.drop(known)
