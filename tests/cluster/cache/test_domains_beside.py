"""How many domains other groups of a namespace hold."""

from dataclasses import replace

from support.decisions import GROUP, a_hold

from lws_placement.cluster.cache.hold_index import HoldIndex
from lws_placement.engine.model.groups import GroupId
from lws_placement.engine.model.hold_states import HoldState
from lws_placement.engine.model.reservation import place_of
from lws_placement.engine.objects.placement_request import Scope


def test_domains_of_other_groups_of_the_namespace_are_counted():
    index = HoldIndex()
    other, abroad = replace(GROUP, lws="other"), replace(GROUP, namespace="abroad")
    assert index.domains_beside(GROUP) == 0
    for hold in (a_hold("a"), a_hold("b", group=other), a_hold("c", group=abroad)):
        index.put(hold)
        index.put(replace(hold, state=HoldState.LEAVING, resource_version="8"))
    assert index.domains_beside(GROUP) == 1
    assert index.domains_beside(replace(GROUP, lws="new")) == 2
    assert index.domains_beside(replace(GROUP, namespace="elsewhere")) == 0
    index.drop(a_hold("b").domain, other)
    index.drop(a_hold("b").domain, other)
    assert index.domains_beside(GROUP) == 0


def test_room_anywhere_and_room_for_a_foreign_pod_are_no_domains():
    index = HoldIndex()
    gang = replace(GROUP, lws="gang")
    pod = GroupId.of_pod("ns", "pod", "uid")
    index.put(replace(a_hold("x", group=gang), domain=place_of(gang), scope=Scope.NOBODY))
    index.put(a_hold("a", group=pod, scope=Scope.NOBODY))
    assert index.domains_beside(GROUP) == 0
