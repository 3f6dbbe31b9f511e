"""Rules among the members of one group that are placed together: where one may be depends on where
the others go.

A rule is checked on an assignment, complete or not: an incomplete one breaks a rule only if no
completion can keep it. On a complete one the answer is that of kube-scheduler's plugins
InterPodAffinity and PodTopologySpread (1.37), for members that are bound one after another in an
order that suits the rules: each refused member is tried again when another one is bound.
"""

from collections import Counter
from collections.abc import Collection, Container, Hashable, Mapping, Sequence, Set
from dataclasses import InitVar, dataclass, field
from typing import Protocol

from lws_placement.engine.base.effort import Effort
from lws_placement.engine.model.pods import Rank
from lws_placement.engine.objects.nodes import Node, NodeName

Places = Mapping[Rank, Node]
_RANKS_PER_LOOK = 16


@dataclass(frozen=True, slots=True)
class Apart:
    """A required anti-affinity term: `carriers` keep `selected` members out of their domains."""

    key: str
    carriers: frozenset[Rank]
    selected: frozenset[Rank]

    def is_broken_by(self, rank: Rank, places: Places) -> bool:
        """Whether this member is where it may not be, the others in their places."""
        value = places[rank].labels.get(self.key)
        if value is None:
            return False
        others: Set[Rank] = frozenset()
        if rank in self.carriers:
            others = self.selected
        if rank in self.selected:
            others = others | self.carriers
        return any(
            other != rank and other in places and places[other].labels.get(self.key) == value
            for other in others
        )

    def is_kept_by(self, places: Places) -> bool:
        """Whether nobody breaks it. O(members)."""
        there: dict[str, set[Rank]] = {}
        for rank in (self.carriers | self.selected) & places.keys():
            value = places[rank].labels.get(self.key)
            if value is not None:
                there.setdefault(value, set()).add(rank)
        crowded = (ranks for ranks in there.values() if len(ranks) > 1)
        return not any(ranks & self.carriers and ranks & self.selected for ranks in crowded)

    def is_hopeless(self, ranks: Set[Rank], nodes: Sequence[Node]) -> bool:
        """Whether these members cannot all be on these nodes, whatever room there is: each of those
        that keep each other away needs a domain of its own.
        """
        values = {node.labels.get(self.key) for node in nodes}
        return None not in values and len(ranks & self.carriers & self.selected) > len(values)

    @property
    def all_ranks(self) -> tuple[frozenset[Rank], ...]:
        return self.carriers, self.selected

    @property
    def words(self) -> str:
        return f"its anti-affinity keeps members of the group apart by {self.key}"


@dataclass(frozen=True, slots=True)
class Near:
    """Required affinity of `ranks`: all its terms want the same pods, `matching` members and pods
    that exist (`there`: key -> values of their domains).

    If nothing else matches, the first of the members that match themselves may be anywhere
    (`satisfyPodAffinity` of kube-scheduler), and all of `ranks` share its domains.
    """

    keys: tuple[str, ...]
    ranks: frozenset[Rank]
    matching: frozenset[Rank]
    there: Mapping[str, frozenset[str]] = field(compare=False)
    _there: frozenset[tuple[str, frozenset[str]]] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_there", frozenset(self.there.items()))

    def is_broken_by(self, rank: Rank, places: Places) -> bool:
        return self._is_broken_for(self.ranks if rank in self.matching else {rank}, places)

    def is_kept_by(self, places: Places) -> bool:
        """Whether nobody breaks it. O(members)."""
        return not self._is_broken_for(self.ranks, places)

    def bindable(self, places: Places, bound: Set[Rank]) -> frozenset[Rank]:
        """Members that it lets be bound where they are once the `bound` ones are."""
        asked = self.ranks & places.keys()
        if self.begins(places, bound):
            return asked & self.matching
        return self._near_ones(asked, places, self.matching & bound)

    def begins(self, places: Places, bound: Set[Rank]) -> bool:
        """Whether a member that matches itself may be anywhere, as nothing is there to be near."""
        counted = self.matching & bound
        return not self.there and not any(
            key in places[rank].labels for rank in counted for key in self.keys
        )

    def _is_broken_for(self, ranks: Set[Rank], places: Places) -> bool:
        """Whether one of these members breaks it, in any completion of the assignment."""
        asked = ranks & self.ranks & places.keys()
        others = self.matching - self.ranks
        if not others <= places.keys():
            return False
        if self.begins(places, others):
            first = next((places[r].labels for r in self.ranks if r in places), None)
            return first is not None and any(
                places[r].labels.get(key) != first.get(key) for r in asked for key in self.keys
            )
        if not self.matching <= places.keys():
            return False
        return bool(asked - self._near_ones(asked, places, self.matching))

    def _near_ones(self, asked: Set[Rank], places: Places, others: Set[Rank]) -> frozenset[Rank]:
        """Those that are near another one of `others`, or near pods that exist, by each key."""
        found = frozenset(asked)
        for key in self.keys:
            there = self.there.get(key, ())
            values = Counter(places[r].labels.get(key) for r in others)
            found = frozenset(
                r
                for r in found
                if (value := places[r].labels.get(key)) is not None
                and (value in there or values[value] > (r in others))
            )
        return found

    @property
    def all_ranks(self) -> tuple[frozenset[Rank], ...]:
        return self.ranks, self.matching

    @property
    def words(self) -> str:
        return f"its pod affinity wants other members of the group in its {self.keys[0]}"


