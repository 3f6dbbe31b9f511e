"""Verdicts -> the words users read, in events and everywhere else.

A text changes only when the verdict does: no ages, ids or counters, since an event whose text
changes is written again.
"""

from collections import Counter

from lws_placement.engine.model import NoFit, Reason, Why
from lws_placement.engine.refusals import Refusals, classes

ROOM_IS_HELD = "its room is held for a LeaderWorkerSet group with exclusive topology"
"""What a foreign pod is told of a node that it is kept off; also how such pods are recognised."""

_MOST = 900  # an Event's note holds 1024 characters
_CLASSES = 6


def waiting_note(verdict: NoFit, *, size: int) -> str:
    """Why a group of `size` pods waits: one sentence per class of domains, the nearest miss
    first.
    """
    if not verdict.reasons:
        return (
            f"no node carries the label {verdict.topology_key}, which the annotation "
            "leaderworkerset.sigs.k8s.io/exclusive-topology asks for; "
            "see kubectl get nodes --show-labels"
        )
    pods = "1 pod" if size == 1 else f"{size} pods"
    return _cut(
        f"waits for a whole domain of {verdict.topology_key} for {pods}: {summarise(verdict)}"
    )


def summarise(verdict: NoFit) -> str:
    """For example "12 domains held by another group, 3 domains have 3 of 4 nodes that fit"."""
    found = verdict.reasons
    alike = found.classes if isinstance(found, Refusals) else classes(found.values())
    counts: Counter[tuple[str, str]] = Counter()
    nearest: dict[tuple[str, str], tuple[int, float]] = {}
    for reason, number in alike.items():
        words = _in_words(reason)
        counts[words] += number
        nearest[words] = _nearness(reason)
    ordered = sorted(counts, key=lambda words: (nearest[words], -counts[words], words))
    parts = [_counted(counts[words], words) for words in ordered[:_CLASSES]]
    more = sum(counts[words] for words in ordered[_CLASSES:])
    if more:
        parts.append(f"{more} more do not fit either")
    return ", ".join(parts)


def _nearness(reason: Reason) -> tuple[int, float]:
    """Smaller is nearer to a fit: room that lacks little, then room that only has to become
    free.
    """
    match reason.why:
        case Why.NO_MATCHING | Why.NOT_PROVEN:
            return (0, 0.0)
        case Why.TOO_FEW_NODES if reason.fit:
            return (1, -reason.fit / max(reason.nodes, 1))
        case Why.HELD | Why.OVERLAPS | Why.OCCUPIED:
            return (2, 0.0)
        case _:
            return (3, 0.0)


def _in_words(reason: Reason) -> tuple[str, str]:
    """(after "1 domain", after "n domains")."""
    if reason.why is Why.TOO_FEW_NODES:
        why = f" ({reason.detail})" if reason.detail else ""
        rest = f"{reason.fit} of {_nodes(reason.nodes)} that fit{why}"
        return f"has {rest}", f"have {rest}"
    plural = {
        Why.HELD: "held by other groups",
        Why.OVERLAPS: "share nodes with other groups' domains",
        Why.OCCUPIED: "have running pods of other groups",
        Why.NO_MATCHING: "have room for each member alone but not for all at once",
    }
    return reason.why.value, plural.get(reason.why, reason.why.value)


def _counted(number: int, words: tuple[str, str]) -> str:
    return f"1 domain {words[0]}" if number == 1 else f"{number} domains {words[1]}"


def _nodes(number: int) -> str:
    return "1 node" if number == 1 else f"{number} nodes"


def _cut(text: str) -> str:
    return text if len(text) <= _MOST else f"{text[: _MOST - 1]}…"
