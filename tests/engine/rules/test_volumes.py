"""Groups whose members have volumes: where their claims let them go, and what they compete for."""

from dataclasses import replace
from itertools import permutations, product

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.ruled_groups import plan, verdicts
from support.volumes import HOST, ZONE, a_claim, a_class, a_volume

from lws_placement.cluster.cache.devices.device_index import DeviceIndex
from lws_placement.cluster.cache.storage import StorageIndex
from lws_placement.engine.model.groups import Group, GroupId, Member
from lws_placement.engine.model.placed_pods import Gone, NoPlacedPods
from lws_placement.engine.model.pods import Demand, Pod
from lws_placement.engine.model.snapshot import NodeView
from lws_placement.engine.model.storage import VolumeUser, VolumeUsersWithout
from lws_placement.engine.objects.nodes import Node
from lws_placement.engine.objects.placement_request import TopologyRequest
from lws_placement.engine.objects.pod_volumes import ClaimKind, ClaimSpec, PodIdentity, PodVolume
from lws_placement.engine.rules.pod_rules import with_rules

OWN = PodVolume("data", ClaimKind.OWN)
DRIVER = "csi.example.com"


class Cluster:
    """Nodes n0, n1, ... in zones a, b, a, ..., with room for several members each."""

    placed_pods, gone = NoPlacedPods(), Gone()
    devices = DeviceIndex(None)

    def __init__(self, *, nodes=3, promised=()):
        self.nodes = {}
        for number in range(nodes):
            name, zone = f"n{number}", "ab"[number % 2]
            node = Node(name, {HOST: name, ZONE: zone}, {})
            self.nodes[name] = NodeView(node, {"cpu": 8})
        self.storage = self.volume_users = StorageIndex(lambda: promised)

    def put(self, kind, *raws):
        (put,) = (k.put for k in self.storage.kinds if k.name == kind)
        for raw in raws:
            put(raw)
        return self

    def runs(self, name, node, *volumes):
        demand = Demand((("cpu", 1),), volumes=volumes)
        pod = Pod("ns", name, f"uid-{name}", "1", 0.0, demand, node=node)
        self.storage.put_pod(pod)

    @property
    def actual(self):
        return self

    def node_view(self, name):
        return self.nodes.get(name)


def a_group(size, *volumes, spec=None, uid=""):
    demand = Demand((("cpu", 1),), volumes=volumes or (OWN,))
    claims = {"data": spec or ClaimSpec("local", 1, frozenset({"ReadWriteOnce"}))}
    return Group(
        GroupId("ns", "llm", "u", "0"),
        TopologyRequest("all"),
        tuple(Member(rank, demand) for rank in range(size)),
        identity_of=lambda rank: PodIdentity(f"llm-0-{rank}", uid, claims),
    )


def everywhere(why, nodes=3):
    return {f"n{i}": why for i in range(nodes)}


def named(name):
    return PodVolume(name, ClaimKind.NAMED)


def test_a_group_without_volumes_is_left_as_it_is():
    cluster = Cluster()
    group = Group(GroupId("ns", "x", "u", "0"), TopologyRequest(), (Member(0, Demand(())),))
    assert with_rules(group, cluster) is group
    assert not cluster.storage.asked


def test_a_bound_claim_ties_its_member_to_the_node_of_its_volume():
    cluster = Cluster().put("PersistentVolume", a_volume("v", host="n1", claim="data-llm-0-0"))
    cluster.put("PersistentVolumeClaim", a_claim("data-llm-0-0", volume="v"))
    why = "its volume data-llm-0-0 is on node n1"
    assert verdicts(cluster, a_group(1)) == {"n0": why, "n1": None, "n2": why}


@pytest.mark.parametrize(("zones", "there"), [("a", {"n0", "n2"}), ("a__b", {"n0", "n1", "n2"})])
def test_a_bound_claim_ties_its_member_to_the_zone_of_its_volume(zones, there):
    volume = a_volume("v", labels={ZONE: zones}, claim="c")
    cluster = Cluster().put("PersistentVolume", volume)
    cluster.put("PersistentVolumeClaim", a_claim("c", volume="v"))
    found = verdicts(cluster, a_group(1, named("c")))
    assert {name for name, why in found.items() if why is None} == there
    if there != set(found):
        assert found["n1"] == "its volume c is in zone a"


