"""Conditions that upstream lacks: problems that stop the controller from reconciling a set, in
words.

They appear only once a problem occurs, so that a healthy object looks as upstream leaves it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from lws_placement.engine.base.keys import LWS_EXCLUSIVE_TOPOLOGY
from lws_placement.engine.base.raw import Raw
from lws_placement.engine.lws.validation import why_name_is_too_long, why_not_made

BLOCKED = "Blocked"
"""The user has to act, or groups will be missing forever."""
STANDSTILL = "UpdateStandstill"
"""A rolling update does not go on by itself."""


@dataclass(frozen=True, slots=True)
class Problem:
    reason: str
    message: str


def refused_set(answer: str) -> Problem:
    """The API server refuses the leader StatefulSet."""
    return Problem("StatefulSetRefused", f"the leader StatefulSet was refused: {answer}")


def why_blocked(lws: Raw, *, key_known: bool | None, all_leaders_bound: bool) -> Problem | None:
    """The problem of the object itself. `key_known`: whether a node carries its topology key."""
    problem = why_not_made(lws)
    if problem is not None:
        return Problem("InvalidSpec", str(problem))
    why = why_name_is_too_long(lws)
    if why is not None:
        return Problem("NameTooLong", f"metadata.name {why}")
    key = (lws["metadata"].get("annotations") or {}).get(LWS_EXCLUSIVE_TOPOLOGY)
    if key and key_known is False and not all_leaders_bound:
        return Problem(
            "NoSuchTopologyKey",
            f"no node carries the label {key} of annotation {LWS_EXCLUSIVE_TOPOLOGY}",
        )
    return None


def with_condition(
    conditions: Sequence[Raw], kind: str, problem: Problem | None, *, generation: int, now: str
) -> list[Raw]:
    """The conditions with `kind` true for `problem`; false if it is None and `kind` was present."""
    found = next((c for c in conditions if c["type"] == kind), None)
    if found is None and problem is None:
        return list(conditions)
    made = {
        "type": kind,
        "status": "True" if problem else "False",
        "reason": problem.reason if problem else "Resolved",
        "message": problem.message if problem else "",
        "observedGeneration": generation,
        "lastTransitionTime": now,
    }
    if found is None:
        return [*conditions, made]
    if found["status"] == made["status"]:
        made["lastTransitionTime"] = found["lastTransitionTime"]
    return [made if c is found else c for c in conditions]
