"""Restarts that fall due while this replica does not lead.

A worker that is force-deleted leaves no trace on the API server: its StatefulSet makes another one
at once, and nothing tells it from the first. If nobody leads in that moment, the next leader could
only guess. But a replica that stands by sees the deletion, and what it would have done about it, it
does when it takes over: it deletes that same leader pod, by UID. If somebody did so before, that
pod is gone and nothing happens.

What is older than a minute is forgotten: whoever led then has dealt with it in his own way.
"""

from collections.abc import Callable

from lws_placement.controller.informer_cache import Observed
from lws_placement.controller.restarts import leader_to_delete
from lws_placement.engine.lws.restart import PodState, troubled

_KEPT_S = 60.0


class Standby:
    """`clock`: monotonic seconds."""

    def __init__(self, observed: Observed, *, clock: Callable[[], float]) -> None:
        self._observed = observed
        self._clock = clock
        self._due: list[tuple[float, PodState]] = []

    def look(self, pod: PodState) -> None:
        """At a pod that has changed or is gone; what is there will be seen when we lead."""
        now_s = self._clock()
        self._due = [(at_s, p) for at_s, p in self._due if now_s - at_s < _KEPT_S]
        there = self._observed.pod((pod.namespace, pod.name))
        lws = self._observed.lws.get((pod.namespace, pod.lws))
        if (there is not None and there.uid == pod.uid) or lws is None or not troubled(pod):
            return
        if leader_to_delete(self._observed, lws, pod) is not None:
            self._due.append((now_s, pod))

    def take(self) -> list[PodState]:
        """The pods that are to restart their groups still."""
        now_s = self._clock()
        due, self._due = self._due, []
        return [pod for at_s, pod in due if now_s - at_s < _KEPT_S]