@pytest.mark.parametrize(
    ("claim", "why"),
    [
        (None, "persistentvolumeclaim c not found"),
        (a_claim("c", deleted="2026-01-01T00:00:00Z"), "claim c is being deleted"),
        (a_claim("c", storageClassName="now"), "claim c is not bound yet"),
        (a_claim("c", storageClassName=""), "claim c is not bound yet"),
        (a_claim("c", storageClassName="x"), "storage class x of claim c does not exist"),
        (a_claim("c", volume="gone"), "volume gone of claim c does not exist"),
        (a_claim("c", volume="gone", phase="Lost"), "the volume of claim c is lost"),
    ],
)
def test_without_a_usable_claim_a_member_goes_nowhere(claim, why):
    cluster = Cluster().put("StorageClass", a_class("now", DRIVER, waits=False))
    cluster.put("PersistentVolumeClaim", *([claim] if claim else []))
    assert verdicts(cluster, a_group(1, named("c"))) == everywhere(why)


def test_a_claim_for_one_pod_is_free_again_when_that_pod_is_gone():
    modes = {"accessModes": ["ReadWriteOncePod"]}
    cluster = Cluster().put("PersistentVolume", a_volume("v", claim="c", **modes))
    cluster.put("PersistentVolumeClaim", a_claim("c", volume="v", **modes))
    cluster.runs("other", "n0", named("c"))
    group = a_group(1, named("c"))
    assert verdicts(cluster, group) == everywhere("claim c is for one pod, and other uses it")
    gone = Gone(frozenset({"uid-other"}), frozenset())
    cluster.volume_users = VolumeUsersWithout(cluster.volume_users, gone)
    assert verdicts(cluster, group) == everywhere(None)
    why = "claim c is for one pod, and several members use it"
    assert verdicts(cluster, a_group(2, named("c"))) == everywhere(why)


def test_claims_to_come_are_judged_as_their_template_makes_them():
    cluster = Cluster().put("StorageClass", a_class("made", DRIVER, zones=["b"]))
    why = "storage class made makes no volumes there, for its claim data"
    group = a_group(1, spec=ClaimSpec("made", 1))
    assert verdicts(cluster, group) == {"n0": why, "n1": None, "n2": why}
    lost = a_group(1, spec=ClaimSpec("other", 1))
    why = "storage class other of its claim data does not exist"
    assert verdicts(cluster, lost) == everywhere(why)


def test_a_claim_without_a_class_gets_the_newest_default_class():
    default = {"annotations": {"storageclass.kubernetes.io/is-default-class": "true"}}
    old, new = (
        a_class(
            zone, DRIVER, zones=[zone], creationTimestamp=f"2026-01-0{day}T00:00:00Z", **default
        )
        for zone, day in (("b", 1), ("a", 2))
    )
    cluster = Cluster().put("StorageClass", old, new)
    found = verdicts(cluster, a_group(1, spec=ClaimSpec()))
    assert [name for name, why in found.items() if why is None] == ["n0", "n2"]


def test_where_capacity_is_tracked_a_class_makes_volumes_that_fit_it():
    cluster = Cluster().put("StorageClass", a_class("made", DRIVER))
    driver = {"metadata": {"name": DRIVER}, "spec": {"storageCapacity": True}}
    room = {
        "metadata": {"uid": "u"},
        "storageClassName": "made",
        "nodeTopology": {"matchLabels": {ZONE: "b"}},
        "capacity": "1Gi",
    }
    cluster.put("CSIDriver", driver).put("CSIStorageCapacity", room)
    why = "storage class made has too little room there, for its claim data"
    fits = verdicts(cluster, a_group(1, spec=ClaimSpec("made", 2**30)))
    assert fits == {"n0": why, "n1": None, "n2": why}
    assert verdicts(cluster, a_group(1, spec=ClaimSpec("made", 2**31))) == everywhere(why)


def test_the_claim_of_an_ephemeral_volume_must_be_its_pods_own():
    volume = PodVolume("scratch", ClaimKind.EPHEMERAL, ClaimSpec("made", 1))
    cluster = Cluster().put("StorageClass", a_class("made", DRIVER))
    cluster.put("PersistentVolumeClaim", a_claim("llm-0-0-scratch", owner="another"))
    assert verdicts(cluster, a_group(1, volume)) == everywhere(None)
    why = "claim llm-0-0-scratch was not made for it"
    assert verdicts(cluster, a_group(1, volume, uid="u")) == everywhere(why)


