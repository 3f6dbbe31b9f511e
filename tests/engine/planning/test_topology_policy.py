"""No group takes, or waits for, a domain that is most of the cluster, unless it fills it."""

from dataclasses import replace

import pytest
from support.decisions import GROUP, WHOLE_NODE, a_context, a_hold, a_member, a_seen, bind, held
from support.tenants import Town

from lws_placement.cluster.adapters.backfill import Backfill
from lws_placement.cluster.cache.topology_index import TopologyIndex
from lws_placement.engine.messages import domain_in_words, waiting_note
from lws_placement.engine.model.groups import Group, GroupId, Member, Occupant
from lws_placement.engine.model.reservation import place_of
from lws_placement.engine.model.verdicts import NoFit, Placed, Why
from lws_placement.engine.objects.nodes import DomainName, Node
from lws_placement.engine.objects.placement_request import (
    PlacementRequest,
    Scope,
    TopologyRequest,
)
from lws_placement.engine.objects.topology_policy import TopologyPolicy
from lws_placement.engine.planning.backfill import RoomToCome
from lws_placement.engine.planning.multi_domain import plan_multi_domain
from lws_placement.engine.planning.single_domain import PlanMemo, plan_group
from lws_placement.engine.preemption.search import NoPreemption, preempt
from lws_placement.engine.reconcile.actions import Blocked, Hindrance, Wait, WriteHold
from lws_placement.engine.reconcile.decide import decide

OS, SLICE = "kubernetes.io/os", "example.com/slice"
HOST = "kubernetes.io/hostname"
HALF = TopologyPolicy(largest_share=0.5)


def a_cluster(*, linux=12, windows=0, policy=HALF):
    """Nodes of an operating system each, four to a slice."""
    index = TopologyIndex(policy=policy)
    for i in range(linux + windows):
        labels = {OS: "linux" if i < linux else "windows", SLICE: f"s{i // 4}", HOST: f"n{i:03}"}
        node = Node(f"n{i:03}", labels, {"google.com/tpu": 4, "cpu": 8000, "pods": 110})
        index.put_node(node)
    return index


def a_group(index, key=OS, *, size=1, request=None, group=GROUP, since_s=0.0):
    members = tuple(Member(rank, WHOLE_NODE) for rank in range(size))
    request = request or TopologyRequest(key)
    return Group(group, request, members, since_s=since_s, most_nodes=index.most_nodes)


def plan(index, group, *, memo=None):
    if group.request.in_one_domain:
        return plan_group(group, index.domains(group.topology_key), memo=memo)
    return plan_multi_domain(group, index)


@pytest.mark.parametrize("memo", [None, PlanMemo()], ids=["afresh", "by the index"])
@pytest.mark.parametrize(
    ("cluster", "key", "size", "where"),
    [
        pytest.param({}, OS, 1, None, id="most of the cluster"),
        pytest.param({}, OS, 2, None, id="not filled"),
        pytest.param({}, OS, 3, "linux", id="filled with a pod for every four nodes"),
        pytest.param({}, HOST, 1, "n000", id="one node"),
        pytest.param({}, SLICE, 1, "s0", id="a slice"),
        pytest.param({"linux": 10}, OS, 1, "linux", id="a small cluster"),
        pytest.param({"linux": 12, "windows": 4}, OS, 1, "windows", id="the smaller domain"),
        pytest.param({"linux": 12, "windows": 12}, OS, 1, "linux", id="two halves"),
        pytest.param({"policy": TopologyPolicy()}, OS, 1, "linux", id="no limit"),
        pytest.param({"policy": TopologyPolicy(largest_share=0.1)}, HOST, 1, "n000", id="a tenth"),
    ],
)
def test_who_has_a_domain_of_most_of_the_cluster(cluster, key, size, where, memo):
    index = a_cluster(**cluster)
    found = plan(index, a_group(index, key, size=size), memo=memo)
    assert (found.domain.value if isinstance(found, Placed) else None) == where


