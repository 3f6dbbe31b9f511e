"""Who may be beside whom in a domain."""

import pytest

from lws_placement.engine.model.exclusivity import Claim, at_odds
from lws_placement.engine.model.groups import GroupId
from lws_placement.engine.objects.placement_request import Scope

ONE = GroupId("ns", "llm", "u", "0")
SISTER = GroupId("ns", "llm", "u", "1")
NEIGHBOUR = GroupId("ns", "other", "v", "0")
STRANGER = GroupId("far", "llm", "w", "0")


@pytest.mark.parametrize(
    ("scope", "other", "odds"),
    [
        (Scope.CLUSTER, STRANGER, True),
        (Scope.NAMESPACE, NEIGHBOUR, True),
        (Scope.NAMESPACE, STRANGER, False),
        (Scope.LWS, SISTER, True),
        (Scope.LWS, NEIGHBOUR, False),
        (Scope.NOBODY, SISTER, False),
        (Scope.CLUSTER, ONE, False),
    ],
)
def test_a_claim_counts_within_its_scope_alone(scope, other, odds):
    mine, theirs = Claim(ONE, scope), Claim(other, Scope.NOBODY)
    assert at_odds(mine, theirs) is odds
    assert at_odds(theirs, mine) is odds, "whoever came first"


def test_a_narrow_scope_does_not_let_a_group_into_the_domain_of_one_that_wants_to_be_alone():
    assert at_odds(Claim(ONE, Scope.LWS), Claim(STRANGER, Scope.CLUSTER))
