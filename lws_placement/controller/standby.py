"""Restarts that fall due while this replica does not lead.

A force-deleted worker leaves no trace on the API server: its StatefulSet creates another at once,
and nothing distinguishes the two. If no replica leads at that moment, the next leader could only
guess. But a standby replica sees the deletion, and acts on it when it takes over: it deletes the
same leader pod, by UID. If another replica deleted it before, that pod is gone and nothing happens.

Entries older than a minute are dropped: the replica that led then has handled them.
"""

from collections.abc import Callable

from lws_placement.controller.informer_cache import Observed
from lws_placement.controller.restarts import leader_to_delete
from lws_placement.engine.lws.restart import PodState, calls_for_restart

_KEPT_S = 60.0


class Standby:
    """`clock`: monotonic seconds."""

    def __init__(self, observed: Observed, *, clock: Callable[[], float]) -> None:
        self._observed = observed
        self._clock = clock
        self._due: list[tuple[float, PodState]] = []

    def look(self, pod: PodState) -> None:
        """Checks a changed or deleted pod; existing pods are checked when this replica leads."""
        now_s = self._clock()
        self._due = [(at_s, p) for at_s, p in self._due if now_s - at_s < _KEPT_S]
        there = self._observed.pod((pod.namespace, pod.name))
        lws = self._observed.lws.get((pod.namespace, pod.lws))
        is_there = there is not None and there.uid == pod.uid
        if is_there or lws is None or not calls_for_restart(pod):
            return
        if leader_to_delete(self._observed, lws, pod) is not None:
            self._due.append((now_s, pod))

    def take(self) -> list[PodState]:
        """Returns and clears the pods that still have to restart their groups."""
        now_s = self._clock()
        due, self._due = self._due, []
        return [pod for at_s, pod in due if now_s - at_s < _KEPT_S]
