"""Which groups own a domain, and which groups may share it.

A group *claims* its domain against the groups in its scope (annotation `lws-placement.dev/scope`).
Two groups are at odds if either claims against the other, so a group with a narrow scope still
stays out of the domain of a group that claims against the whole cluster. A group that claims
nothing (a gang without a topology, a LeaderWorkerSet without an exclusive one) may be beside its
like, and beside groups that do not claim against it.
"""

from collections.abc import Hashable, Iterable
from dataclasses import dataclass

from lws_placement.engine.model.groups import Group, GroupId, GroupKind
from lws_placement.engine.objects.placement_request import Scope

Question = tuple[Hashable, ...]
"""A group's request, and the groups that it avoids."""


@dataclass(frozen=True, slots=True, order=True)
class Claim:
    """A group, placed or to be placed, and the scope of its claim to the place."""

    group: GroupId
    scope: Scope = Scope.CLUSTER

    def is_against(self, other: GroupId) -> bool:
        match self.scope:
            case Scope.CLUSTER:
                return True
            case Scope.NAMESPACE:
                return other.namespace == self.group.namespace
            case Scope.LWS:
                return other.lws_uid == self.group.lws_uid and (
                    (other.namespace, other.lws) == (self.group.namespace, self.group.lws)
                )
            case Scope.NOBODY:
                return False


def unreadable(lease: str) -> Claim:
    """Claim of the unknown holder of a Lease that cannot be read: its domain is not free."""
    return Claim(GroupId("", "", "", lease, GroupKind.LEASE))


def claim_of(group: Group) -> Claim:
    return Claim(group.id, group.scope)


def at_odds(one: Claim, other: Claim) -> bool:
    """True if the two may not share a domain. A group is never at odds with itself."""
    if one.group == other.group:
        return False
    return one.is_against(other.group) or other.is_against(one.group)


def opponents(claim: Claim, others: Iterable[Claim]) -> frozenset[GroupId]:
    """Groups of `others` that the group may not share a domain with."""
    return frozenset(other.group for other in others if at_odds(claim, other))


def is_opposed(claim: Claim, others: Iterable[Claim]) -> bool:
    return any(at_odds(claim, other) for other in others)


def question_of(group: Group) -> Question:
    """Equivalence key: groups that own nothing and have equal keys get the same answer, in one
    state of the cluster and with the same groups before them in the queue. Identity is part of it
    only as far as it decides which groups are at odds.
    """
    everybody = group.scope is Scope.CLUSTER
    whose = None if everybody else (group.id.namespace, group.id.lws, group.id.lws_uid)
    excluded = frozenset(group.excluded)
    return group.request, group.demands, excluded, group.scope, whose, group.most_nodes