def test_members_compete_for_local_volumes():
    cluster = Cluster().put("StorageClass", a_class("local"))
    cluster.put("PersistentVolume", *(a_volume(f"v{i}", host=f"n{i // 2}") for i in range(3)))
    assert sorted(plan(cluster, a_group(3))) == ["n0", "n0", "n1"]
    assert plan(cluster, a_group(4)) is None
    assert verdicts(cluster, a_group(1))["n2"] == "no volume there for its claim data"


def test_members_of_other_groups_on_their_way_compete_too():
    other = GroupId("ns", "other", "u", "0")
    pod = PodIdentity("other-0", claims={"data": ClaimSpec("local", 1)})
    coming = VolumeUser("ns", pod, (OWN,), "n0", promised_to=other)
    cluster = Cluster(promised=[coming]).put("StorageClass", a_class("local"))
    cluster.put("PersistentVolume", *(a_volume(f"v{i}", host=f"n{i}") for i in range(2)))
    assert plan(cluster, a_group(1)) == ["n1"]
    gone = Gone(frozenset(), frozenset({other}))
    cluster.volume_users = VolumeUsersWithout(cluster.volume_users, gone)
    assert sorted(plan(cluster, a_group(2))) == ["n0", "n1"]


def test_a_volume_that_names_a_claim_to_come_is_its_own():
    cluster = Cluster().put("StorageClass", a_class("local"))
    cluster.put("PersistentVolume", a_volume("v0", host="n0"))
    cluster.put("PersistentVolume", a_volume("v1", host="n1", claim="data-llm-0-1"))
    assert plan(cluster, a_group(2)) == ["n0", "n1"]


def test_members_that_share_a_claim_share_its_volume():
    cluster = Cluster().put("StorageClass", a_class("local"))
    cluster.put("PersistentVolume", a_volume("v0", host="n0"), a_volume("v1", host="n1"))
    cluster.put("PersistentVolumeClaim", a_claim("c"))
    assert plan(cluster, a_group(3, named("c"))) in (["n0"] * 3, ["n1"] * 3)


def test_a_claim_that_a_pod_uses_twice_wants_two_volumes():
    cluster = Cluster().put("StorageClass", a_class("local"))
    cluster.put("PersistentVolume", *(a_volume(f"v{i}", host=f"n{i // 2}") for i in range(3)))
    cluster.put("PersistentVolumeClaim", a_claim("c"))
    assert plan(cluster, a_group(1, named("c"), named("c"))) == ["n0"]


def test_attach_limits_count_pods_attachments_and_members():
    cluster = Cluster(nodes=2).put("StorageClass", a_class("made", DRIVER))
    for name, count in (("n0", 3), ("n1", 1)):
        driver = {"name": DRIVER, "allocatable": {"count": count}}
        cluster.put("CSINode", {"metadata": {"name": name}, "spec": {"drivers": [driver]}})
    made = ClaimSpec("made", 1)
    assert sorted(plan(cluster, a_group(4, spec=made))) == ["n0", "n0", "n0", "n1"]
    assert plan(cluster, a_group(5, spec=made)) is None
    for name in ("v", "w"):
        cluster.put("PersistentVolume", a_volume(name, csi=DRIVER, claim=name))
    cluster.put("PersistentVolumeClaim", a_claim("v", volume="v"))
    cluster.runs("other", "n0", named("v"))
    source = {"attacher": DRIVER, "nodeName": "n0", "source": {"persistentVolumeName": "w"}}
    cluster.put("VolumeAttachment", {"metadata": {"uid": "a"}, "spec": source})
    assert sorted(plan(cluster, a_group(2, spec=made))) == ["n0", "n1"]
    assert plan(cluster, a_group(3, spec=made)) is None
    assert plan(cluster, a_group(9, named("v"))) is not None, "it is there already"


def test_a_driver_that_is_not_on_the_node_keeps_its_volumes_away():
    cluster = Cluster(nodes=2).put("StorageClass", a_class("made", DRIVER))
    needs = {"preventPodSchedulingIfMissing": True}
    cluster.put("CSIDriver", {"metadata": {"name": DRIVER}, "spec": needs})
    cluster.put("CSINode", {"metadata": {"name": "n1"}, "spec": {"drivers": [{"name": DRIVER}]}})
    found = verdicts(cluster, a_group(1, spec=ClaimSpec("made", 1)))
    assert found == {"n0": f"CSI driver {DRIVER} of its volumes is not there", "n1": None}


