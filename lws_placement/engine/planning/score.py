"""Which fitting domain is best: the one that leaves the least behind.

In order: domains the group prefers (its own, where its weights are cached), domains it does not
avoid (they failed lately), fewest usable nodes left over, name. One small key function; equal
inputs give equal choices.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

F = TypeVar("F")


@dataclass(frozen=True, slots=True)
class Candidate(Generic[F]):
    """A domain that fits, how many nodes it leaves unused that another member could use, and the
    fit itself.
    """

    domain: str
    left_over: int
    fit: F


def best(
    candidates: Sequence[Candidate[F]], *, prefer: Sequence[str], deprioritized: frozenset[str]
) -> Candidate[F]:
    """Raises ValueError if there is none."""
    wish = {domain: place for place, domain in enumerate(prefer)}

    def key(candidate: Candidate[F]) -> tuple[int, bool, int, str]:
        place = wish.get(candidate.domain, len(wish))
        return place, candidate.domain in deprioritized, candidate.left_over, candidate.domain

    return min(candidates, key=key)
