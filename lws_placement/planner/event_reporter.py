"""Reports to users: events on the LeaderWorkerSet and on the leader pod, and a condition on a
leader pod that waits.

The texts come from `engine/messages.py`. An unchanged text is not repeated.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from lws_placement import metrics
from lws_placement.cluster.adapters.group_state import name_of
from lws_placement.cluster.api.events import Event, EventRecorder, about_lws, about_pod
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
        self, recorder: EventRecorder, cache: ClusterCache, annotations: LeaderAnnotations
    ) -> None:
        self._recorder = recorder
        self._cache = cache
        self._annotations = annotations
        self._name_of = partial(name_of, cache)
        self._tasks: set[asyncio.Task[None]] = set()

    def placed(self, group: GroupId, reservation: Reservation) -> None:
        """Reports nothing for a group planned ahead of its pods: its hold shows the placement."""
        self._annotations.placed(group)
        if not self._speakers(group):
            return
        first = reservation.holds[0]
        note = f"group {_index(first)} has {reservation.where} for its {first.size} pods"
        self._say(group, Event("Placed", note, "Plan"))

    def leaving(self, group: GroupId, hold: Hold, why: str, *, preempted: bool = False) -> None:
        if not preempted:
            metrics.REPAIRS.labels(metrics.Repair.MOVE).inc()
        elif not any(h.state is HoldState.ACTIVE for h in self._cache.holds_of(group)):
            metrics.PREEMPTIONS.labels(metrics.Preempted.GROUP).inc()
        note = f"group {_index(hold)} leaves {Reservation((hold,)).where}: {why}"
        self._say(group, Event("Moving", note, "Repair", "Warning"))

    def deleted(self, group: GroupId, pod: Pod, *, why: str, whole: bool) -> None:
        if whole:
            what = f"restarts the group of {pod.name}"
            self._repairs(group, metrics.Repair.RESTART, f"{what}: {why}")
        else:
            self._repairs(group, metrics.Repair.REPLACE, f"replaces pod {pod.name}: {why}")

    def forced(self, group: GroupId, pod: Pod, *, why: str) -> None:
        note = f"forces the deletion of pod {pod.name}: {why}"
        self._repairs(group, metrics.Repair.FORCE, note)

    def preempts(self, group: GroupId, coming: Reservation, victims: Sequence[Victim]) -> None:
        hold = coming.holds[0]
        who = f"pod {hold.leader_name}" if is_for_pod(hold) else f"group {_index(hold)}"
        note = f"{who} takes {coming.where} over from {victims_in_words(victims, self._name_of)}"
        self._say(group, Event("Preempting", note, "Preempt"))

    def evicted(self, pod: Pod, by: Hold) -> None:
        """Reports an evicted member once on its group, an evicted foreign pod on the pod."""
        who = "pod" if is_for_pod(by) else "group"
        how = "to make room" if by.domain.anywhere else f"from {by.domain}"
        note = f"evicted {how} for {who} {by.owner}, which outranks it"
        event = Event("Preempted", note, "Preempt", "Warning")
        group = self._cache.group_of(pod)
        if group is not None:
            self._say(group, event)
            return
        metrics.PREEMPTIONS.labels(metrics.Preempted.POD).inc()
        self._emit(about_pod(pod), event)

    def not_evicted(self, group: GroupId, pod: Pod, why: str) -> None:
        note = f"pod {pod.key} cannot be evicted for it now: {why}"
        self._say(group, Event("EvictionRefused", note, "Preempt", "Warning"))

    def told(self, group: GroupId, topic: Topic, note: str) -> None:
        self._say(group, Event(topic.value, note, "Watch", "Warning", topic=topic.value))

    def scale_up(self, group: GroupId, note: str) -> None:
        self._say(group, Event("ScaleUp", note, "ScaleUp"))

    def scale_up_failed(self, group: GroupId, note: str) -> None:
        metrics.SCALE_UPS.labels(metrics.ScaleUp.FAILED).inc()
        text = f"no domain was made for it: {note}"
        self._say(group, Event("ScaleUpFailed", text, "ScaleUp", "Warning"))

    async def waiting(self, group: GroupId, wait: Wait) -> None:
        verdict, nobody = wait.verdict, wait.nobody
        note = waiting_note(verdict, size=wait.group.size, nobody=nobody, besides=wait.besides)
        self._waits(group, reason="WaitingForDomain", note=note, gist=gist(verdict, nobody))
        await self._annotations.tell_surge(group)

    def blocked(self, group: GroupId, blocked: Blocked) -> None:
        gist = blocked.gist or blocked.why
        self._waits(group, reason=blocked.hindrance.value, note=blocked.why, gist=gist)

    def _waits(self, group: GroupId, *, reason: str, note: str, gist: str) -> None:
        self._say(group, Event(reason, note, "Plan", "Warning", gist=gist))
        self._annotations.waits(group, reason=reason, message=note, gist=gist)

    def _repairs(self, group: GroupId, how: metrics.Repair, note: str) -> None:
        metrics.REPAIRS.labels(how).inc()
        self._say(group, Event("Repairing", note, "Repair", "Warning"))

    def _say(self, group: GroupId, event: Event) -> None:
        event = replace(event, topic=f"{group.group_key}{event.topic}")
        for regarding in self._about(group):
            self._emit(regarding, event)

    def _emit(self, regarding: Raw, event: Event) -> None:
        """Does not wait: events never delay a placement."""
        task = asyncio.create_task(self._recorder.emit(regarding, event))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _speakers(self, group: GroupId) -> list[Pod]:
        """The leader pods of a LeaderWorkerSet's group; of any other the first by name."""
        living = [p for p in self._cache.group_pods(group) if not p.terminating]
        leaders = [p for p in living if p.member is not None and p.member.rank == 0]
        return leaders if group.kind is GroupKind.LWS else living[:1]

    def _about(self, group: GroupId) -> list[Raw]:
        found = list(map(about_pod, self._speakers(group)))
        foreign = self._cache.pod(group.lws_uid) if group.kind is GroupKind.POD else None
        if foreign is not None:
            found.append(about_pod(foreign))
        if self._cache.workloads.lws_of(group) is not None:
            meta = {"name": group.lws, "namespace": group.namespace, "uid": group.lws_uid}
            found.append(about_lws(meta))
        return found


def _index(hold: Hold) -> str:
    """The group's name in texts: its index, or its leader's name if the group has a hash key."""
    keyed = is_keyed(hold.group_index, hold.group.group_key)
    return hold.leader_name if keyed or not hold.group_index else hold.group_index
