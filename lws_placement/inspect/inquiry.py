"""The state of a group and its reason: the planner's own decision, without acting on it.

The cache may be that of a real cluster, read once, or one that `run.py` has filled from files.
Either way the answer comes from `engine/reconcile/decide.py` on the state that
`cluster/adapters/group_state.py` observes, so it is what the planner would do now.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cached_property

from lws_placement.cluster.adapters.backfill import Backfill
from lws_placement.cluster.adapters.group_state import context_of, name_of, observe
from lws_placement.cluster.adapters.tenants import ClusterTenants
from lws_placement.cluster.cache.cluster_cache import ClusterCache
from lws_placement.engine.base.whole_numbers import whole_number
from lws_placement.engine.messages import victims_in_words, waiting_note
from lws_placement.engine.model.failure_history import FailureHistory
from lws_placement.engine.model.groups import GroupId
from lws_placement.engine.model.hold_states import HoldState
from lws_placement.engine.model.pods import Pod
from lws_placement.engine.model.queue_order import turn_of_pods
from lws_placement.engine.model.reservation import Reservation, reservations_of
from lws_placement.engine.preemption.blockers import Blockers, Infeasible
from lws_placement.engine.preemption.search import NoPreemption
from lws_placement.engine.preemption.victims import Victim
from lws_placement.engine.reconcile.actions import (
    Action,
    Blocked,
    DeletePod,
    Evict,
    LeaveHold,
    Release,
    Tell,
    TryEvictions,
    Wait,
    WriteHold,
)
from lws_placement.engine.reconcile.decide import decide
from lws_placement.engine.reconcile.group_state import GroupState
from lws_placement.engine.reconcile.succession import inherited
from lws_placement.inspect.misses import Miss, Misses

NO_FAILURES: Mapping[GroupId, FailureHistory] = {}


class Standing(StrEnum):
    PLACED = "placed"
    """It has a domain, and all its pods are bound there."""
    COMING = "coming"
    """It has a domain; pods are still on their way."""
    PREEMPTS = "preempts"
    """Others are to be evicted for it."""
    NEXT = "next"
    """There is a domain for it that the planner has not taken yet."""
    WAITS = "waits"
    BLOCKED = "blocked"
    """Somebody has to act first."""
    CHANGING = "changing"
    """Pods of it are to be replaced, or it is to be moved."""
    GONE = "gone"
    """It has no pods; a domain may be kept for those to come."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The state of one group. `note` is the text of its events."""

    group: GroupId
    name: str
    standing: Standing
    note: str
    pods: Sequence[Pod] = ()
    """Living members, by rank."""
    size: int = 0
    priority: int = 0
    reservation: Reservation | None = None
    """What it has, or may have now."""
    place: int = 0
    """Of a group that waits: its place in the queue, from 1."""
    before: str = ""
    """The group right before it."""
    misses: tuple[Miss, ...] = ()
    """Nearest first; not all, if there are many."""
    more: int = 0
    """Domains that are left out of `misses`."""
    blockers: Blockers | Infeasible | None = None
    """What would have to end for it, where that is no question of one domain."""
    nobody: NoPreemption | None = None
    """Why a group that waits has nobody evicted."""


