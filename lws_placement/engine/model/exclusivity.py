"""Whose a domain is, and who else may be in it.

A group *claims* its domain against the groups in its scope (annotation `lws-placement.dev/scope`).
Two groups are at odds where either claims against the other, so a group with a narrow scope still
stays out of the domain of one that wants to be alone in the whole cluster. A group that claims
against nobody (a gang without a topology, a LeaderWorkerSet without an exclusive one) may be beside
its like, and nowhere else.
"""

from collections.abc import Hashable, Iterable
from dataclasses import dataclass

from lws_placement.engine.model.groups import Group, GroupId, GroupKind
from lws_placement.engine.model.placement_request import Scope

Question = tuple[Hashable, ...]
"""What a group asks for, and from whom it keeps away."""


@dataclass(frozen=True, slots=True, order=True)
class Claim:
    """A group that is somewhere, or is to be, and against whom it claims the place."""

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
    """Of whoever the Lease of that name is for: it cannot be read, so the domain is not free."""
    return Claim(GroupId("", "", "", lease, GroupKind.LEASE))


def claim_of(group: Group) -> Claim:
    return Claim(group.id, group.scope)


def at_odds(one: Claim, other: Claim) -> bool:
    """May the two not share a domain? A group is never at odds with itself."""
    if one.group == other.group:
        return False
    return one.is_against(other.group) or other.is_against(one.group)


def opponents(claim: Claim, others: Iterable[Claim]) -> frozenset[GroupId]:
    """Those of `others` beside whom the group may not be."""
    return frozenset(other.group for other in others if at_odds(claim, other))


def is_opposed(claim: Claim, others: Iterable[Claim]) -> bool:
    return any(at_odds(claim, other) for other in others)


def question_of(group: Group) -> Question:
    """Groups that own nothing get the same answer, in one state of the cluster and with the same
    groups before them in the queue, if this is equal. Of who they are it has as much as the
    question who is at odds with them depends on.
    """
    everybody = group.scope is Scope.CLUSTER
    whose = None if everybody else (group.id.namespace, group.id.lws, group.id.lws_uid)
    return group.request, group.demands, frozenset(group.excluded), group.scope, whose