def test_each_subgroup_has_to_fill_its_own_domain():
    index = a_cluster()
    for subgroups, placed in ((((0, 1, 2),), True), (((0, 1), (2, 3)), False)):
        size = sum(map(len, subgroups))
        asked = TopologyRequest(inner=OS, subgroups=subgroups)
        found = plan(index, a_group(index, size=size, request=asked))
        assert isinstance(found, Placed) is placed


def test_a_domain_inside_of_one_that_is_too_large_is_refused_with_it():
    index = a_cluster()
    asked = TopologyRequest(OS, inner=SLICE, subgroups=((0,), (1,)))
    found = plan(index, a_group(index, size=2, request=asked))
    assert {r.why for r in found.reasons.values()} == {Why.TOO_LARGE}


def test_it_is_said_in_words():
    index = a_cluster(linux=20)
    found = plan(index, a_group(index))
    words = waiting_note(found, size=1)
    for part in ("kubernetes.io/os", "largest-domain-share", "smaller level"):
        assert part in words
    assert "20 nodes" in domain_in_words(found.reasons["linux"], str)


def test_the_share_is_of_the_nodes_there_are_now():
    index, memo = a_cluster(linux=12, windows=8), PlanMemo()
    refused = plan(index, a_group(index), memo=memo)
    assert isinstance(refused, NoFit) is False  # windows has eight of twenty
    for i in range(12, 20):
        index.drop_node(f"n{i:03}")
    assert isinstance(plan(index, a_group(index), memo=memo), NoFit)
    for i in range(12):
        index.put_node(Node(f"more{i}", {}, {}))
    assert isinstance(plan(index, a_group(index), memo=memo), Placed)


def test_who_has_it_already_keeps_it_when_the_cluster_shrinks():
    index = a_cluster()
    nodes = {0: "n000"}
    hold = a_hold(nodes=nodes, domain="linux")
    index.put_hold(replace(hold, domain=DomainName(OS, "linux")))
    assert isinstance(plan(index, a_group(index)), Placed)
    assert isinstance(plan(index, a_group(index, group=replace(GROUP, lws="other"))), NoFit)


def test_nobody_is_preempted_for_it():
    index = a_cluster()
    hold = replace(a_hold(nodes={0: "n000"}), domain=DomainName(SLICE, "s0"))
    index.put_hold(hold)
    group = replace(a_group(index, group=replace(GROUP, lws="other")), outranks=100)
    domains = index.domains(OS)
    assert isinstance(preempt(group, domains, Town()), NoPreemption)


def who_waits(index, key, **fields):
    group = a_group(index, key, **fields)
    return Wait(plan(index, group), group, NoPreemption.__new__(NoPreemption))


def crossed(index):
    """Domains that are not of one key alone, so that places are kept."""
    other = GroupId("ns", "gang", "uid", "k")
    hold = replace(a_hold(nodes={0: "n000"}), domain=place_of(other), group=other)
    index.put_hold(replace(hold, scope=Scope.NOBODY))


def test_no_place_is_kept_for_it():
    index = a_cluster()
    crossed(index)
    late = GroupId("ns", "late", "uid-late", "key-late")
    first = who_waits(index, OS)
    assert not RoomToCome().of(first.group, index)
    Backfill(index).decided(a_seen(), [first])
    assert index.awaiting() == []
    assert isinstance(plan(index, a_group(index, SLICE, group=late, since_s=9.0)), Placed)


def test_a_namespace_keeps_no_more_places_than_it_may():
    policy = TopologyPolicy(waiting_places={"*": 1, "rich": 2})
    index = a_cluster(policy=policy)
    crossed(index)
    backfill = Backfill(index)
    for namespace in ("ns", "rich"):
        for i in range(3):
            group = GroupId(namespace, f"llm-{i}", f"uid-{i}", "k")
            wait = who_waits(index, SLICE, group=group, size=1, since_s=float(i))
            backfill.decided(replace(a_seen(), id=group), [wait])
    assert [turn[2].namespace for turn in index.awaiting()].count("ns") == 1
    assert [turn[2].namespace for turn in index.awaiting()].count("rich") == 2