class Inquiry:
    """Answers about the groups of one cache, valid until the cache changes.

    `most`: domains whose refusal is explained. `failures`: the planner's failure histories.
    """

    def __init__(
        self,
        cache: ClusterCache,
        *,
        most: int = 8,
        failures: Mapping[GroupId, FailureHistory] = NO_FAILURES,
    ) -> None:
        self._cache = cache
        self._failures = failures
        self._context = context_of(cache, ClusterTenants(cache))
        self._misses = Misses(cache, self._context.tenants, most=most)

    def rehearse(self) -> None:
        """Reserves for waiting groups the places that the planner keeps for them. Needed for a
        cache that was read from a cluster. Decides each group in the queue once.
        """
        backfill = Backfill(self._cache.domains)
        for group in self.queue:
            observed = self._observe(group)
            backfill.decided(observed, decide(observed, self._context))

    def groups_of(self, namespace: str, name: str, *, kind: str = "") -> list[GroupId]:
        """The groups of the LeaderWorkerSet of that name, else the group of the pod of that name.

        `kind`: "lws" or "pod" restricts the search. A group that is not of a LeaderWorkerSet counts
        as a set of one.
        """
        groups = [g for g in self._cache.groups() if g.namespace == namespace]
        found = [g for g in groups if g.lws == name and kind != "pod"]
        if not found and kind != "lws":
            found = [g for g in groups if any(p.name == name for p in self._cache.group_pods(g))]
        return sorted(found, key=self._by_index)

    @cached_property
    def queue(self) -> tuple[GroupId, ...]:
        """Groups that have no domain and want one, in the order in which they are planned."""
        waiting = [g for g in self._cache.groups() if self._waits(g)]
        return tuple(sorted(waiting, key=lambda g: turn_of_pods(g, self._cache.group_pods(g))))

    @cached_property
    def _places(self) -> Mapping[GroupId, int]:
        return {group: place for place, group in enumerate(self.queue)}

    def name_of(self, group: GroupId) -> str:
        """Namespace and name of its leader pod."""
        return name_of(self._cache, group)

    def place_of(self, uid: str) -> str:
        """A pod and its node, in words."""
        pod = self._cache.pod(uid)
        return f"pod {pod.key} on {pod.node}" if pod is not None else f"pod {uid}"

    def about(self, group: GroupId) -> Answer:
        observed = self._observe(group)
        return self.answer(observed, decide(observed, self._context))

    def answer(self, observed: GroupState, actions: Sequence[Action]) -> Answer:
        """The state of a group for which the engine decided `actions`, and what users are told."""
        answer = self._answer(observed, actions)
        told = [action.note for action in actions if isinstance(action, Tell)]
        return replace(answer, note="; ".join([answer.note, *told]))

    def _answer(self, observed: GroupState, actions: Sequence[Action]) -> Answer:
        members = observed.members
        if not members or observed.is_over:
            return self._gone(observed)
        for action in actions:
            if isinstance(action, TryEvictions):
                return self._preempting(observed, Reservation(action.holds), action.victims)
        if any(isinstance(a, WriteHold) for a in actions) and not observed.active:
            found = Reservation(tuple(a.hold for a in actions if isinstance(a, WriteHold)))
            note = f"there is room in {found.where}, which the planner is about to take"
            return self._of(observed, Standing.NEXT, note, reservation=found)
        for action in actions:
            match action:
                case Wait():
                    return self._waiting(observed, action)
                case Blocked(why):
                    return self._of(observed, Standing.BLOCKED, why)
                case DeletePod(pod, why, whole):
                    what = "is to be restarted" if whole else f"pod {pod.name} is to be replaced"
                    return self._of(observed, Standing.CHANGING, f"{what}: {why}")
                case Evict(by=hold):
                    note = f"is preempted by {self.name_of(hold.group)}"
                    return self._of(observed, Standing.CHANGING, note)
                case LeaveHold(hold, why):
                    where = Reservation((hold,)).where
                    return self._of(observed, Standing.CHANGING, f"is to leave {where}: {why}")
                case Release():
                    return self._of(observed, Standing.CHANGING, "is left to kube-scheduler")
                case _:
                    continue
        for coming in reservations_of(observed.coming, HoldState.COMING):
            return self._preempting(observed, coming, ())
        return self._settled(observed)

    def _observe(self, group: GroupId) -> GroupState:
        observed = observe(self._cache, group, plan_id="")
        told = self._failures.get(group) or self._failures.get(group.of_set)
        return replace(observed, failures=told or observed.failures)

    # -- standings -------------------------------------------------------------------------------

    def _settled(self, observed: GroupState) -> Answer:
        members = observed.members
        bound = sum(p.node is not None for p in members.values())
        reservation = self._cache.reservation_of(observed.id)
        if reservation is None:
            return self._of(observed, Standing.CHANGING, "its pods come or go")
        note = f"has {reservation.where}, {bound} of {reservation.size} pods are bound there"
        standing = Standing.PLACED if bound == reservation.size else Standing.COMING
        return self._of(observed, standing, note, reservation=reservation)

    def _preempting(
        self, observed: GroupState, coming: Reservation, victims: Sequence[Victim]
    ) -> Answer:
        left = inherited(observed, coming)
        if left is not None:
            note = (
                f"takes {coming.where} over, once the pods of {self.name_of(left.group)} are gone"
            )
            return self._of(observed, Standing.COMING, note, reservation=coming)
        if victims:
            others = victims_in_words(victims, self.name_of)
        else:
            others = ", ".join(self.name_of(g) for g in coming.evicts) or "foreign pods"
        note = f"takes {coming.where} over from {others}"
        return self._of(observed, Standing.PREEMPTS, note, reservation=coming)

    def _gone(self, observed: GroupState) -> Answer:
        note = "its pods are on their way out" if observed.pods else "has no pods"
        if observed.active:
            note += f"; {Reservation(observed.active).where} is kept for those to come"
        if observed.leaving:
            where = Reservation(observed.leaving).where
            note += f"; {where} stays shut until it is certain that none is left"
        return self._of(observed, Standing.GONE, note)

    def _waiting(self, observed: GroupState, wait: Wait) -> Answer:
        place = self._places.get(observed.id, 0)
        told, size = self._misses.of(wait.group, wait.verdict), wait.group.size
        note = waiting_note(wait.verdict, size=size, nobody=wait.nobody, besides=wait.besides)
        answer = self._of(observed, Standing.WAITS, note)
        return replace(
            answer,
            size=size,
            place=place + 1,
            before=self.name_of(self.queue[place - 1]) if place else "",
            misses=told.misses,
            more=len(wait.verdict.reasons) - len(told.misses),
            blockers=told.blockers,
            nobody=wait.nobody,
        )

    def _of(
        self,
        observed: GroupState,
        standing: Standing,
        note: str,
        *,
        reservation: Reservation | None = None,
    ) -> Answer:
        members = observed.members
        sizes = [p.member.size for p in members.values() if p.member is not None]
        return Answer(
            group=observed.id,
            name=self.name_of(observed.id),
            standing=standing,
            note=note,
            pods=tuple(members.values()),
            size=sizes[0] if sizes else 0,
            priority=max((p.priority for p in members.values()), default=0),
            reservation=reservation,
        )

    def _waits(self, group: GroupId) -> bool:
        gated = any(p.gated for p in self._cache.group_pods(group))
        return gated and self._cache.reservation_of(group) is None

    def _by_index(self, group: GroupId) -> tuple[str, int, str]:
        name = self.name_of(group)
        stem, _, ordinal = name.rpartition("-")
        index = whole_number(ordinal)
        return (stem, index, name) if index is not None else (name, 0, name)
