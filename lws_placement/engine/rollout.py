"""How far a rolling update has come: the leader StatefulSet's partition and replicas.

This is the place of LeaderWorkerSet's group-wise rolling update (partition that falls group by
group, surge groups, `maxUnavailable` counted in whole groups). Today an update only keeps the
user's `partition`; the StatefulSet controller then replaces leaders from the top, paced by
`maxUnavailable` and leader readiness, and each leader takes its workers with it.
"""

from dataclasses import dataclass
from typing import Any

Raw = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Step:
    """What to ask of the leader StatefulSet now."""

    partition: int
    replicas: int


def next_step(lws: Raw) -> Step:
    rolling = (lws["spec"].get("rolloutStrategy") or {}).get("rollingUpdateConfiguration") or {}
    return Step(partition=rolling.get("partition", 0), replicas=lws["spec"].get("replicas", 1))
