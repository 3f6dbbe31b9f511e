"""Foreign pods without a node, and what each of them waits for."""

from collections.abc import Collection
from collections.abc import Set as AbstractSet

from lws_placement.engine.fit.guard_index import was_shut_out
from lws_placement.engine.model.pods import Pod
from lws_placement.engine.reconcile.foreign_preemption import waits_for_room


class UnboundPods:
    def __init__(self) -> None:
        self._refused: dict[str, Pod] = {}
        self._roomless: dict[str, Pod] = {}
        self._queued: dict[str, Pod] = {}

    def put(self, pod: Pod, *, of_group: bool) -> bool:
        """Returns whether the pod has just become roomless."""
        foreign = not pod.marked and not of_group
        was_roomless = pod.uid in self._roomless
        for which, belongs in (
            (self._refused, pod.node is None and was_shut_out(pod.unschedulable)),
            (self._roomless, foreign and waits_for_room(pod)),
            (self._queued, foreign and pod.node is None and not pod.gates and pod.living),
        ):
            if belongs:
                which[pod.uid] = pod
            else:
                which.pop(pod.uid, None)
        return not was_roomless and pod.uid in self._roomless

    def drop(self, uid: str) -> None:
        for which in (self._refused, self._roomless, self._queued):
            which.pop(uid, None)

    def refused(self) -> list[Pod]:
        """Those that the extender kept off held room, by priority, then age."""
        return sorted(self._refused.values(), key=lambda p: (-p.priority, p.created_s, p.key))

    @property
    def roomless(self) -> AbstractSet[str]:
        """UIDs of those that kube-scheduler has no room for."""
        return self._roomless.keys()

    @property
    def queued(self) -> Collection[Pod]:
        """Those that kube-scheduler may bind any moment, in no order."""
        return self._queued.values()
