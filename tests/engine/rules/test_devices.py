"""Groups whose members need devices: which nodes have them, and what members compete for."""

from dataclasses import replace

import pytest
from support.device_cluster import FROM_TEMPLATE, NAMED, RESOURCE, Cluster, a_group, gpus, open_to
from support.devices import (
    DRIVER,
    a_claim,
    a_class,
    a_device,
    a_request,
    a_slice,
    a_template,
)
from support.ruled_groups import plan, verdicts

from lws_placement.cluster.codec.pods.devices import decode_claim_refs
from lws_placement.engine.model.devices.source import DeviceUser
from lws_placement.engine.model.groups import GroupId, Member
from lws_placement.engine.model.placed_pods import Gone
from lws_placement.engine.model.pods import Demand
from lws_placement.engine.model.snapshot import NodeView
from lws_placement.engine.objects.devices.claims import ClaimRef
from lws_placement.engine.objects.nodes import Node
from lws_placement.engine.objects.pod_volumes import PodIdentity
from lws_placement.engine.rules.pod_rules import with_rules

# -- one pod --------------------------------------------------------------------------------------


def test_a_claim_needs_a_node_with_enough_free_devices():
    two = a_template("t", a_request("gpu", count=2))
    cluster = Cluster(*gpus(1, 2, 2), two, a_claim("x", devices=["d0"], node="n2", users=["u"]))
    assert open_to(cluster, a_group(1)) == ["n1"]
    assert verdicts(cluster, a_group(1))["n0"] == "too few free devices for its claim dev"


@pytest.mark.parametrize(
    ("objects", "claims", "why"),
    [
        ([], FROM_TEMPLATE, "resource claim template t not found"),
        ([], NAMED, "resource claim c not found"),
        (
            [a_template("t", "tpu")],
            FROM_TEMPLATE,
            "device class tpu of its claim dev does not exist",
        ),
        ([a_claim("c", deletionTimestamp="now")], NAMED, "resource claim c is being deleted"),
        (
            [a_claim("c", devices=["d0"], node="n0", users=[f"u{i}" for i in range(256)])],
            NAMED,
            "resource claim c serves 256 pods already",
        ),
    ],
)
def test_a_pod_that_can_run_nowhere_is_told_why(objects, claims, why):
    cluster = Cluster(*gpus(1, 1, 1), *objects)
    assert set(verdicts(cluster, a_group(1, claims)).values()) == {why}


def test_a_claim_that_has_devices_ties_the_pod_to_them():
    cluster = Cluster(*gpus(1, 1, 1), a_claim("c", devices=["d0"], node="n1", users=["other"]))
    assert open_to(cluster, a_group(1, NAMED)) == ["n1"]


def test_the_claim_made_for_the_pod_counts_not_the_template():
    owner = [{"uid": "pod", "controller": True}]
    made = a_claim("made", devices=["d0"], node="n2", ownerReferences=owner)
    cluster = Cluster(*gpus(1, 1, 1), a_template("t", "gpu"), made)
    assert open_to(cluster, a_group(1, uid="pod", names={"dev": "made"})) == ["n2"]
    whose = verdicts(cluster, a_group(1, uid="another", names={"dev": "made"}))
    assert set(whose.values()) == {"resource claim made was not made for it"}
    assert len(open_to(cluster, a_group(1, uid="pod", names={"dev": ""}))) == 3


