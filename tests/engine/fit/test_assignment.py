"""Groups whose members differ, where one member at a time, or counting, goes wrong."""

import pytest

from lws_placement.engine.model.groups import Group, GroupId, Member
from lws_placement.engine.model.pods import Demand, Toleration
from lws_placement.engine.model.snapshot import DomainSet, DomainView, NodeView
from lws_placement.engine.model.verdicts import Placed, Why
from lws_placement.engine.objects.nodes import DomainName, Node, Taint
from lws_placement.engine.objects.placement_request import TopologyRequest
from lws_placement.engine.planning.single_domain import PlanMemo, plan_group

KEY = "example.com/rack"


def asks(*, on="", tolerates="", **amounts):
    tolerations = (Toleration(tolerates, "Exists"),) if tolerates else ()
    return Demand(
        resources=tuple(sorted(amounts.items())),
        selector=(("type", on),) if on else (),
        tolerations=tolerations,
    )


def a_node(name, *, type="", taint="", **room):
    taints = (Taint(taint, "", "NoSchedule"),) if taint else ()
    return NodeView(Node(name, {"type": type}, room, taints), room)


def plan(domains, *demands):
    members = tuple(Member(rank, demand) for rank, demand in enumerate(demands))
    group = Group(GroupId("ns", "llm", "u", "0"), TopologyRequest(KEY), members)
    views = [DomainView(DomainName(KEY, name), tuple(nodes)) for name, nodes in domains.items()]
    found = plan_group(group, views)
    assert found == plan_group(group, DomainSet(views), memo=PlanMemo())
    return found


LEADER, WORKER = asks(cpu=40_000), asks(cpu=40_000, gpu=8)


def test_a_leader_does_not_take_the_only_node_that_would_do_for_the_worker():
    nodes = [a_node("a", cpu=64_000, gpu=8), a_node("b", cpu=64_000)]
    found = plan({"r": nodes}, LEADER, WORKER)
    assert isinstance(found, Placed)
    assert found.nodes == {0: "b", 1: "a"}


def test_a_domain_of_one_node_for_the_leader_and_one_for_the_worker_is_taken():
    nodes = [
        a_node("cpu-only", type="leaders", cpu=64_000),
        a_node("gpu-only", type="workers", taint="gpu", cpu=64_000, gpu=8),
    ]
    leader = asks(on="leaders", cpu=40_000)
    worker = asks(on="workers", tolerates="gpu", cpu=8_000, gpu=8)
    found = plan({"r": nodes}, leader, worker)
    assert isinstance(found, Placed)
    assert found.nodes == {0: "cpu-only", 1: "gpu-only"}


def test_room_for_the_workers_or_the_leader_is_no_room_for_all_three():
    """A spine with one free node."""
    spine = {"spine": [a_node("n", cpu=4_000)]}
    leader, worker = asks(cpu=2_500), asks(cpu=1_250)
    assert isinstance(plan(spine, worker, worker), Placed)
    assert isinstance(plan(spine, leader, worker), Placed)
    refused = plan(spine, leader, worker, worker)
    assert refused.reasons["spine"].why is Why.NO_MATCHING


def test_of_two_domains_that_take_the_leader_the_one_that_takes_the_group_is_found():
    domains = {
        "a": [a_node("a0", cpu=64_000, gpu=8), a_node("a1", cpu=8_000)],
        "b": [a_node("b0", cpu=64_000), a_node("b1", cpu=64_000, gpu=8)],
    }
    found = plan(domains, LEADER, WORKER)
    assert isinstance(found, Placed)
    assert found.domain == DomainName(KEY, "b")


def test_a_leader_without_accelerators_finds_its_cpu_beside_a_worker():
    """Four nodes of four chips, five pods; only one node has cpu to spare."""
    nodes = [a_node(f"n{i}", cpu=9_000 if i == 2 else 8_000, tpu=4) for i in range(4)]
    found = plan({"slice": nodes}, asks(cpu=1_000), *[asks(cpu=8_000, tpu=4)] * 4)
    assert isinstance(found, Placed)
    assert found.nodes[0] == "n2"
    assert sorted(found.nodes[r] for r in range(1, 5)) == ["n0", "n1", "n2", "n3"]


@pytest.mark.parametrize("spare", [3, 4])
def test_several_members_share_a_node(spare):
    nodes = [a_node("n0", gpu=8), a_node("n1", gpu=spare)]
    found = plan({"r": nodes}, *[asks(gpu=2)] * 6)
    assert isinstance(found, Placed) == (spare == 4)
