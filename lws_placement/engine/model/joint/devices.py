"""What members compete for: devices, and claims that several of them use."""

from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass, field

from lws_placement.engine.model.devices.allowance import Allowance
from lws_placement.engine.model.devices.needs import DeviceNeeds, rivalry, why_not_served
from lws_placement.engine.model.pods import Rank
from lws_placement.engine.objects.nodes import Node

Places = Mapping[Rank, Node]


@dataclass(frozen=True, slots=True)
class DevicesTogether:
    """Each member gets its devices in whatever order the members are bound. Holds for complete and
    incomplete assignments, as those in `rules.py`.
    """

    needs: tuple[tuple[Rank, DeviceNeeds], ...]
    _of: Mapping[Rank, DeviceNeeds] = field(init=False, repr=False, compare=False)
    _allowance: Allowance = field(
        default_factory=lambda: Allowance(20_000, 64), init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        object.__setattr__(self, "_of", dict(self.needs))

    def is_kept_by(self, places: Places) -> bool:
        """Whether nobody breaks it. O(members) where none competes. Who competes with nobody is for
        its own rule about nodes.
        """
        by_key: dict[Hashable, list[Rank]] = {}
        keys = {rank: rivalry(self._of[rank], places[rank]) for rank in self._there(places)}
        for rank, mine in keys.items():
            for key in mine:
                by_key.setdefault(key, []).append(rank)
        left = dict(keys)
        while left:
            found, to_see = [], [next(iter(left))]
            while to_see:
                rank = to_see.pop()
                if left.pop(rank, None) is not None:
                    found.append(rank)
                    to_see += [other for key in keys[rank] for other in by_key.pop(key, ())]
            if len(found) > 1 and self._why_not(found, places) is not None:
                return False
        return True

    def is_broken_by(self, rank: Rank, places: Places) -> bool:
        if rank not in self._of:
            return False
        found, keys = [rank], rivalry(self._of[rank], places[rank])
        rest = [r for r in self._there(places) if r != rank]
        near = rest
        while near:
            near = [r for r in rest if not keys.isdisjoint(rivalry(self._of[r], places[r]))]
            rest = [r for r in rest if r not in near]
            found += near
            keys = keys.union(*(rivalry(self._of[r], places[r]) for r in near))
        return len(found) > 1 and self._why_not(found, places) is not None

    def _why_not(self, ranks: list[Rank], places: Places) -> str | None:
        pods = [(self._of[rank], places[rank]) for rank in sorted(ranks)]
        return self._allowance.spend(lambda effort: why_not_served(pods, effort))

    def _there(self, places: Places) -> Iterator[Rank]:
        return (rank for rank, _ in self.needs if rank in places)

    @property
    def all_ranks(self) -> tuple[frozenset[Rank], ...]:
        """By what they need: members that need the same are alike."""
        alike: dict[DeviceNeeds, set[Rank]] = {}
        for rank, need in self.needs:
            alike.setdefault(need, set()).add(rank)
        return tuple(map(frozenset, alike.values()))

    @property
    def words(self) -> str:
        """Names claims and extended resources."""
        names = {c.name for _, need in self.needs for c in need.claims}
        names |= {name for _, need in self.needs for name, *_ in need.resources}
        named = ", ".join(sorted(names)[:3])
        return f"too few devices there for {named} of several members, in some order of binding"
