"""What members compete for: volumes that exist, one claim each, and attachments to a node.

Both rules hold for complete and incomplete assignments, as those in `rules.py`.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Protocol

from lws_placement.engine.model.pods import Rank
from lws_placement.engine.objects.claims import OpenClaim
from lws_placement.engine.objects.nodes import Node
from lws_placement.engine.objects.volumes import Handle, Volume

Places = Mapping[Rank, Node]


@dataclass(frozen=True, slots=True)
class Wanted:
    """An open claim. `shared`: its name if several members use it, as they then get one volume."""

    claim: OpenClaim
    shared: str = ""


@dataclass(frozen=True, slots=True)
class ClaimedVolumes:
    """Each volume is for one claim. `rivals`: claims of members of other groups on their way.

    kube-scheduler gives each claim the smallest volume that suits it, one pod after another. The
    rule is kept if every claim gets one in whatever order that happens: claims that want the same
    volumes find enough, counted in one of two ways (`_is_certain`).
    """

    wanted: tuple[tuple[Rank, tuple[Wanted, ...]], ...]
    rivals: tuple[tuple[Wanted, Node], ...] = ()
    _of: Mapping[Rank, tuple[Wanted, ...]] = field(init=False, repr=False, compare=False)
    _entries: dict[tuple[Wanted, str], "_Entry"] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_of", dict(self.wanted))
        object.__setattr__(self, "_entries", {})

    def is_kept_by(self, places: Places) -> bool:
        """Whether nobody breaks it. O(members and the volumes that they want)."""
        rest = [self._entry(one, node) for one, node in self._located(places)]
        return all(map(_is_certain, _parts(rest)))

    def is_broken_by(self, rank: Rank, places: Places) -> bool:
        if rank not in self._of:
            return False
        node = places[rank]
        mine = [self._entry(one, node) for one in self._of[rank]]
        others = [self._entry(one, there) for one, there in self._located(places, without=rank)]
        return not _is_certain(_together(mine, others))

    def _located(self, places: Places, *, without: Rank = -1) -> Iterator[tuple[Wanted, Node]]:
        for rank, wanted in self.wanted:
            node = places.get(rank)
            if node is not None and rank != without:
                for one in wanted:
                    yield one, node
        yield from self.rivals

    def _entry(self, one: Wanted, node: Node) -> "_Entry":
        known = self._entries.get((one, node.name))
        if known is None:
            known = self._entries[one, node.name] = _Entry(
                frozenset(one.claim.choices(node)), one.claim.is_made_on(node), one.shared
            )
        return known

    @property
    def all_ranks(self) -> tuple[frozenset[Rank], ...]:
        """By what they want: members that want the same are alike."""
        alike: dict[tuple[Wanted, ...], set[Rank]] = {}
        for rank, wanted in self.wanted:
            alike.setdefault(wanted, set()).add(rank)
        return tuple(map(frozenset, alike.values()))

    @property
    def words(self) -> str:
        names = sorted({one.claim.name for _, wanted in self.wanted for one in wanted})
        return f"too few volumes there for the members' claims {', '.join(names[:3])}"


@dataclass(frozen=True, slots=True)
class _Entry:
    """One claim at its node."""

    choices: frozenset[Volume]
    is_made: bool
    shared: str


def _together(mine: list[_Entry], others: list[_Entry]) -> Sequence[_Entry]:
    """Mine, and the claims that compete with them, directly or through others."""
    found, wanted = list(mine), frozenset[Volume]().union(*(e.choices for e in mine))
    rest = others
    while True:
        near = [e for e in rest if not wanted.isdisjoint(e.choices)]
        if not near:
            return found
        rest = [e for e in rest if wanted.isdisjoint(e.choices)]
        found += near
        wanted = wanted.union(*(e.choices for e in near))


def _parts(entries: Sequence[_Entry]) -> Iterator[Sequence[_Entry]]:
    """Claims that compete, each part by itself."""
    alike: dict[frozenset[Volume], list[_Entry]] = {}
    for entry in entries:
        alike.setdefault(entry.choices, []).append(entry)
    by_volume: dict[Volume, list[frozenset[Volume]]] = {}
    for choices in alike:
        for volume in choices:
            by_volume.setdefault(volume, []).append(choices)
    while alike:
        found, to_see = [], [next(iter(alike))]
        while to_see:
            choices = to_see.pop()
            found += alike.pop(choices, [])
            for volume in choices:
                to_see += by_volume.pop(volume, [])
        yield found


def _is_certain(claims: Sequence[_Entry]) -> bool:
    """Whether each of these claims gets a volume, in whatever order they are served."""
    by_claim: dict[str, _Entry] = {}
    alone = []
    for entry in claims:
        if not entry.shared:
            alone.append(entry)
            continue
        other = by_claim.setdefault(entry.shared, entry)
        if other.choices != entry.choices and not (other.is_made and entry.is_made):
            return False  # its volume may be out of reach of the next member
    claims = [e for e in (*alone, *by_claim.values()) if e.choices or not e.is_made]
    if all(e.is_made or _is_served(e, claims) for e in claims):
        return True
    return _are_nested(claims)


def _is_served(entry: _Entry, claims: Sequence[_Entry]) -> bool:
    """Even if every other claim takes one of its volumes."""
    rivals = sum(not entry.choices.isdisjoint(e.choices) for e in claims)  # itself included
    return len(entry.choices) >= max(rivals, 1)


def _are_nested(claims: Sequence[_Entry]) -> bool:
    """Claims that differ in the least size alone: the smallest volume first serves as many as any
    choice does.
    """
    by_size = sorted({e.choices for e in claims}, key=len)
    if not all(_is_upper_part(small, large) for small, large in pairwise(by_size)):
        return False
    return all(sum(e.choices <= choices for e in claims) <= len(choices) for choices in by_size)


def _is_upper_part(small: frozenset[Volume], large: frozenset[Volume]) -> bool:
    """Whether `small` is what is left of `large` without its smallest volumes."""
    if not small <= large:
        return False
    least = min((v.size for v in small), default=None)
    return least is None or all(v.size < least for v in large - small)


class Attachments(Protocol):
    """What is attached to each node. Hashable; equal ones say the same."""

    def limit(self, driver: str, node: str) -> int | None:
        """How many more volumes of the driver the node takes; None: any number."""

    def is_there(self, handle: Handle, node: str) -> bool: ...
    def is_missing(self, driver: str, node: str) -> bool:
        """Whether the node lacks a driver that its volumes need."""


@dataclass(frozen=True, slots=True)
class AttachNeed:
    """The volumes of one pod that are attached to its node. `new`: driver -> number of volumes that
    no other pod uses.
    """

    new: tuple[tuple[str, int], ...]
    known: frozenset[Handle]
    attachments: Attachments

    @property
    def drivers(self) -> frozenset[str]:
        return frozenset(driver for driver, _ in (*self.new, *self.known))

    def why_not(self, node: Node) -> str | None:
        for driver in sorted(self.drivers):
            if self.attachments.is_missing(driver, node.name):
                return f"CSI driver {driver} of its volumes is not there"
        return why_too_many([self], node)


def why_too_many(needs: Iterable[AttachNeed], node: Node) -> str | None:
    """Why not all of these can be attached to the node together."""
    added, known = Counter[str](), set[Handle]()
    attachments = None
    for need in needs:
        attachments = need.attachments
        added.update(dict(need.new))
        known |= need.known
    if attachments is None:
        return None
    added.update(d for d, h in known if not attachments.is_there((d, h), node.name))
    for driver in sorted(added):
        room = attachments.limit(driver, node.name)
        if room is not None and added[driver] > room:
            return f"{added[driver]} volumes of {driver} asked, {max(room, 0)} more may be attached"
    return None


@dataclass(frozen=True, slots=True)
class AttachedTogether:
    """Members on one node share its attach limits."""

    needs: tuple[tuple[Rank, AttachNeed], ...]
    _of: Mapping[Rank, AttachNeed] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_of", dict(self.needs))

    def is_kept_by(self, places: Places) -> bool:
        """Whether nobody breaks it. O(members)."""
        there: dict[str, list[AttachNeed]] = {}
        for rank, need in self.needs:
            if rank in places:
                there.setdefault(places[rank].name, []).append(need)
        nodes = {node.name: node for node in places.values()}
        return all(why_too_many(needs, nodes[name]) is None for name, needs in there.items())

    def is_broken_by(self, rank: Rank, places: Places) -> bool:
        if rank not in self._of:
            return False
        node = places[rank]
        there = (need for r, need in self.needs if r in places and places[r].name == node.name)
        return why_too_many(there, node) is not None

    @property
    def all_ranks(self) -> tuple[frozenset[Rank], ...]:
        alike: dict[AttachNeed, set[Rank]] = {}
        for rank, need in self.needs:
            alike.setdefault(need, set()).add(rank)
        return tuple(map(frozenset, alike.values()))

    @property
    def words(self) -> str:
        drivers = sorted({d for _, need in self.needs for d in need.drivers})
        return f"a node takes too few volumes of {', '.join(drivers[:3])}"
