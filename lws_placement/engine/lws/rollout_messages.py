"""Rolling updates in the words that users read in events."""

from collections.abc import Sequence

from lws_placement.engine.lws.rollout import Asked, Progress, Step, Strategy, stuck_surge

UPDATING = "GroupsUpdating"
PROGRESSING = "GroupsProgressing"


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
