"""Selects the fewest victims among the candidates: branch and bound over which are spared.

Evicting more never makes a fit impossible, so a branch ends where evicting all undecided candidates
is not enough. Budgets forbid more and more, so it also ends where they forbid what is decided.
Interchangeable pods are evicted in order of name. Fewest groups count first, then pods, then names.
Exact up to `most` trials; beyond that the result is the best set so far, from which no single
victim can be spared: the first descent spares as many as it can, one after the other, and always
finishes.
"""

from collections.abc import Hashable, Sequence
from typing import Protocol

from lws_placement.engine.fit.assignment import NoMatch
from lws_placement.engine.preemption.disruption_budgets import why_not_evicted
from lws_placement.engine.preemption.victims import Budgets, Victim, kind_of

Victims = tuple[Victim, ...]


class Trial(Protocol):
    """The cluster, or one domain, minus victims, to see whether a group fits."""

    def place(self, victims: Sequence[Victim], /) -> object | NoMatch:
        """Where the group goes without these victims, and without all that goes anyway."""
        ...


def fits(trial: Trial, victims: Sequence[Victim]) -> bool:
    return not isinstance(trial.place(victims), NoMatch)


def why_not_together(victims: Sequence[Victim], budgets: Budgets) -> str:
    """Why budgets forbid evicting all of them together; empty if they do not."""
    return why_not_evicted((p for v in victims for p in v.pods), budgets.budgets_of)


class Reprieve:
    """`must`: victims in any case; `most`: the limit of trials."""

    def __init__(self, trial: Trial, budgets: Budgets, *, must: Victims = (), most: int) -> None:
        self._trial = trial
        self._budgets = budgets
        self._must = must
        self._most = most
        self._trials = 0
        self._best: Victims | None = None

    def run(self, may: Victims) -> Victims | None:
        """None: budgets allow no set that fits, or none was found within `most` trials."""
        kinds: dict[Hashable, list[Victim]] = {}
        for victim in sorted(may, key=lambda v: v.name):
            kinds.setdefault(kind_of(victim, self._budgets), []).append(victim)
        costly_first = sorted(
            kinds.values(), key=lambda k: (k[0].group is None, -len(k[0].pods), k[0].name)
        )
        if self._allowed(()):
            self._decide((), costly_first)
        return self._best

    def _decide(self, evicted: Victims, left: Sequence[Sequence[Victim]]) -> None:
        """Precondition: the group fits without `evicted` and all of `left`."""
        if not left:
            if self._best is None or _cost(evicted) < _cost(self._best):
                self._best = evicted
            return
        kind, later = left[0], left[1:]
        least = self._least(evicted, kind, later)
        for number in range(least, len(kind) + 1):
            if number > least and self._trials >= self._most:
                return
            now = (*evicted, *kind[:number])
            if self._best is not None and _cost(now)[:2] > _cost(self._best)[:2]:
                return
            if not self._allowed(now):
                return
            self._decide(now, later)
            if not later:
                return

    def _allowed(self, victims: Victims) -> bool:
        return not why_not_together((*self._must, *victims), self._budgets)

    def _least(
        self, evicted: Victims, kind: Sequence[Victim], later: Sequence[Sequence[Victim]]
    ) -> int:
        """How many of the kind have to go if all later kinds go."""
        rest = tuple(v for k in later for v in k)
        low, high = 0, len(kind)  # `high` is enough
        while low < high:
            middle = (low + high) // 2
            self._trials += 1
            if fits(self._trial, (*self._must, *evicted, *kind[:middle], *rest)):
                high = middle
            else:
                low = middle + 1
        return low


def _cost(victims: Victims) -> tuple[int, int, tuple[str, ...]]:
    groups = sum(v.group is not None for v in victims)
    names = tuple(sorted(v.name for v in victims))
    return groups, sum(len(v.pods) for v in victims), names
