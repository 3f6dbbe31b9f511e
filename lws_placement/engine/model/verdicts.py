"""The answer of a plan: a node for each member, or why there is none."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from lws_placement.engine.model.groups import GroupId
from lws_placement.engine.model.pods import Rank
from lws_placement.engine.objects.nodes import DomainName, NodeName


class Why(StrEnum):
    """Why a domain cannot take a group; the value is the text shown for one domain."""

    HELD = "held by another group"
    OVERLAPS = "shares nodes with another group's domain"
    OCCUPIED = "has running pods of another group"
    AWAITED = "kept for a group that waits longer"
    TOO_FEW_NODES = "has too few nodes that fit"
    NO_MATCHING = "has room for each member alone but not for all at once"
    NOT_PROVEN = "could not be decided within the search bound"
    TOO_FEW_DOMAINS = "has too few domains for its subgroups"
    ONE_SUBGROUP = "has room for one subgroup"
    REFUSED = "was refused by kube-scheduler lately"
    TOO_LARGE = (
        "has too many nodes: more than the setting largest-domain-share allows to a group that "
        "does not fill it; name the key of a smaller level"
    )
    FULL = "is shared by as many groups as its Lease can list"
    FIXED_ELSEWHERE = "is not where the group's running pods are"


@dataclass(frozen=True, slots=True)
class Shortfall:
    """A member that finds no node, and why most nodes refuse it.

    Either `resource`, of which it requests `asked` and no such node has more than `largest_free`
    left, or a `rule` that they break ("cordoned"), with details that may change soon in parentheses
    at its end.
    """

    rank: Rank
    resource: str = ""
    asked: int = 0
    largest_free: int = 0
    rule: str = ""

    @property
    def lasting_rule(self) -> str:
        """`rule` without the details."""
        return self.rule.partition(" (")[0]


@dataclass(frozen=True, slots=True)
class Reason:
    """Why one domain refuses a group: facts, without the words.

    `fit` of `nodes`: how many nodes of the domain take the member that the fewest nodes take.
    `holder`: the group that owns the domain, where `why` is about ownership.
    """

    why: Why
    fit: int = 0
    nodes: int = 0
    shortfall: Shortfall | None = None
    holder: GroupId | None = None


@dataclass(frozen=True, slots=True)
class Placed:
    """A domain for the whole group and a node for each rank.

    `others`: further domains of the plan, each with the ranks that have their room there and not in
    `domain` (none: the domain lies inside it).
    """

    domain: DomainName
    nodes: Mapping[Rank, NodeName]
    others: tuple[tuple[DomainName, tuple[Rank, ...]], ...] = ()


@dataclass(frozen=True, slots=True)
class NoFit:
    """No domain takes the group now; a reason for each domain. Empty if no node has the key."""

    topology_key: str
    """Empty: the group requests room, but no domain."""
    reasons: Mapping[str, Reason] = field(default_factory=dict)
    """Domain value -> reason; "" for members that may be anywhere."""
    wanted: int = 1
    """Number of domains that the group needs, one per subgroup."""


Plan = Placed | NoFit
