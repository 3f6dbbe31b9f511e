"""Verdicts in the words people read."""

from dataclasses import replace

import pytest

from lws_placement.engine.messages import domain_in_words, gist, waiting_note
from lws_placement.engine.model.groups import GroupId
from lws_placement.engine.model.verdicts import NoFit, Reason, Shortfall, Why

NEAR = Reason(Why.TOO_FEW_NODES, fit=3, nodes=4, shortfall=Shortfall(3, "google.com/tpu", 4, 1))
ME, OTHER = GroupId("ns", "llm", "u", "me"), GroupId("ns", "other", "v", "other")


def test_the_nearest_miss_comes_first_and_classes_are_counted():
    nearly = replace(NEAR, shortfall=replace(NEAR.shortfall, largest_free=0))
    held = Reason(Why.HELD, nodes=4, holder=OTHER)
    verdict = NoFit("rack", {"a": held, "b": NEAR, "c": nearly})
    note = waiting_note(verdict, size=4)
    assert note == (
        "waits for a whole domain of rack for 4 pods: 2 domains have 3 of 4 nodes that fit "
        "(worker 3 needs 4 google.com/tpu, largest free node left has 1), "
        "1 domain held by another group"
    )


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        (NEAR, "worker 3 needs 4 google.com/tpu, largest free node left has 1 (3 of 4 nodes fit)"),
        (
            Reason(Why.TOO_FEW_NODES, 0, 1, Shortfall(0, "cpu", 2500, 1000)),
            "leader needs 2500m cpu, largest free node has 1 (0 of 1 node fit)",
        ),
        (
            Reason(Why.TOO_FEW_NODES, 1, 2, Shortfall(1, rule="cordoned")),
            "no other node for worker 1: cordoned (1 of 2 nodes fits)",
        ),
        (Reason(Why.TOO_FEW_NODES, 3, 3), "has only 3 nodes, each for one member"),
        (Reason(Why.HELD, holder=OTHER), "held by other"),
        (Reason(Why.OVERLAPS, holder=OTHER), "shares nodes with the domain of other"),
        (Reason(Why.FIXED_ELSEWHERE), "is not where the group's running pods are"),
    ],
)
def test_a_domain_says_what_it_lacks_for_which_member(reason, words):
    assert domain_in_words(reason, lambda group: group.lws) == words


def test_the_gist_stays_while_only_numbers_change():
    one = NoFit("rack", {"a": NEAR, "b": Reason(Why.HELD, holder=OTHER)})
    two = NoFit("rack", {"a": replace(NEAR, fit=2), "b": NEAR, "c": Reason(Why.HELD, holder=ME)})
    other = NoFit("rack", {"a": NEAR})
    assert gist(one) == gist(two) != gist(other)


def test_a_key_that_no_node_carries_says_so():
    note = waiting_note(NoFit("rack"), size=1, besides=("new nodes were requested",))
    assert "no node carries the label rack" in note
    assert note.endswith("; new nodes were requested")


def test_notes_fit_into_an_event():
    reasons = {
        str(i): Reason(Why.TOO_FEW_NODES, 1, i + 2, Shortfall(1, rule="x" * 200)) for i in range(40)
    }
    assert len(waiting_note(NoFit("rack", reasons), size=4)) <= 1024