@dataclass(frozen=True, slots=True)
class Spread:
    """A topologySpreadConstraint with DoNotSchedule that members carry.

    `nodes`: the nodes that count, `domains`: the values of their domains of `key`. `counts`:
    matching pods that exist, for those of them that have any; `levels`: number of pods, above 0 ->
    number of domains with so many. `on_nodes`: the same as `counts` by node, for
    `one_node`: with our pin, a constraint with `minDomains` above 1 that honors node affinity sees
    one domain and takes the minimum for 0, so a node takes a member that carries it only with at
    most `max_skew` matching pods.
    """

    key: str
    max_skew: int
    carriers: frozenset[Rank]
    selected: frozenset[Rank]
    nodes: Container[NodeName] = field(compare=False)
    domains: Collection[str] = field(compare=False)
    version: Hashable
    """Stands for `nodes`, `domains` and pods: equal while these are the same."""
    counts: Mapping[str, int] = field(compare=False)
    levels: InitVar[Mapping[int, int]]
    min_domains: int = 1
    one_node: bool = False
    on_nodes: Mapping[str, int] = field(default_factory=dict, compare=False)
    _levels: Counter[int] = field(init=False, repr=False, compare=False)
    """`levels`, and the domains without such pods."""

    def __post_init__(self, levels: Mapping[int, int]) -> None:
        empty = len(self.domains) - len(self.counts)
        object.__setattr__(self, "_levels", Counter({**levels, 0: empty}))

    def is_broken_by(self, rank: Rank, places: Places) -> bool:
        if rank not in self.carriers and rank not in self.selected:
            return False
        return self._skew_in(places) is not None or (self.one_node and self._is_full(rank, places))

    def is_kept_by(self, places: Places) -> bool:
        """Whether nobody breaks it. O(members), and the square of that with `one_node`."""
        if self._skew_in(places) is not None:
            return False
        return not (self.one_node and any(self._is_full(rank, places) for rank in places))

    def is_hopeless(self, ranks: Set[Rank], nodes: Sequence[Node]) -> bool:
        """Whether these members cannot all be on these nodes, whatever room there is."""
        mine = len(ranks & self.carriers & self.selected)
        found = (node.labels.get(self.key) for node in nodes)
        values = {value for value in found if value is not None and value in self.domains}
        if not mine or len(values) == len(self.domains) >= self.min_domains:
            return False
        levels = self._levels.copy()
        levels.subtract(self.counts.get(value, 0) for value in values)
        least = min((level for level, domains in levels.items() if domains), default=0)
        if len(self.domains) < self.min_domains:
            least = 0
        room = (least + self.max_skew - self.counts.get(value, 0) for value in values)
        return sum(max(some, 0) for some in room) < mine

    def why_not_alone(self, counts_itself: bool, node: Node) -> str | None:
        """Why a member that carries it cannot be there, wherever the others go; None if it can.
        `counts_itself`: whether the member is one of `selected`.
        """
        value = node.labels.get(self.key, "")
        there, others = self.counts.get(value, 0), len(self.selected) - counts_itself
        added = {value: 1} if counts_itself else {}
        if there + counts_itself - self._least(added, others) > self.max_skew:
            return (
                f"{self.words} ({value} has {there} of its pods, another domain "
                f"{self._least({}, 0)})"
            )
        full = self.on_nodes.get(node.name, 0) + counts_itself > self.max_skew
        return self.words if self.one_node and full else None

    def _skew_in(self, places: Places) -> str | None:
        """A domain with a member where the skew is too large, whatever is still to be placed."""
        added = Counter(
            places[r].labels.get(self.key, "")
            for r in self.selected
            if r in places and places[r].name in self.nodes
        )
        least = self._least(added, sum(r not in places for r in self.selected))
        mine = {places[r].labels.get(self.key) for r in self.carriers if r in places}
        most = least + self.max_skew
        return next(
            (v for v in mine if v is not None and self.counts.get(v, 0) + added.get(v, 0) > most),
            None,
        )

    def _least(self, added: Mapping[str, int], coming: int) -> int:
        """The largest minimum over all domains that `coming` more members can still bring about."""
        if len(self.domains) < self.min_domains:
            return 0
        levels = self._levels.copy()
        for value, number in added.items():
            if value in self.domains:
                there = self.counts.get(value, 0)
                levels[there] -= 1
                levels[there + number] += 1
        least = min((level for level, domains in levels.items() if domains), default=0)
        below = levels[least]
        while 0 < below <= coming:
            coming -= below
            least += 1
            below += levels[least]
        return least

    def _is_full(self, rank: Rank, places: Places) -> bool:
        name = places[rank].name
        there = {r for r in self.all_members if r in places and places[r].name == name}
        mine = len(there & self.selected)
        return bool(there & self.carriers) and self.on_nodes.get(name, 0) + mine > self.max_skew

    @property
    def all_members(self) -> frozenset[Rank]:
        return self.carriers | self.selected

    @property
    def all_ranks(self) -> tuple[frozenset[Rank], ...]:
        return self.carriers, self.selected

    @property
    def words(self) -> str:
        return f"its topology spread by {self.key} allows a skew of {self.max_skew}"


