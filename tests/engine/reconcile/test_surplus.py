"""A pod too many in a group of other pods waits for nothing, and is told so."""

from dataclasses import replace

import pytest
from support.decisions import a_member, a_seen, an_index, decide

from lws_placement.engine.model.pods import UNRANKED
from lws_placement.engine.reconcile.actions import Tell, Topic


def pods(number, *, size=2):
    found = []
    for i in range(number):
        pod = a_member(1, size=size, uid=f"uid-{i}", name=f"job-{i}")
        info = replace(pod.member, rank=UNRANKED, group_key="", group_index="")
        found.append(replace(pod, member=info))
    return found


def told(*some):
    actions = decide(a_seen(*some), an_index("a"))
    return [a.note for a in actions if isinstance(a, Tell) and a.topic is Topic.SURPLUS]


def test_the_pod_that_has_no_place_is_named():
    (note,) = told(*pods(3))
    assert note.startswith("the group has its 2 pods, so job-2 waits for nothing")


@pytest.mark.parametrize("number", [1, 2])
def test_a_group_that_is_not_full_has_none_too_many(number):
    assert told(*pods(number)) == []


def test_a_pod_that_takes_the_place_of_one_that_ends_is_not_too_many():
    first, second, third = pods(3)
    assert told(replace(first, terminating=True, gated=False, node="a-0"), second, third) == []
