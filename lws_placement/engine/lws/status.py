"""Status of a LeaderWorkerSet from the observed groups (upstream's rules, field by field).

A group is *ready* when its leader is Running with condition Ready and its worker StatefulSet is
ready; *updated* when both carry the current revision. A leader whose worker StatefulSet does not
exist yet does not count.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lws_placement.engine.base.keys import LWS_NAME, LWS_WORKER_INDEX
from lws_placement.engine.base.raw import Raw

AVAILABLE = "Available"
PROGRESSING = "Progressing"
UPDATING = "UpdateInProgress"

_WORDS = {
    AVAILABLE: ("AllGroupsReady", "All replicas are ready"),
    PROGRESSING: ("GroupsProgressing", "Replicas are progressing"),
    UPDATING: ("GroupsUpdating", "Rolling Upgrade is in progress"),
}
_EXCLUDES = {AVAILABLE: (PROGRESSING, UPDATING), PROGRESSING: (AVAILABLE,), UPDATING: (AVAILABLE,)}


@dataclass(frozen=True, slots=True)
class GroupStatus:
    """The observed group. `workers_*`: its worker StatefulSet, if it should have one."""

    index: int
    leader_ready: bool
    leader_revision: str
    workers_exist: bool
    workers_ready: bool
    workers_revision: str
    annotations: tuple[tuple[str, str], ...] = ()
    """Annotations that its leader took from the LeaderWorkerSet's; ignored in the status."""
    unplaceable: bool = False

    def counted(self, size: int) -> bool:
        return size == 1 or self.workers_exist

    def ready(self, size: int) -> bool:
        return self.leader_ready and (size == 1 or self.workers_ready)

    def updated(self, size: int, revision: str) -> bool:
        return self.leader_revision == revision and (size == 1 or self.workers_revision == revision)


def set_is_ready(stateful_set: Raw) -> bool:
    status = stateful_set.get("status") or {}
    return bool(
        stateful_set["spec"].get("replicas", 1) == status.get("availableReplicas", 0)
        and status.get("currentRevision") == status.get("updateRevision")
    )


def new_status(
    lws: Raw, *, leader_replicas: int, groups: Sequence[GroupStatus], revision: str, now: str
) -> Raw:
    """The whole `status`; equal to the old one if nothing changed. `now`: RFC 3339."""
    meta, spec = lws["metadata"], lws["spec"]
    size = spec["leaderWorkerTemplate"].get("size", 1)
    replicas = spec.get("replicas", 1)
    counted = [g for g in groups if g.counted(size)]
    old: Mapping[str, Any] = lws.get("status") or {}
    ready = sum(g.ready(size) for g in counted)
    updated = sum(g.updated(size, revision) for g in counted)
    true = _true_conditions(spec, counted, revision=revision, replicas=replicas)
    conditions = _conditions(
        old.get("conditions") or [], true, generation=meta.get("generation", 0), now=now
    )
    return {
        **old,
        "replicas": leader_replicas,
        "readyReplicas": ready,
        "updatedReplicas": updated,
        "hpaPodSelector": old.get("hpaPodSelector")
        or f"{LWS_NAME}={meta['name']},{LWS_WORKER_INDEX}=0",
        "observedGeneration": meta.get("generation", 0),
        "conditions": conditions,
    }


def turned_true(old: Raw, new: Raw) -> Raw | None:
    """The first condition that became true, for the event that reports it."""
    before = {c["type"] for c in old.get("conditions") or () if c["status"] == "True"}
    for condition in new.get("conditions") or ():
        if condition["status"] == "True" and condition["type"] not in before:
            found: Raw = condition
            return found
    return None


def _true_conditions(
    spec: Raw, groups: Sequence[GroupStatus], *, revision: str, replicas: int
) -> tuple[str, ...]:
    size = spec["leaderWorkerTemplate"].get("size", 1)
    rolling = (spec.get("rolloutStrategy") or {}).get("rollingUpdateConfiguration") or {}
    partition = rolling.get("partition", 0)
    in_range = [g for g in groups if partition <= g.index < replicas]
    updated = [g for g in in_range if g.updated(size, revision)]
    if len(updated) < len(in_range):
        return UPDATING, PROGRESSING
    ready = sum(g.ready(size) for g in groups if g.index < replicas)
    if ready == replicas and all(g.ready(size) for g in in_range):
        return (AVAILABLE,)
    return (PROGRESSING,)


def _conditions(
    old: Sequence[Raw], true: tuple[str, ...], *, generation: int, now: str
) -> list[Raw]:
    """A condition that turns false keeps its reason and message, as clients expect of upstream."""
    by_type = {c["type"]: dict(c) for c in old}
    for kind in true:
        reason, message = _WORDS[kind]
        condition = by_type.get(kind)
        if condition is None or condition["status"] != "True":
            by_type[kind] = {
                "type": kind,
                "status": "True",
                "reason": reason,
                "message": message,
                "lastTransitionTime": now,
            }
        for other in _EXCLUDES[kind]:
            if other in by_type and by_type[other]["status"] == "True":
                by_type[other] |= {"status": "False", "lastTransitionTime": now}
    for condition in by_type.values():
        condition["observedGeneration"] = generation
    return list(by_type.values())