class JointRule(Protocol):
    """A rule among members; hashable. Others are in `volumes.py` and `devices.py`."""

    def is_broken_by(self, rank: Rank, places: Places, /) -> bool: ...
    def is_kept_by(self, places: Places, /) -> bool: ...
    @property
    def all_ranks(self) -> tuple[frozenset[Rank], ...]:
        """Sets that tell members apart: those in the same of these sets are alike."""

    @property
    def words(self) -> str: ...


@dataclass(slots=True, unsafe_hash=True)
class JointRules:
    """All rules among a group's members without a node."""

    rules: tuple[JointRule, ...]

    @property
    def weight(self) -> int:
        """What it costs to check one member, in looks (`base/effort.py`)."""
        touched = sum(len(ranks) for rule in self.rules for ranks in rule.all_ranks)
        return 1 + touched // _RANKS_PER_LOOK

    def is_hopeless(self, ranks: Set[Rank], nodes: Sequence[Node]) -> bool:
        """Whether it is certain at once that these members break a rule on these nodes."""
        return any(
            rule.is_hopeless(ranks, nodes)
            for rule in self.rules
            if isinstance(rule, Apart | Spread)
        )

    def broken(self, places: Places, effort: Effort) -> tuple[Rank, str] | None:
        """For a complete assignment: a member that breaks a rule where it is, and the rule in
        words; None: all are kept. O(rules x members) if they are. A rule counts as broken if the
        effort is spent before all are checked.
        """
        if not effort.spend(self.weight):
            return min(places), self.rules[0].words
        rules = [rule for rule in self.rules if not rule.is_kept_by(places)]
        for rank in sorted(places) if rules else ():
            if not effort.spend(self.weight):
                return rank, rules[0].words
            found = next((rule for rule in rules if rule.is_broken_by(rank, places)), None)
            if found is not None:
                return rank, found.words
        return self._deadlock(places, effort)

    def broken_by(self, rank: Rank, places: Places) -> JointRule | None:
        return next((rule for rule in self.rules if rule.is_broken_by(rank, places)), None)

    def _deadlock(self, places: Places, effort: Effort) -> tuple[Rank, str] | None:
        """A member that is never bound, as it and others wait for each other to be bound first."""
        rules = [rule for rule in self.rules if isinstance(rule, Near)]
        waiting = {rank for rule in rules for rank in rule.ranks if rank in places}
        while waiting:
            bound = places.keys() - waiting
            free, beginning = set(waiting), set[Rank]()
            for rule in rules:
                free -= rule.ranks - rule.bindable(places, bound)
                if rule.begins(places, bound):
                    beginning |= rule.ranks
            if not free or not effort.spend(self.weight):
                rank = min(waiting)
                return rank, next(r.words for r in rules if rank in r.ranks)
            # Of members that begin, as nothing is there to be near, only one is the first.
            waiting -= free - beginning or {min(free)}
        return None