@pytest.mark.parametrize(
    ("selector", "nodes"),
    [
        ('device.attributes["gpu.example.com"].model == "a100"', ["n0"]),
        ('device.attributes["gpu.example.com"].memory > 40', ["n1"]),
        ('device.capacity["gpu.example.com"].hbm.compareTo(quantity("40Gi")) >= 0', ["n1"]),
        ('device.attributes["other.example.com"].model == "a100"', []),
        ('!("model" in device.attributes["other.example.com"])', ["n0", "n1"]),
        ("device.driver.startsWith('gpu')", ["n0", "n1"]),
    ],
)
def test_selectors_choose_devices(selector, nodes):
    small = a_device("d0", model="a100", memory=40, capacity={"hbm": {"value": "39Gi"}})
    large = a_device("d0", model="h100", memory=80, capacity={"hbm": {"value": "40Gi"}})
    slices = a_slice("s0", small, node="n0"), a_slice("s1", large, node="n1")
    template = a_template("t", a_request("gpu", selector))
    assert open_to(Cluster(a_class("gpu"), *slices, template), a_group(1)) == nodes


def test_an_expression_that_cannot_be_read_is_told():
    template = a_template("t", a_request("gpu", 'url("x").getHost() == "x"'))
    (why,) = set(verdicts(Cluster(*gpus(1, 1, 1), template), a_group(1)).values())
    assert why.startswith(
        "not proven that it gets devices there for its claim dev: CEL expression url("
    )


def test_all_devices_are_asked_for_only_where_all_are_free():
    template = a_template("t", a_request("gpu", allocationMode="All"))
    used = a_claim("x", devices=["d1"], node="n1", users=["u"])
    assert open_to(Cluster(*gpus(2, 2, 0), template, used), a_group(1)) == ["n0"]


def test_a_pool_counts_when_all_of_its_slices_are_there_in_one_generation():
    parts = [a_slice(f"s{i}", f"d{i}", node="n0", count=2) for i in (0, 1)]
    cluster = Cluster(a_class("gpu"), parts[0], a_template("t", "gpu"))
    assert open_to(cluster, a_group(1)) == []
    cluster.put(parts[1])
    assert open_to(cluster, a_group(1)) == ["n0"]
    cluster.put(a_slice("s2", "d2", node="n0", count=2, generation=2))
    assert open_to(cluster, a_group(1)) == []


def test_a_newer_generation_elsewhere_replaces_what_a_node_reaches():
    old = a_slice("s0", 1, node="n0", pool="p", count=1)
    new = a_slice("s1", "d9", node="n1", pool="p", count=1, generation=2)
    cluster = Cluster(a_class("gpu"), old, a_template("t", "gpu"), nodes=2)
    assert open_to(cluster, a_group(1)) == ["n0"]
    cluster.put(new)
    assert open_to(cluster, a_group(1)) == ["n1"]


def test_devices_that_several_nodes_reach():
    where = {
        "nodeSelectorTerms": [
            {"matchExpressions": [{"key": "zone", "operator": "In", "values": ["a"]}]}
        ]
    }
    cluster = Cluster(a_class("gpu"), a_slice("s", 1, nodeSelector=where), a_template("t", "gpu"))
    assert open_to(cluster, a_group(1)) == ["n0", "n2"]
    cluster.put(a_slice("s", 1, allNodes=True))
    assert len(open_to(cluster, a_group(1))) == 3
    own = [a_device("d0", nodeName="n1"), a_device("d1", nodeName="n2")]
    cluster.put(a_slice("s", *own, perDeviceNodeSelection=True))
    assert open_to(cluster, a_group(1)) == ["n1", "n2"]


def test_the_first_alternative_that_can_be_had_counts():
    options = [
        {"name": "many", "deviceClassName": "gpu", "count": 4},
        {"name": "one", "deviceClassName": "gpu"},
    ]
    template = a_template("t", {"name": "r", "firstAvailable": options})
    assert open_to(Cluster(*gpus(4, 1, 0), template), a_group(1)) == ["n0", "n1"]


