"""What users are told of their groups: events on the LeaderWorkerSet and on the leader pod, and a
condition on a leader pod that waits.

The words come from `engine/messages.py`; an unchanged text is not said twice.
"""

import asyncio
from collections.abc import Coroutine, Sequence
from functools import partial
from typing import Any

from lws_placement import metrics
from lws_placement.cluster.adapters.group_names import name_of
from lws_placement.cluster.api.events import EventRecorder
from lws_placement.cluster.cache.cluster_cache import ClusterCache
from lws_placement.engine.base.group_names import is_keyed
from lws_placement.engine.base.raw import Raw
from lws_placement.engine.messages import gist, victims_in_words, waiting_note
from lws_placement.engine.model.groups import GroupId, GroupKind
from lws_placement.engine.model.hold_states import HoldState
from lws_placement.engine.model.pods import Pod
from lws_placement.engine.model.reservation import Hold, Reservation
from lws_placement.engine.preemption.victims import Victim
from lws_placement.engine.reconcile.actions import Blocked, Topic, Wait
from lws_placement.engine.reconcile.foreign_preemption import is_for_pod
from lws_placement.planner.leader_annotations import LeaderAnnotations


class EventReporter:
    def __init__(
        self, recorder: EventRecorder, cache: ClusterCache, conditions: LeaderAnnotations
    ) -> None:
        self._recorder = recorder
        self._cache = cache
        self._conditions = conditions
        self._name_of = partial(name_of, cache)
        self._tasks: set[asyncio.Task[Any]] = set()

    async def placed(self, group: GroupId, reservation: Reservation) -> None:
        """Not of a group that is planned ahead, which is as everyone expects: its hold shows it."""
        self._conditions.placed(group)
        if not self._speakers(group):
            return
        first = reservation.holds[0]
        note = f"group {_index(first)} has {reservation.where} for its {first.size} pods"
        self._say(group, reason="Placed", note=note, action="Plan")

    async def leaving(
        self, group: GroupId, hold: Hold, why: str, *, preempted: bool = False
    ) -> None:
        if not preempted:
            metrics.REPAIRS.labels(metrics.Repair.MOVE).inc()
        elif not any(h.state is HoldState.ACTIVE for h in self._cache.holds_of(group)):
            metrics.PREEMPTIONS.labels(metrics.Preempted.GROUP).inc()
        note = f"group {_index(hold)} leaves {Reservation((hold,)).where}: {why}"
        self._say(group, reason="Moving", note=note, action="Repair", type="Warning")

    async def deleted(self, group: GroupId, pod: Pod, *, why: str, whole: bool) -> None:
        kind = metrics.Repair.RESTART if whole else metrics.Repair.REPLACE
        metrics.REPAIRS.labels(kind).inc()
        what = f"restarts the group of {pod.name}" if whole else f"replaces pod {pod.name}"
        self._say(group, reason="Repairing", note=f"{what}: {why}", action="Repair", type="Warning")

    async def preempts(
        self, group: GroupId, coming: Reservation, victims: Sequence[Victim]
    ) -> None:
        hold = coming.holds[0]
        who = f"pod {hold.leader_name}" if is_for_pod(hold) else f"group {_index(hold)}"
        note = f"{who} takes {coming.where} over from {victims_in_words(victims, self._name_of)}"
        self._say(group, reason="Preempting", note=note, action="Preempt")

    async def evicted(self, pod: Pod, by: Hold) -> None:
        """Said of a member's group once; of a foreign pod itself."""
        who = "pod" if is_for_pod(by) else "group"
        how = "to make room" if by.domain.anywhere else f"from {by.domain}"
        note = f"evicted {how} for {who} {by.owner}, which outranks it"
        said = {"reason": "Preempted", "note": note, "action": "Preempt", "type": "Warning"}
        group = self._cache.group_of(pod)
        if group is not None:
            self._say(group, **said)
            return
        metrics.PREEMPTIONS.labels(metrics.Preempted.POD).inc()
        pod_itself = _reference("v1", "Pod", name=pod.name, namespace=pod.namespace, uid=pod.uid)
        self._emit(self._recorder.emit(pod_itself, **said))

    async def not_evicted(self, group: GroupId, pod: Pod, why: str) -> None:
        note = f"pod {pod.key} cannot be evicted for it now: {why}"
        self._say(group, reason="EvictionRefused", note=note, action="Preempt", type="Warning")

    async def forced(self, group: GroupId, pod: Pod, *, why: str) -> None:
        metrics.REPAIRS.labels(metrics.Repair.FORCE).inc()
        note = f"forces the deletion of pod {pod.name}: {why}"
        self._say(group, reason="Repairing", note=note, action="Repair", type="Warning")

    async def told(self, group: GroupId, topic: Topic, note: str) -> None:
        self._say(
            group, reason=topic.value, note=note, action="Watch", type="Warning", topic=topic.value
        )

    async def waiting(self, group: GroupId, wait: Wait) -> None:
        verdict, nobody = wait.verdict, wait.nobody
        note = waiting_note(verdict, size=wait.size, nobody=nobody, larger=wait.larger)
        self._waits(group, reason="WaitingForDomain", note=note, gist=gist(verdict, nobody))

    async def blocked(self, group: GroupId, blocked: Blocked) -> None:
        gist = blocked.gist or blocked.why
        self._waits(group, reason=blocked.hindrance.value, note=blocked.why, gist=gist)

    def _waits(self, group: GroupId, *, reason: str, note: str, gist: str) -> None:
        self._say(group, reason=reason, note=note, action="Plan", type="Warning", gist=gist)
        self._conditions.waits(group, reason=reason, message=note, gist=gist)

    def _say(
        self,
        group: GroupId,
        *,
        reason: str,
        note: str,
        action: str,
        type: str = "Normal",
        gist: str = "",
        topic: str = "",
    ) -> None:
        """Without waiting: events never hold up a placement."""
        for regarding in self._about(group):
            self._emit(
                self._recorder.emit(
                    regarding,
                    reason=reason,
                    note=note,
                    action=action,
                    type=type,
                    topic=f"{group.group_key}{topic}",
                    gist=gist,
                )
            )

    def _emit(self, event: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(event)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _speakers(self, group: GroupId) -> list[Pod]:
        """The leader pod; of a group without one the first by name."""
        living = [p for p in self._cache.group_pods(group) if not p.terminating]
        leaders = [p for p in living if p.member is not None and p.member.rank == 0]
        return leaders if group.kind is GroupKind.LWS else living[:1]

    def _about(self, group: GroupId) -> list[Raw]:
        found = [
            _reference("v1", "Pod", name=p.name, namespace=p.namespace, uid=p.uid)
            for p in self._speakers(group)
        ]
        foreign = self._cache.pod(group.lws_uid) if group.kind is GroupKind.POD else None
        if foreign is not None:
            name, namespace = foreign.name, foreign.namespace
            found.append(_reference("v1", "Pod", name=name, namespace=namespace, uid=foreign.uid))
        if self._cache.lws_of(group) is not None:
            found.append(
                _reference(
                    "leaderworkerset.x-k8s.io/v1",
                    "LeaderWorkerSet",
                    name=group.lws,
                    namespace=group.namespace,
                    uid=group.lws_uid,
                )
            )
        return found


def _index(hold: Hold) -> str:
    """What people call the group: a key of its own says nothing to them."""
    keyed = is_keyed(hold.group_index, hold.group.group_key)
    return hold.leader_name if keyed or not hold.group_index else hold.group_index


def _reference(api_version: str, kind: str, *, name: str, namespace: str, uid: str) -> Raw:
    meta = {"name": name, "namespace": namespace, "uid": uid}
    return {"apiVersion": api_version, "kind": kind, "metadata": meta}
