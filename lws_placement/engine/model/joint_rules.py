"""Rules among the members of one group that are placed together: where one may be depends on where
the others go.

A rule is checked on an assignment, complete or not: an incomplete one breaks a rule only if no
completion can keep it. On a complete one the answer is that of kube-scheduler's plugins
InterPodAffinity and PodTopologySpread (1.37), for members that are bound one after another in an
order that suits the rules: each refused member is tried again when another one is bound.
"""

from collections import Counter
from collections.abc import Collection, Container, Hashable, Mapping, Sequence, Set
from dataclasses import dataclass, field

from lws_placement.engine.model.joint_volumes import AttachedTogether, ClaimedVolumes
from lws_placement.engine.model.pods import Rank
from lws_placement.engine.objects.nodes import Node, NodeName

Places = Mapping[Rank, Node]


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
        others = self.matching - self.ranks
        if not all(other in places for other in others):
            return False
        asked = self.ranks if rank in self.matching else self.ranks & {rank}
        if not self.there and not self._count(places, others):
            return any(r in places and not self._is_with_the_others(r, places) for r in asked)
        if not all(other in places for other in self.matching):
            return False
        return any(r in places and not self.is_near(r, places, self.matching) for r in asked)

    def is_near(self, rank: Rank, places: Places, bound: Set[Rank]) -> bool:
        """Whether it may be bound where it is once the `bound` members are."""
        others = (self.matching & bound) - {rank}
        if not self.there and not self._count(places, others):
            return rank in self.matching
        for key in self.keys:
            value = places[rank].labels.get(key)
            if value is None:
                return False
            near = (places[other].labels.get(key) for other in others)
            if value not in self.there.get(key, ()) and value not in near:
                return False
        return True

    def _count(self, places: Places, ranks: Set[Rank]) -> bool:
        """Whether one of these members is in a domain of any of the keys."""
        return any(key in places[rank].labels for rank in ranks for key in self.keys)

    def _is_with_the_others(self, rank: Rank, places: Places) -> bool:
        other = next((r for r in self.ranks if r != rank and r in places), None)
        if other is None:
            return True
        mine, theirs = places[rank].labels, places[other].labels
        return all(mine.get(key) == theirs.get(key) for key in self.keys)

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
    matching pods that exist, for those of them that have any. `on_nodes`: the same by node, for
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
    """Stands for `nodes` and `domains`: equal while these are the same."""
    counts: Mapping[str, int] = field(compare=False)
    min_domains: int = 1
    one_node: bool = False
    on_nodes: Mapping[str, int] = field(default_factory=dict, compare=False)
    _pods: frozenset[tuple[str, int]] = field(init=False, repr=False)
    _levels: Counter[int] = field(init=False, repr=False, compare=False)
    """Number of pods -> number of domains with so many."""

    def __post_init__(self) -> None:
        levels = Counter(self.counts.values())
        levels[0] += len(self.domains) - len(self.counts)
        object.__setattr__(self, "_levels", levels)
        told = self.on_nodes if self.one_node else self.counts
        object.__setattr__(self, "_pods", frozenset(told.items()))

    def is_broken_by(self, rank: Rank, places: Places) -> bool:
        if rank not in self.carriers and rank not in self.selected:
            return False
        return self._skew_in(places) is not None or (self.one_node and self._is_full(rank, places))

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
            places[r].labels[self.key]
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


JOINT_BUDGET = 200_000
JointRule = Apart | Near | Spread | ClaimedVolumes | AttachedTogether


@dataclass(slots=True, unsafe_hash=True)
class JointRules:
    """All rules among a group's members without a node. `budget`: placements that searches may
    still try, in all domains together (`joint_search.py`).
    """

    rules: tuple[JointRule, ...]
    budget: int = field(default=JOINT_BUDGET, compare=False)

    def is_hopeless(self, ranks: Set[Rank], nodes: Sequence[Node]) -> bool:
        """Whether it is certain at once that these members break a rule on these nodes."""
        return any(
            rule.is_hopeless(ranks, nodes) for rule in self.rules if isinstance(rule, Spread)
        )

    def broken(self, places: Places) -> tuple[Rank, str] | None:
        """For a complete assignment: a member that breaks a rule where it is, and the rule in
        words; None: all are kept.
        """
        rules = [rule for rule in self.rules if not _is_kept(rule, places)]
        for rank in sorted(places) if rules else ():
            found = next((rule for rule in rules if rule.is_broken_by(rank, places)), None)
            if found is not None:
                return rank, found.words
        return self._deadlock(places)

    def broken_by(self, rank: Rank, places: Places) -> JointRule | None:
        return next((rule for rule in self.rules if rule.is_broken_by(rank, places)), None)

    def _deadlock(self, places: Places) -> tuple[Rank, str] | None:
        """A member that is never bound, as it and others wait for each other to be bound first."""
        rules = [rule for rule in self.rules if isinstance(rule, Near)]
        waiting = {rank for rule in rules for rank in rule.ranks if rank in places}
        while waiting:
            bound = places.keys() - waiting
            free = {
                rank
                for rank in waiting
                if all(r.is_near(rank, places, bound) for r in rules if rank in r.ranks)
            }
            if not free:
                rank = min(waiting)
                return rank, next(r.words for r in rules if rank in r.ranks)
            waiting -= {min(free)}
        return None


def _is_kept(rule: JointRule, places: Places) -> bool:
    """Whether one look at all members tells that it is."""
    return isinstance(rule, ClaimedVolumes | AttachedTogether) and rule.is_kept_by(places)