@pytest.mark.parametrize(
    ("kind", "nodes"), [("matchAttribute", ["n0"]), ("distinctAttribute", ["n1"])]
)
def test_constraints_compare_attributes(kind, nodes):
    alike = [a_device(f"d{i}", numa=0) for i in (0, 1)]
    unlike = [a_device(f"d{i}", numa=i) for i in (0, 1)]
    slices = a_slice("s0", *alike, node="n0"), a_slice("s1", *unlike, node="n1")
    template = a_template(
        "t", a_request("gpu", count=2), constraints=[{kind: f"{DRIVER}/numa", "requests": ["r"]}]
    )
    assert open_to(Cluster(a_class("gpu"), *slices, template, nodes=2), a_group(1)) == nodes


def test_tainted_devices_need_a_toleration():
    taint = {"key": "sick", "value": "x", "effect": "NoSchedule"}
    slices = a_slice("s0", a_device("d0", taints=[taint]), node="n0"), a_slice("s1", 1, node="n1")
    rule = {
        "kind": "DeviceTaintRule",
        "metadata": {"uid": "rule", "name": "rule"},
        "spec": {"deviceSelector": {"pool": "n1"}, "taint": taint | {"key": "old"}},
    }
    cluster = Cluster(a_class("gpu"), *slices, a_template("t", "gpu"), nodes=2)
    assert open_to(cluster, a_group(1)) == ["n1"]
    cluster.put(rule)
    assert open_to(cluster, a_group(1)) == []
    tolerant = a_request("gpu", tolerations=[{"key": "sick", "operator": "Exists"}])
    cluster.put(a_template("t", tolerant))
    assert open_to(cluster, a_group(1)) == ["n0"]
    cluster.drop(rule)
    assert open_to(cluster, a_group(1)) == ["n0", "n1"]


def a_partitioned(node, parts):
    """A device in parts that share 4 units, by the units of each; a slice has the counters."""
    counters = {"sharedCounters": [{"name": "c", "counters": {"units": {"value": "4"}}}]}
    devices = [
        a_device(
            f"d{i}",
            consumesCounters=[{"counterSet": "c", "counters": {"units": {"value": str(units)}}}],
        )
        for i, units in enumerate(parts)
    ]
    return (
        a_slice(f"c-{node}", node=node, count=2, **counters),
        a_slice(f"p-{node}", *devices, node=node, count=2),
    )


def test_parts_of_a_device_share_its_counters():
    parts = [*a_partitioned("n0", [4, 2, 2]), *a_partitioned("n1", [3, 2])]
    template = a_template("t", a_request("gpu", count=2))
    cluster = Cluster(a_class("gpu"), *parts, template, nodes=2)
    assert open_to(cluster, a_group(1)) == ["n0"]
    cluster.put(a_claim("x", devices=["d1"], node="n0", users=["u"]))
    assert open_to(cluster, a_group(1)) == []
    cluster.put(a_template("t", "gpu"))
    assert open_to(cluster, a_group(1)) == ["n0", "n1"]


def test_shares_of_a_device_take_of_its_capacity():
    policy = {"default": "10Gi", "validRange": {"min": "10Gi", "step": "5Gi", "max": "40Gi"}}
    capacity = {"hbm": {"value": "40Gi", "requestPolicy": policy}}
    device = a_device("d0", capacity=capacity, allowMultipleAllocations=True)
    cluster = Cluster(a_class("gpu"), a_slice("s", device, node="n0"), nodes=1)
    for asked, most in (("11Gi", 2), ("10Gi", 4), ("50Gi", 0)):
        cluster.put(a_template("t", a_request("gpu", capacity={"requests": {"hbm": asked}})))
        assert plan(cluster, a_group(most + 1)) is None, asked
        assert most == 0 or plan(cluster, a_group(most)) == ["n0"] * most


def test_one_request_has_one_share_of_a_device():
    capacity = {"hbm": {"value": "40Gi", "requestPolicy": {"default": "10Gi"}}}
    device = a_device("d0", capacity=capacity, allowMultipleAllocations=True)
    cluster = Cluster(a_class("gpu"), a_slice("s", device, node="n0"), nodes=1)
    cluster.put(a_template("t", a_request("gpu", count=2)))
    assert open_to(cluster, a_group(1)) == []
    cluster.put(a_template("t", a_request("gpu"), a_request("gpu", name="q")))
    assert open_to(cluster, a_group(1)) == ["n0"]


