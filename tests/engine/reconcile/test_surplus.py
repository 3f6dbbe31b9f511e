"""Pods that have no place in a group of other pods are told so."""

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


def told(*some, topic=Topic.SURPLUS):
    actions = decide(a_seen(*some), an_index("a"))
    return [a.note for a in actions if isinstance(a, Tell) and a.topic is topic]


def test_the_pod_that_has_no_place_is_named():
    (note,) = told(*pods(3))
    assert note.startswith("the group has its 2 pods, so job-2 waits for nothing")


@pytest.mark.parametrize("number", [1, 2])
def test_a_group_that_is_not_full_has_none_too_many(number):
    assert told(*pods(number)) == []


def test_a_pod_that_takes_the_place_of_one_that_ends_is_not_too_many():
    first, second, third = pods(3)
    assert told(replace(first, terminating=True, gated=False, node="a-0"), second, third) == []


def is_bound(pods):
    """On the nodes of their slots."""
    return [
        replace(p, member=replace(p.member, rank=rank), gated=False, node=f"a-{rank}")
        for rank, p in enumerate(pods)
    ]


def test_pods_of_a_new_number_are_not_like_those_that_run():
    first, second, *new = pods(4)
    new = [replace(p, member=replace(p.member, size=3), created_s=2.0) for p in new]
    (note,) = told(*is_bound([first, second]), *new, topic=Topic.UNLIKE)
    assert note.startswith("pods of the group are not alike: job-2, job-3 wait, unlike the first")
    assert told(*is_bound([first, second]), *new) == []


def test_pods_that_run_are_told_nothing():
    first, second = pods(2)
    other = replace(second, member=replace(second.member, size=3))
    assert told(*is_bound([first, other]), topic=Topic.UNLIKE) == []


@pytest.mark.parametrize("has_namesake", [False, True])
def test_a_group_that_lacks_pods_hears_that_those_of_the_same_name_are_not_its_own(has_namesake):
    seen = replace(a_seen(*pods(1), lws=False), has_namesake=has_namesake)
    (blocked,) = decide(seen, an_index("a"))
    assert blocked.why.startswith("1 of 2 pods of group")
    assert ("pods of another owner" in blocked.why) == has_namesake
