"""Rules by which a pod's failure restarts its whole group (LeaderWorkerSet's restart policies).

A pod that never ran does not count: its deletion restarts no group, so that placement may replace
it. Phase Failed always counts, whatever happens to the pod.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from lws_placement.engine.base.keys import LWS_RECREATE_AFTER_START
from lws_placement.engine.base.raw import Raw

_RECREATE = ("RecreateGroupOnPodRestart", "RecreateGroupAfterStart")


@dataclass(frozen=True, slots=True)
class PodState:
    """The controller's view of a pod."""

    namespace: str
    name: str
    uid: str
    lws: str
    worker_index: str
    group_index: str
    revision: str
    phase: str
    ready: bool
    node: str
    restarted: bool
    """Any container or init container has a restartCount above 0."""
    terminating: bool
    owner_uid: str
    leader_name: str
    has_leader_annotation: bool
    planned_node: str = ""
    """The node that placement reserves for this pod, once the pod waits only to be bound."""
    size: int = 0
    """Pods of its group, as it was created; 0: not known."""
    annotations: tuple[tuple[str, str], ...] = ()
    """Its annotations that come from the LeaderWorkerSet's own."""
    unplaceable: bool = False
    """Planner or scheduler tried it and found no room."""

    @property
    def is_leader(self) -> bool:
        return self.worker_index == "0"


def calls_for_restart(pod: PodState) -> bool:
    """True if this pod's state calls for a restart of its group under a recreate policy."""
    if pod.phase == "Failed":
        return True
    if pod.terminating:
        return bool(pod.node) or pod.restarted or pod.phase == "Running"
    return pod.restarted and pod.phase in ("Running", "Pending")


def why_no_restart(
    lws: Raw,
    pod: PodState,
    *,
    leader: PodState | None,
    workers_owner: str | None,
    group: Sequence[PodState],
) -> str | None:
    """Why the group of a failed pod is not restarted; None if its leader is to be deleted.

    `workers_owner`: UID of the pod that owns the worker StatefulSet of `pod`, None if that is gone.
    """
    parts = lws["spec"]["leaderWorkerTemplate"]
    policy = parts.get("restartPolicy", "RecreateGroupOnPodRestart")
    if policy not in _RECREATE:
        return "the policy is not to recreate"
    annotations = lws["metadata"].get("annotations") or {}
    after_start = policy == "RecreateGroupAfterStart" or LWS_RECREATE_AFTER_START in annotations
    if after_start:
        if len(group) != parts.get("size", 1):
            return "not all pods of the group exist"
        if any(p.phase == "Pending" for p in group):
            return "a pod of the group has not started yet"
    if leader is None:
        return "the leader is gone already"
    if leader.terminating:
        return "the leader is being deleted already"
    if not pod.is_leader:
        if pod.revision != leader.revision:
            return "the leader has another revision"
        if workers_owner != leader.uid:
            return "it belongs to an earlier leader"
    return None