def test_administrators_may_look_at_devices_in_use():
    cluster = Cluster(
        *gpus(1),
        a_template("t", a_request("gpu", adminAccess=True)),
        a_claim("x", devices=["d0"], node="n0", users=["u"]),
    )
    assert open_to(cluster, a_group(1)) == ["n0"]


# -- extended resources ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", [RESOURCE, "deviceclass.resource.kubernetes.io/gpu"])
def test_an_extended_resource_is_served_by_devices_where_nodes_lack_it(name):
    cluster = Cluster(a_class("gpu", resource=RESOURCE), *gpus(1, 2)[1:])
    node = Node("n2", {}, {name: 2})
    cluster.nodes["n2"] = NodeView(node, {"cpu": 8, name: 2})
    for other in ("n0", "n1"):
        cluster.nodes[other] = NodeView(cluster.nodes[other].node, {"cpu": 8, name: 2**62})
    group = a_group(1, (), resources=((name, 2),))
    cluster.index.expect(group.members[0].demand)
    assert cluster.by_devices == {name}
    assert open_to(cluster, group) == ["n1", "n2"]


# -- several members ------------------------------------------------------------------------------


def test_one_device_on_each_node_means_one_member_on_each_node():
    cluster = Cluster(*gpus(1, 1, 1), a_template("t", "gpu"))
    assert plan(cluster, a_group(3)) == ["n0", "n1", "n2"]
    assert plan(cluster, a_group(4)) is None


def test_members_that_share_a_claim_go_to_its_devices():
    cluster = Cluster(*gpus(1, 1), a_claim("c"), nodes=2)
    assert len(set(plan(cluster, a_group(3, NAMED)))) == 1
    cluster.put(a_slice("s0", 1, allNodes=True), a_slice("s1", 1, allNodes=True))
    assert plan(cluster, a_group(3, NAMED)) is not None


def test_members_are_placed_only_if_every_order_of_binding_serves_all():
    """The worker takes the first device, which the leader needs."""
    special = [a_device("d0", special=True), a_device("d1", special=False)]
    wanted = a_request("gpu", f'device.attributes["{DRIVER}"].special')
    cluster = Cluster(a_class("gpu"), a_slice("s", *special, node="n0"), nodes=1)
    cluster.put(a_template("t", "gpu"), a_template("leads", wanted))
    group = a_group(2)
    leader = replace(group.members[0].demand, device_claims=(ClaimRef("dev", template="leads"),))
    unlike = replace(group, members=(Member(0, leader), group.members[1]))
    assert plan(cluster, group) == ["n0", "n0"]
    assert plan(cluster, unlike) is None
    cluster.put(a_slice("s", *reversed(special), node="n0"))
    assert plan(cluster, unlike) == ["n0", "n0"]


def test_members_that_have_claims_of_their_own_already_are_alike():
    cluster = Cluster(*gpus(6), nodes=1)
    names = {}
    for rank in range(6):
        owner = [{"uid": f"pod-{rank}", "controller": True}]
        cluster.put(a_claim(f"made-{rank}", ownerReferences=owner))
        names[rank] = PodIdentity(
            f"llm-0-{rank}", f"pod-{rank}", device_claims={"dev": f"made-{rank}"}
        )
    group = replace(a_group(6), identity_of=names.__getitem__)
    assert plan(cluster, group) == ["n0"] * 6


