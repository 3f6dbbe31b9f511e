"""Rolling updates in the words that users read in events."""

from collections.abc import Sequence

from lws_placement.engine.lws.conditions import Problem
from lws_placement.engine.lws.rollout import Asked, Groups, Progress, Step, Strategy, stuck_surge

UPDATING = "GroupsUpdating"
PROGRESSING = "GroupsProgressing"
_SHOWN = 5


def update_messages(asked: Asked, step: Step, *, name: str) -> list[tuple[str, str]]:
    """(reason, note) of the step now requested from the leader StatefulSet; upstream's words."""
    notes = []
    highest = min(asked.partition, step.replicas) - 1
    if step.partition <= highest:
        note = f"Updating replicas {step.partition} to {highest} (inclusive)"
        one = f"Updating replica {highest}"
        notes.append((UPDATING, one if step.partition == highest else note))
    surge = range(max(step.replicas, asked.for_replicas), asked.replicas)
    if len(surge) == 1:
        notes.append((PROGRESSING, f"deleting surge replica {name}-{surge[0]}"))
    elif surge:
        note = f"deleting surge replicas from {name}-{surge[0]} to {name}-{surge[-1]}"
        notes.append((PROGRESSING, note))
    return notes


def surge_note(strategy: Strategy, asked: Asked, groups: Sequence[Progress], *, name: str) -> str:
    """How an update treats surge groups without room; empty if there are none."""
    stuck = [f"{name}-{index}" for index in stuck_surge(strategy, groups)]
    if not stuck or asked.for_replicas != strategy.replicas:
        return ""
    who = f"surge {'group' if len(stuck) == 1 else 'groups'} {', '.join(stuck)}"
    verb = "finds" if len(stuck) == 1 else "find"
    if len(stuck) < strategy.surge:
        return f"{who} {verb} no room: the update goes on with the other surge groups"
    if strategy.unavailable and asked.in_order:
        return f"{who} {verb} no room: groups are replaced in place, one after the other"
    if strategy.unavailable:
        return (
            f"{who} {verb} no room: groups are replaced in place, "
            f"at most {strategy.unavailable} at a time (maxUnavailable)"
        )
    return (
        f"{who} {verb} no room and maxUnavailable is 0: the update waits; "
        "free a domain, or raise maxUnavailable to replace groups in place"
    )


def why_at_a_standstill(
    strategy: Strategy, asked: Asked, groups: Sequence[Progress], *, name: str
) -> Problem | None:
    """Why an update that has nothing left to request does not go on, and what would let it; None
    while it goes on or nothing shows that it does not.
    """
    wanted = list(Groups.of(groups).known(stop=strategy.replicas))
    stuck = [f"{name}-{index}" for index, group in wanted if group.unplaceable]
    kept = [
        f"{name}-{index}"
        for index, group in wanted
        if index >= strategy.partition and group.ready and group.old
    ]
    if not kept:
        return None
    surge = surge_note(strategy, asked, groups, name=name)
    if not strategy.unavailable and len(stuck_surge(strategy, groups)) == strategy.surge:
        return Problem("SurgeWaits", surge) if surge else None
    if not stuck or asked.replicas > strategy.replicas:
        return None
    ready = sum(group.ready for _, group in wanted)
    if ready > strategy.least:
        return None
    return Problem(
        "GroupsWithoutRoom",
        f"the update stands still: {_and(stuck)} {'finds' if len(stuck) == 1 else 'find'} no room, "
        f"and {_and(kept)} {'stays' if len(kept) == 1 else 'stay'} at the old revision, as "
        f"{strategy.least} of {strategy.replicas} groups must stay ready (maxUnavailable "
        f"{strategy.unavailable}) and {ready} {'is' if ready == 1 else 'are'}. It goes on once "
        f"{'that group has' if len(stuck) == 1 else 'these groups have'} room: free it, or raise "
        f"maxUnavailable to {strategy.replicas - ready + 1}",
    )


def _and(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_SHOWN])
    return shown if len(names) <= _SHOWN else f"{shown} and {len(names) - _SHOWN} more"