def test_the_index_forgets_what_is_dropped():
    cluster = Cluster()
    raws = {
        "StorageClass": a_class("local"),
        "CSIDriver": {"metadata": {"name": DRIVER}},
        "CSINode": {
            "metadata": {"name": "n0"},
            "spec": {"drivers": [{"name": DRIVER, "allocatable": {"count": 1}}]},
        },
        "CSIStorageCapacity": {"metadata": {"uid": "u"}, "storageClassName": "local"},
        "PersistentVolume": a_volume("v"),
        "PersistentVolumeClaim": a_claim("c"),
        "VolumeAttachment": {
            "metadata": {"uid": "a"},
            "spec": {"attacher": DRIVER, "nodeName": "n0", "source": {}},
        },
    }
    for kind in cluster.storage.kinds:
        raw = raws.pop(kind.name)
        assert kind.put(raw)
        assert not kind.put(raw), "no news"
        assert kind.drop(raw)
        assert not kind.drop(raw)
    assert not raws
    assert not cluster.storage.pool("local")
    assert not cluster.storage.has_limits(DRIVER)


# -- kube-scheduler's own choice ------------------------------------------------------------------

sizes = st.integers(1, 3)
volumes = st.tuples(sizes, st.sampled_from(["n0", "n1"]), st.booleans())
claims = st.tuples(sizes, st.booleans())


@given(st.lists(volumes, max_size=5), st.lists(claims, min_size=1, max_size=3))
def test_a_plan_serves_all_claims_in_whatever_order_they_are_bound(volumes, claims):
    cluster = Cluster(nodes=2).put("StorageClass", a_class("local"))
    for number, (size, host, many) in enumerate(volumes):
        modes = {"accessModes": ["ReadWriteOnce", *(["ReadWriteMany"] if many else [])]}
        cluster.put("PersistentVolume", a_volume(f"v{number}", host=host, size=str(size), **modes))
    specs = [
        ClaimSpec("local", size, frozenset({"ReadWriteMany" if many else "ReadWriteOnce"}))
        for size, many in claims
    ]
    group = replace(
        a_group(len(specs)),
        identity_of=lambda rank: PodIdentity(f"llm-0-{rank}", claims={"data": specs[rank]}),
    )
    _look_at_all_is_a_look_at_each(cluster, group)
    places = plan(cluster, group)
    if places is None:
        return
    for order in permutations(range(len(specs))):
        left = [(size, number, host, many) for number, (size, host, many) in enumerate(volumes)]
        for rank in order:
            size, many = claims[rank]
            suits = [
                v for v in left if v[0] >= size and v[2] == places[rank] and (v[3] or not many)
            ]
            assert suits, (order, places)
            left.remove(min(suits))


def _look_at_all_is_a_look_at_each(cluster, group):
    joint = with_rules(group, cluster).joint
    for rule in joint.rules if joint is not None else ():
        for nodes in product(cluster.nodes.values(), repeat=group.size):
            places = dict(enumerate(view.node for view in nodes))
            each = any(rule.is_broken_by(rank, places) for rank in places)
            assert rule.is_kept_by(places) == (not each)


@given(st.lists(sizes, max_size=4), st.lists(sizes, min_size=1, max_size=4))
def test_claims_that_differ_in_size_alone_are_placed_whenever_they_can_be(volumes, claims):
    cluster = Cluster(nodes=1).put("StorageClass", a_class("local"))
    for number, size in enumerate(volumes):
        cluster.put("PersistentVolume", a_volume(f"v{number}", host="n0", size=str(size)))
    specs = [ClaimSpec("local", size, frozenset({"ReadWriteOnce"})) for size in claims]
    group = replace(
        a_group(len(specs)),
        identity_of=lambda rank: PodIdentity(f"llm-0-{rank}", claims={"data": specs[rank]}),
    )
    largest = zip(sorted(claims, reverse=True), sorted(volumes, reverse=True), strict=False)
    enough = len(claims) <= len(volumes) and all(size <= there for size, there in largest)
    assert (plan(cluster, group) is not None) == enough
