"""Claims, volumes and pods' volumes as the API server has them, and as nobody should write them."""

from contextlib import suppress
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lws_placement.cluster.cache.storage import StorageIndex
from lws_placement.cluster.codec.objects import UNREADABLE
from lws_placement.cluster.codec.pods.volumes import decode_volumes
from lws_placement.cluster.codec.storage import decode_claim, decode_storage_class, decode_volume
from lws_placement.cluster.codec.workloads import decode_templates
from lws_placement.engine.model.groups import Group, GroupId, Member
from lws_placement.engine.model.pods import Demand
from lws_placement.engine.model.snapshot import NodeView
from lws_placement.engine.objects.nodes import Node
from lws_placement.engine.objects.placement_request import TopologyRequest
from lws_placement.engine.objects.pod_volumes import ClaimKind, ClaimSpec, PodIdentity, PodVolume
from lws_placement.engine.rules.volumes import volume_rules

CLAIM = {
    "metadata": {"namespace": "ns", "name": "c", "uid": "u", "annotations": {}},
    "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
}


def named(name, claim):
    return {"name": name, "persistentVolumeClaim": {"claimName": claim}}


def test_volumes_of_a_pod_equal_those_of_its_template():
    template = {
        "size": 2,
        "workerTemplate": {"spec": {"containers": [], "volumes": [named("x", "shared")]}},
        "volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": CLAIM["spec"]}],
    }
    templates = decode_templates(template)
    pod = {"volumes": [named("data", "data-llm-0-1"), named("x", "shared")]}
    assert decode_volumes(pod, pod="llm-0-1") == templates.worker.volumes
    spec = ClaimSpec(None, 2**30, frozenset({"ReadWriteOnce"}))
    assert templates.claims == (("data", spec),)


def test_only_volumes_from_claims_count():
    template = {"spec": CLAIM["spec"] | {"volumeMode": "Filesystem"}}
    scratch = {"name": "scratch", "ephemeral": {"volumeClaimTemplate": template}}
    spec = {"volumes": [{"name": "config", "configMap": {"name": "c"}}, scratch]}
    (found,) = decode_volumes(spec, pod="llm-0")
    claim = ClaimSpec(None, 2**30, frozenset({"ReadWriteOnce"}))
    assert found == PodVolume("scratch", ClaimKind.EPHEMERAL, claim)
    assert found.claim_name("llm-0") == "llm-0-scratch"


def test_a_claim_is_bound_once_its_controller_says_so():
    spec = CLAIM["spec"] | {"volumeName": "v"}
    assert not decode_claim(CLAIM | {"spec": spec}).bound
    done = CLAIM["metadata"] | {"annotations": {"pv.kubernetes.io/bind-completed": "yes"}}
    assert decode_claim({"metadata": done, "spec": spec}).bound


def test_a_class_in_the_annotation_of_old_counts_before_the_field():
    old = {"annotations": {"volume.beta.kubernetes.io/storage-class": "old"}}
    spec = CLAIM["spec"] | {"storageClassName": "new"}
    claim = decode_claim({"metadata": CLAIM["metadata"] | old, "spec": spec})
    assert claim.spec.storage_class == "old"
    volume = {"metadata": {"name": "v"} | old, "spec": {"storageClassName": "new"}}
    assert decode_volume(volume).storage_class == "old"


def test_a_class_without_provisioner_makes_no_volumes():
    raw = {"metadata": {"name": "local"}, "provisioner": "kubernetes.io/no-provisioner"}
    assert not decode_storage_class(raw).makes_volumes


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(
                (
                    "accessModes",
                    "allocatable",
                    "allowedTopologies",
                    "annotations",
                    "attacher",
                    "capacity",
                    "claimRef",
                    "count",
                    "csi",
                    "driver",
                    "drivers",
                    "key",
                    "matchExpressions",
                    "matchLabels",
                    "name",
                    "nodeAffinity",
                    "nodeSelectorTerms",
                    "nodeTopology",
                    "operator",
                    "required",
                    "requests",
                    "resources",
                    "selector",
                    "source",
                    "storage",
                    "values",
                )
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


NODE = Node("n0", {"name": "x", "kubernetes.io/hostname": "n0"}, {})
CLASS = {"provisioner": "x", "volumeBindingMode": "WaitForFirstConsumer"}
READABLE = {
    "StorageClass": CLASS,
    "CSIDriver": {"spec": {"storageCapacity": True, "preventPodSchedulingIfMissing": True}},
    "CSINode": {"spec": {"drivers": [{"name": "x", "allocatable": {"count": 1}}]}},
    "CSIStorageCapacity": {"storageClassName": "x", "nodeTopology": {}, "capacity": "1Gi"},
    "PersistentVolume": {"spec": {"storageClassName": "x"}, "status": {"phase": "Available"}},
    "PersistentVolumeClaim": {"spec": CLAIM["spec"] | {"storageClassName": "x"}},
    "VolumeAttachment": {
        "spec": {"nodeName": "n0", "attacher": "x", "source": {"persistentVolumeName": "x"}}
    },
}
"""All named x, of class x and driver x."""
INNER = ("nodeAffinity", "capacity", "accessModes", "claimRef", "csi", "drivers", "selector")
VOLUME = PodVolume("x", ClaimKind.NAMED)


def put(storage, name, raw):
    (kind,) = (k for k in storage.kinds if k.name == name)
    meta = {"name": "x", "namespace": "ns", "uid": "u"}
    kind.put({**raw, "metadata": meta | raw.get("metadata", {})})


def ask(storage):
    group = Group(
        GroupId("ns", "llm", "u", "0"),
        TopologyRequest(),
        tuple(Member(rank, Demand((("cpu", 1),), volumes=(VOLUME,))) for rank in range(2)),
        identity_of=lambda rank: PodIdentity("llm-0", "u"),
    )
    view = NodeView(NODE, {"cpu": 4})
    cluster = SimpleNamespace(storage=storage, volume_users=storage, node_view={"n0": view}.get)
    needs, rules = volume_rules(group, cluster)
    hash((tuple(needs.values()), tuple(rules)))
    for need in needs.values():
        need.why_not(NODE)
    for rule in rules:
        assert isinstance(rule.is_kept_by({0: NODE, 1: NODE}), bool)


@pytest.mark.parametrize("name", READABLE)
@given(st.data())
def test_whatever_an_object_contains_it_is_unreadable_or_can_be_planned_with(name, data):
    storage = StorageIndex()
    for other, raw in READABLE.items():
        put(storage, other, raw)
    raw = dict(READABLE[name])
    raw |= {field: data.draw(anything) for field in raw if data.draw(st.booleans())}
    for field in ("spec", "allowedTopologies", "nodeTopology", "capacity"):
        whole = raw.get(field)
        if isinstance(whole, dict):
            raw[field] = whole | {
                key: data.draw(anything) for key in INNER if data.draw(st.booleans())
            }
        elif data.draw(st.booleans()):
            raw[field] = data.draw(anything)
    with suppress(*UNREADABLE):
        put(storage, name, raw)
    ask(storage)