# -- what `decide` makes of it -------------------------------------------------------------------


def asking(pod, key):
    member = replace(pod.member, request=PlacementRequest(topology=key))
    return replace(pod, member=member)


def test_a_group_that_runs_in_it_without_a_hold_is_told_and_holds_nothing():
    index = a_cluster()
    pods = [asking(a_member(r, node=f"n00{r}", gated=False), OS) for r in range(2)]
    bind(index, *pods)
    seen = replace(a_seen(*pods), most_nodes=index.most_nodes)
    (told,) = decide(seen, a_context(index))
    assert isinstance(told, Blocked)
    assert "largest-domain-share" in told.why


@pytest.mark.parametrize("bound", [False, True])
def test_a_key_that_is_not_on_the_list_is_told_and_nothing_is_held(bound):
    index = a_cluster()
    policy = TopologyPolicy(keys=("example.com/slice", "cloud.example.com/*"))
    fields = {"gated": False} if bound else {}
    pods = [asking(a_member(r, **fields), OS) for r in range(2)]
    if bound:
        pods = [replace(p, node=f"n00{i}") for i, p in enumerate(pods)]
        bind(index, *pods)
    (told,) = decide(a_seen(*pods), a_context(index, policy=policy))
    assert isinstance(told, Blocked)
    assert told.hindrance is Hindrance.NOT_ALLOWED
    for part in (OS, "topology-keys", "example.com/slice", "cloud.example.com/*"):
        assert part in told.why


def test_a_group_placed_by_a_key_that_was_allowed_stays():
    index = a_cluster()
    hold = replace(a_hold(nodes={0: "n000", 1: "n001"}), domain=DomainName(OS, "linux"))
    held(index, hold)
    pods = [asking(a_member(r, node=f"n00{r}", gated=False), OS) for r in range(2)]
    bind(index, *pods)
    policy = TopologyPolicy(keys=("example.com/slice",))
    assert decide(a_seen(*pods, holds=(hold,)), a_context(index, policy=policy)) == []


@pytest.mark.parametrize(
    ("key", "allowed"),
    [
        ("example.com/slice", True),
        ("cloud.example.com/rack", True),
        ("kubernetes.io/os", False),
        ("xexample.com/slice", False),
        ("cloud.example.com/", False),
        ("x" * 100_000, False),
    ],
)
def test_patterns_of_keys(key, allowed):
    policy = TopologyPolicy(keys=("example.com/slice", "cloud.example.com/*"))
    why = policy.why_not(key)
    assert (why == "") is allowed
    assert len(why) < 400


@pytest.mark.parametrize(
    ("held_beside", "namespace", "free"),
    [(0, "ns", True), (1, "ns", True), (2, "ns", False), (2, "ns-rich", True), (9, "x", True)],
)
@pytest.mark.parametrize("bound", [False, True])
def test_groups_of_a_namespace_hold_no_more_domains_than_they_may(
    held_beside, namespace, free, bound
):
    index = a_cluster()
    policy = TopologyPolicy(domains={"ns": 2, "ns-*": 3})
    fields = {"gated": False} if bound else {}
    pods = [asking(a_member(r, **fields), SLICE) for r in range(2)]
    if bound:
        pods = [replace(p, node=f"n00{i}") for i, p in enumerate(pods)]
    group = replace(GROUP, namespace=namespace)
    for pod in pods if bound else ():
        index.put_occupant(pod.node, Occupant(pod.uid, pod.demand, group), owner_uid="")
    seen = replace(a_seen(*pods), id=group, held_beside=held_beside)
    actions = decide(seen, a_context(index, policy=policy))
    assert any(isinstance(a, WriteHold) for a in actions) is free
    if not free:
        (told,) = actions
        assert isinstance(told, Blocked)
        for part in ("namespace ns", "2 domains", "domains-per-namespace"):
            assert part in told.why


def test_all_domains_of_subgroups_count():
    policy = TopologyPolicy(domains={"*": 3})
    assert policy.why_not_more("ns", held=1, asked=2) == ""
    assert policy.why_not_more("ns", held=1, asked=3)
