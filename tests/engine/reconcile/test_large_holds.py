"""A hold that no Lease can list is told and never written."""

from dataclasses import replace

import pytest
from support.decisions import (
    GROUP,
    KEY,
    WHOLE_NODE,
    a_context,
    a_hold,
    a_member,
    a_seen,
    bind,
)

from lws_placement.cluster.cache.topology_index import TopologyIndex
from lws_placement.cluster.codec.hold_lease import encode_holds
from lws_placement.engine.base.keys import HOLD
from lws_placement.engine.model.groups import Group, GroupId, Member
from lws_placement.engine.model.pods import Demand, HostPort
from lws_placement.engine.model.reservation import (
    MOST_LEASE_BYTES,
    MOST_SHARED_BYTES,
    have_room_together,
)
from lws_placement.engine.model.verdicts import Placed, Why
from lws_placement.engine.objects.nodes import DomainName, Node
from lws_placement.engine.objects.placement_request import Scope, TopologyRequest
from lws_placement.engine.planning.single_domain import plan_group
from lws_placement.engine.reconcile.actions import Blocked
from lws_placement.engine.reconcile.decide import decide

API_SERVER = 256 * 1024
"""Of all annotations of an object together."""


def a_large_hold(members, name, *, ports=0, **fields):
    demands = {
        rank: replace(WHOLE_NODE, host_ports=tuple(HostPort("", "TCP", p) for p in range(ports)))
        for rank in range(members)
    }
    nodes = {rank: name + str(rank) for rank in range(members)}
    return a_hold(nodes=nodes, demands=demands, size=members, **fields)


@pytest.mark.parametrize("members", [1, 2, 100, 4096])
@pytest.mark.parametrize("name", ["n", "node-of-a-usual-length-", "n" * 240])
@pytest.mark.parametrize("ports", [0, 3])
def test_the_bound_is_above_what_is_written_and_not_by_much(members, name, ports):
    evicts = tuple(replace(GROUP, lws=f"other-{i}") for i in range(members // 50))
    hold = a_large_hold(members, name, ports=ports, evicts=evicts)
    lease = encode_holds([hold], namespace="lws-placement-system")
    written = sum(len(k) + len(v) for k, v in lease["metadata"]["annotations"].items())
    assert written <= hold.size_bytes <= written * 1.05 + 1000


def test_what_counts_as_fitting_fits():
    number = 4096
    long = (MOST_LEASE_BYTES // number) - 20
    hold = a_large_hold(number, "n" * (long - 6))
    assert have_room_together([hold])
    lease = encode_holds([hold], namespace="lws-placement-system")
    assert sum(map(len, lease["metadata"]["annotations"].values())) + len(HOLD) < API_SERVER
    assert not have_room_together([hold, hold])


def a_domain(nodes, name):
    index = TopologyIndex()
    for i in range(nodes):
        node = Node(f"{name}{i}", {KEY: "a"}, {"google.com/tpu": 4, "pods": 9})
        index.put_node(node)
    return index


@pytest.mark.parametrize("bound", [False, True])
def test_a_group_whose_hold_is_too_large_is_told_what_to_do(bound):
    size = 1200
    index = a_domain(size, "n" * 240)
    fields = {"gated": False} if bound else {}
    pods = [a_member(rank, size=size, **fields) for rank in range(2)]
    if bound:
        pods = [replace(p, node="n" * 240 + str(i)) for i, p in enumerate(pods)]
        bind(index, *pods)
    (told,) = decide(a_seen(*pods, size=size), a_context(index))
    assert isinstance(told, Blocked)
    for part in ("1200 pods", "KiB", "make the group smaller"):
        assert part in told.why


def test_pods_that_all_request_something_else_count_too():
    demands = {
        rank: Demand(
            (("google.com/tpu", 1),), host_ports=tuple(HostPort("", "TCP", p) for p in range(2000))
        )
        for rank in range(1)
    }
    hold = a_hold(nodes={0: "a"}, demands=demands)
    one = hold.size_bytes
    more = {
        rank: replace(demands[0], resources=(("google.com/tpu", rank),)) for rank in range(1, 10)
    }
    nodes = dict.fromkeys(range(10), "a")
    assert a_hold(nodes=nodes, demands=demands | more).size_bytes > 8 * one


def test_a_shared_domain_takes_no_more_groups_than_its_lease_can_list():
    index = a_domain(4, "n")
    asking = Group(
        replace(GROUP, lws="late"), TopologyRequest(KEY), (Member(0, WHOLE_NODE),), scope=Scope.LWS
    )
    for i in range(40):
        group = GroupId("ns", f"set-{i}", f"uid-{i}", "key")
        hold = a_large_hold(10, "x" * 240, group=group, scope=Scope.LWS)
        index.put_hold(replace(hold, domain=DomainName(KEY, "a")))
    assert isinstance(plan_group(asking, index.domains(KEY)), Placed)
    for i in range(40, 60):
        group = GroupId("ns", f"set-{i}", f"uid-{i}", "key")
        hold = a_large_hold(10, "x" * 240, group=group, scope=Scope.LWS)
        index.put_hold(replace(hold, domain=DomainName(KEY, "a")))
    refused = plan_group(asking, index.domains(KEY))
    assert refused.reasons["a"].why is Why.FULL
    assert sum(h.size_bytes for h in index.holds_on("n0")) < 2 * MOST_SHARED_BYTES
    own = replace(asking, id=GroupId("ns", "set-0", "uid-0", "key"))
    assert isinstance(plan_group(own, index.domains(KEY)), Placed)
