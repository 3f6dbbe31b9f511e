"""The checks of `support/namespaced_rules.py` find what they are for."""

import pytest
from support.namespaced_rules import NamespacedRules, too_uneven

from lws_placement.cluster.codec.objects import decode_pod
from lws_placement.engine.objects.nodes import Node

ZONE = "zone"
NODES = [Node("a1", {ZONE: "a"}, {}), Node("a2", {ZONE: "a"}, {}), Node("b1", {ZONE: "b"}, {})]
NAMESPACES = {"ns": {"team": "red"}, "other": {"team": "blue"}}
SELECTED = {"labelSelector": {"matchLabels": {"app": "llm"}}}
SPREAD = {
    "topologySpreadConstraints": [
        {"topologyKey": ZONE, "maxSkew": 1, "whenUnsatisfiable": "DoNotSchedule"} | SELECTED
    ]
}


def a_pod(name="p", *, namespace="ns", app="llm", node=None, going=False, **spec):
    meta = {"name": name, "namespace": namespace, "uid": name, "resourceVersion": "1"}
    meta["labels"] = {"app": app}
    if going:
        meta["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    spec |= {"containers": [{"name": "c0"}]} | ({"nodeName": node} if node else {})
    return decode_pod({"metadata": meta, "spec": spec})


def affinity(kind, **term):
    required = [{"topologyKey": ZONE} | SELECTED | term]
    return {"affinity": {kind: {"requiredDuringSchedulingIgnoredDuringExecution": required}}}


@pytest.mark.parametrize(
    ("other", "is_uneven"),
    [
        pytest.param({"node": "a2"}, True, id="one zone has two, the other none"),
        pytest.param({"node": "b1"}, False, id="each zone has one"),
        pytest.param({"node": "a2", "app": "web"}, False, id="the other is not selected"),
        pytest.param({"node": "a2", "namespace": "other"}, False, id="nor in another namespace"),
        pytest.param({"node": "a2", "going": True}, False, id="nor is it if it terminates"),
    ],
)
def test_members_are_too_uneven_in_the_end(other, is_uneven):
    member = a_pod("p", **SPREAD)
    bound = [a_pod("p", node="a1", **SPREAD), a_pod("q", **other)]
    assert bool(too_uneven([(member, "a1")], bound, NODES)) == is_uneven


@pytest.mark.parametrize(
    ("selector", "is_let_in"),
    [({}, False), ({"team": "red"}, True), ({"team": "blue"}, False)],
)
def test_terms_select_pods_of_their_namespaces_alone(selector, is_let_in):
    there = a_pod("there", namespace="other", node="a1")
    asking = a_pod(
        "asks", **affinity("podAntiAffinity", namespaceSelector={"matchLabels": selector})
    )
    rules = NamespacedRules(NAMESPACES, NODES, [there])
    assert rules.are_bound_in_every_order([asking], ["a2"], pinned=False) == is_let_in


def test_without_namespaces_a_term_selects_those_of_its_own():
    there = a_pod("there", namespace="other", node="a1")
    rules = NamespacedRules(NAMESPACES, NODES, [there])
    asking = a_pod("asks", **affinity("podAntiAffinity"))
    assert rules.are_bound_in_every_order([asking], ["a2"], pinned=False)


def test_a_pin_hides_other_zones_from_topology_spread():
    pods = [a_pod("p", **SPREAD), a_pod("q", **SPREAD)]
    rules = NamespacedRules(NAMESPACES, NODES, [])
    assert rules.are_bound_in_every_order(pods, ["a1", "a2"], pinned=True)
    assert not rules.are_bound_in_every_order(pods, ["a1", "a2"], pinned=False)
