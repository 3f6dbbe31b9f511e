"""Limits a group's consecutive restarts and delays them (off by default).

LeaderWorkerSet restarts a group immediately and without limit. With a budget the first restart is
immediate, and each further one waits twice as long as the one before. A group that has spent its
budget is not restarted until its template or its budget changes, or a user deletes its leader. A
group that has run for ten minutes after a restart counts as recovered: its next one is a first one.

Decisions are recorded before they are carried out (a record per group, in an annotation of the
leader StatefulSet), so a pending restart survives the process that decided it.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from lws_placement.engine.base.keys import RESTART_BACKOFF_SECONDS, RESTART_BUDGET
from lws_placement.engine.base.raw import Raw
from lws_placement.engine.base.whole_numbers import whole_number
from lws_placement.engine.lws.conditions import Problem

CRASH_LOOPING = "CrashLooping"
WELL_AFTER_S = 600.0
_FIRST_WAIT_S = 10.0
_LONGEST_WAIT_S = 300.0


@dataclass(frozen=True, slots=True)
class RestartBudget:
    restarts: int
    first_wait_s: float

    def wait_s(self, restart: int) -> float:
        """Seconds from the previous restart to number `restart` in a row."""
        if restart < 2:
            return 0.0
        return float(min(self.first_wait_s * 2 ** min(restart - 2, 20), _LONGEST_WAIT_S))


@dataclass(frozen=True, slots=True)
class RestartRecord:
    """The latest restart of a group: its number in a row, its time and its leader."""

    restart: int
    at_s: float
    leader: str
    revision: str

    def spent(self, budget: RestartBudget) -> bool:
        return self.restart > budget.restarts


RestartRecords = Mapping[str, RestartRecord]
"""By group index."""


def budget_of(lws: Raw) -> RestartBudget | None:
    annotations = lws["metadata"].get("annotations") or {}
    restarts = whole_number(annotations.get(RESTART_BUDGET))
    if restarts is None:
        return None
    wait = whole_number(annotations.get(RESTART_BACKOFF_SECONDS))
    return RestartBudget(restarts, float(wait) if wait is not None else _FIRST_WAIT_S)


def record_of(
    budget: RestartBudget, before: RestartRecord | None, *, leader: str, revision: str, now_s: float
) -> RestartRecord:
    """The record for a group that failed; the previous one if it covers this leader."""
    if before is not None and before.leader == leader:
        return before
    if before is None or before.revision != revision or now_s - before.at_s > WELL_AFTER_S:
        return RestartRecord(1, now_s, leader, revision)
    restart = before.restart + 1
    at_s = max(now_s, before.at_s + budget.wait_s(restart))
    return RestartRecord(restart, at_s, leader, revision)


def crash_looping(
    budget: RestartBudget, records: RestartRecords, *, leaders: Mapping[str, str], now_s: float
) -> Problem | None:
    """The groups that restart repeatedly. `leaders`: group index -> UID of its leader."""
    spent = [g for g, n in records.items() if n.spent(budget) and leaders.get(g) == n.leader]
    again = [g for g, n in records.items() if n.restart > 1 and now_s < n.at_s + WELL_AFTER_S]
    if spent:
        return Problem(
            "RestartBudgetSpent",
            f"left alone after {budget.restarts} restarts in a row: {_groups(spent)}",
        )
    if again:
        return Problem("BackOff", f"restarted more than once in a row: {_groups(again)}")
    return None


def next_look_s(records: RestartRecords, now_s: float) -> float | None:
    """Seconds until a restart is due or a group counts as recovered; None if neither is ahead."""
    times = [t for n in records.values() for t in (n.at_s, n.at_s + WELL_AFTER_S) if t > now_s]
    return min(times) - now_s if times else None


def encode_records(records: RestartRecords) -> str:
    return json.dumps({group: asdict(record) for group, record in sorted(records.items())})


def decode_records(text: str) -> dict[str, RestartRecord]:
    """Empty if the annotation is unreadable."""
    try:
        return {
            str(group): RestartRecord(**fields)
            for group, fields in json.loads(text or "{}").items()
        }
    except (ValueError, TypeError, AttributeError):
        return {}


def _groups(indexes: list[str]) -> str:
    names = sorted(indexes, key=lambda g: (len(g), g))
    return f"group{'s' if len(names) > 1 else ''} {', '.join(names)}"
