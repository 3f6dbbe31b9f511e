"""Nodes that fit but for the label (`engine/fit/unlabelled.py`)."""

from dataclasses import replace

import pytest
from support.decisions import GROUP, KEY, WHOLE_NODE, a_member, a_seen, an_index, bind, decide

from lws_placement.engine.fit.unlabelled import unlabelled_nodes
from lws_placement.engine.model.groups import Group, Member
from lws_placement.engine.model.pods import Demand
from lws_placement.engine.objects.placement_request import TopologyRequest
from lws_placement.engine.reconcile.actions import Wait

LEADER = Demand((("cpu", 1000), ("pods", 1)))


def a_group(*demands):
    members = tuple(Member(rank, demand) for rank, demand in enumerate(demands))
    return Group(GROUP, TopologyRequest(KEY), members)


def unlabel(index, *names):
    for name in names:
        node = index.node(name)
        labels = {k: v for k, v in node.labels.items() if k != KEY}
        index.put_node(replace(node, labels=labels))


def test_nodes_are_followed_as_they_lose_the_label_and_their_room():
    index, group = an_index("a", "b"), a_group(WHOLE_NODE, WHOLE_NODE)
    assert unlabelled_nodes(group, KEY, index) == 0
    unlabel(index, "a-0", "b-1")
    assert unlabelled_nodes(group, KEY, index) == 2
    bind(index, a_member(0, node="a-0"))
    assert unlabelled_nodes(group, KEY, index) == 1
    index.drop_node("b-1")
    assert unlabelled_nodes(group, KEY, index) == 0


def test_a_leader_that_fits_anywhere_does_not_count():
    index = an_index("a")
    unlabel(index, "a-0", "a-1")
    bind(index, a_member(0, node="a-0"))
    assert unlabelled_nodes(a_group(LEADER, WHOLE_NODE), KEY, index) == 1
    assert unlabelled_nodes(a_group(LEADER, LEADER), KEY, index) == 0


@pytest.mark.parametrize("number", [0, 1])
def test_a_waiting_group_hears_of_them(number):
    index = an_index("a")
    unlabel(index, "a-1")
    if not number:
        bind(index, a_member(0, node="a-1", uid="other", member=None))
    (wait,) = decide(a_seen(a_member(0)), index)
    assert isinstance(wait, Wait)
    assert wait.besides == (f"1 node that fits has no label {KEY}",) * number
