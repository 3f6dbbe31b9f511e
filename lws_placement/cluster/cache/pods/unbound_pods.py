"""Foreign pods without a node, and what each of them waits for."""

from lws_placement.engine.fit.guard_index import was_shut_out
from lws_placement.engine.model.pods import Pod
from lws_placement.engine.reconcile.foreign_preemption import waits_for_room


class UnboundPods:
    """UIDs. `refused`: pods that the extender kept off held room; `roomless`: pods that
    kube-scheduler has no room for; `queued`: all that it may bind any moment.
    """

    def __init__(self) -> None:
        self.refused: set[str] = set()
        self.roomless: set[str] = set()
        self.queued: set[str] = set()

    def put(self, pod: Pod, *, of_group: bool) -> bool:
        """Returns whether the pod has just become roomless."""
        foreign = not pod.marked and not of_group
        was_roomless = pod.uid in self.roomless
        for which, belongs in (
            (self.refused, pod.node is None and was_shut_out(pod.unschedulable)),
            (self.roomless, foreign and waits_for_room(pod)),
            (self.queued, foreign and pod.node is None and not pod.gates and pod.living),
        ):
            if belongs:
                which.add(pod.uid)
            else:
                which.discard(pod.uid)
        return not was_roomless and pod.uid in self.roomless

    def drop(self, uid: str) -> None:
        for which in (self.refused, self.roomless, self.queued):
            which.discard(uid)