def test_plans_heed_what_is_on_its_way_beyond_the_node():
    promised = []
    cluster = Cluster(
        a_class("gpu"), a_slice("s", 1, allNodes=True), a_template("t", "gpu"), promised=promised
    )
    cluster.index.expect(a_group(1).members[0].demand)
    before = with_rules(a_group(1), cluster).members[0].demand
    assert len(open_to(cluster, a_group(1))) == 3
    cluster.index.promised_changed()
    assert with_rules(a_group(1), cluster).members[0].demand == before
    promised.append(a_user("n0", group=GroupId("ns", "other", "o", "0")))
    cluster.index.promised_changed()
    assert open_to(cluster, a_group(1)) == []


def a_user(node, *, group, claims=FROM_TEMPLATE):
    return DeviceUser("ns", PodIdentity("other"), claims, (), node, promised_to=group)


def test_members_of_other_groups_on_their_way_count():
    other = GroupId("ns", "other", "o", "0")
    cluster = Cluster(
        *gpus(1, 2), a_template("t", "gpu"), nodes=2, promised=[a_user("n0", group=other)]
    )
    cluster.index.expect(Demand((), device_claims=FROM_TEMPLATE))
    assert open_to(cluster, a_group(1)) == ["n1"]
    cluster.devices = cluster.index.without(Gone(frozenset(), frozenset({other})))
    assert open_to(cluster, a_group(1)) == ["n0", "n1"]


def test_the_groups_own_members_on_their_way_do_not_count():
    mine = a_group(1)
    cluster = Cluster(*gpus(1), a_template("t", "gpu"), promised=[a_user("n0", group=mine.id)])
    cluster.index.expect(mine.members[0].demand)
    assert open_to(cluster, mine) == ["n0"]


def test_a_bound_pod_counts_until_its_claim_is_seen():
    cluster = Cluster(*gpus(1, 1), a_template("t", "gpu"), nodes=2)
    cluster.runs("p", "n0", *FROM_TEMPLATE, dev="made")
    assert open_to(cluster, a_group(1)) == ["n1"]
    owner = [{"uid": "uid-p", "controller": True}]
    made = a_claim("made", devices=["d0"], node="n0", users=["uid-p"], ownerReferences=owner)
    cluster.put(made)
    assert open_to(cluster, a_group(1)) == ["n1"]
    assert cluster.touched[-1] == "n0"
    cluster.devices = cluster.index.without(Gone(frozenset({"uid-p"}), frozenset()))
    assert open_to(cluster, a_group(1)) == ["n0", "n1"]
    cluster.devices = cluster.index
    cluster.index.drop_pod("uid-p")
    cluster.drop(made)
    assert open_to(cluster, a_group(1)) == ["n0", "n1"]


def test_a_claim_of_several_pods_is_free_only_without_all_of_them():
    cluster = Cluster(
        *gpus(1, 1), a_claim("c", devices=["d0"], node="n1", users=["a", "b"]), nodes=2
    )
    for gone, nodes in ({"a"}, ["n1"]), ({"a", "b"}, ["n0", "n1"]):
        cluster.devices = cluster.index.without(Gone(frozenset(gone), frozenset()))
        assert open_to(cluster, a_group(1, NAMED)) == nodes


def test_rules_of_equal_groups_are_equal_until_something_changes_beyond_one_node():
    cluster = Cluster(*gpus(1, 1), a_template("t", "gpu"))

    def rule():
        return with_rules(a_group(1), cluster).members[0].demand.node_rule

    before = rule()
    assert rule() == before
    cluster.put(a_claim("x", devices=["d0"], node="n0", users=["u"]))
    assert rule() == before
    assert cluster.touched[-1] == "n0"
    cluster.put(a_class("gpu", "true"))
    assert rule() != before
    before = rule()
    cluster.put(a_slice("shared", 1, allNodes=True))
    assert rule() != before


def test_refs_keep_the_order_of_the_pod():
    raws = [
        {"name": "b", "resourceClaimName": "x"},
        {"name": "a", "resourceClaimTemplateName": "y"},
    ]
    refs = (ClaimRef("b", claim="x"), ClaimRef("a", template="y"))
    assert decode_claim_refs({"resourceClaims": raws}) == refs
