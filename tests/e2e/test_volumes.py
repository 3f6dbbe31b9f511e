"""Members with claims on local volumes, on the whole stack. The controller of volumes is real."""

import pytest
from e2e.resources import path_of

HOST = "kubernetes.io/hostname"
ONE = {"google.com/tpu": "1"}


@pytest.fixture
def local_class(scene):
    """A storage class of the scene for volumes that exist; removes them after the test."""
    name = f"{scene.namespace}-local"
    scene.create(
        {
            "apiVersion": "storage.k8s.io/v1",
            "kind": "StorageClass",
            "metadata": {"name": name},
            "provisioner": "kubernetes.io/no-provisioner",
            "volumeBindingMode": "WaitForFirstConsumer",
        }
    )
    yield name
    api = scene.cluster.api
    api.delete(path_of("storageclasses", "", name))
    for volume in api.items(path_of("persistentvolumes", "")):
        if volume["spec"]["storageClassName"] == name:
            api.delete(path_of("persistentvolumes", "", volume["metadata"]["name"]))


def a_disk(storage_class, node, number=0):
    expression = {"key": HOST, "operator": "In", "values": [node]}
    terms = [{"matchExpressions": [expression]}]
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": f"{node}-{number}"},
        "spec": {
            "capacity": {"storage": "1Gi"},
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": storage_class,
            "persistentVolumeReclaimPolicy": "Retain",
            "local": {"path": "/data"},
            "nodeAffinity": {"required": {"nodeSelectorTerms": terms}},
        },
    }


def with_claims(lws, storage_class):
    lws["spec"]["leaderWorkerTemplate"]["volumeClaimTemplates"] = [
        {
            "metadata": {"name": "data"},
            "spec": {
                "accessModes": ["ReadWriteOnce"],
                "storageClassName": storage_class,
                "resources": {"requests": {"storage": "1Gi"}},
            },
        }
    ]
    return lws


def nodes_of(scene):
    return {p["metadata"]["name"]: p["spec"]["nodeName"] for p in scene.bound()}


def test_a_group_goes_where_its_volumes_are_and_returns_to_them(scene, local_class):
    scene.pool(2, nodes_each=2)
    n00, n01 = (f"{scene.namespace}-n{d:02}-1" for d in (0, 1))
    scene.create(a_disk(local_class, n00))
    scene.create(with_claims(scene.lws(size=2, resources=ONE), local_class))
    (event, *_) = scene.wait(lambda: scene.events("WaitingForDomain"), "it waits")
    assert "volume" in event["message"]
    scene.create(a_disk(local_class, n01))
    scene.create(a_disk(local_class, f"{scene.namespace}-n01-0"))
    scene.wait_bound(2)
    assert scene.places() == {("llm", "0"): {"n01"}}
    before = nodes_of(scene)
    assert len({*before.values()}) == 2

    scene.kubectl("scale", "lws/llm", "--replicas=0")
    scene.wait(lambda: not scene.members(), "it is gone")
    for number in range(1, 3):
        scene.create(a_disk(local_class, n00, number))
    scene.kubectl("scale", "lws/llm", "--replicas=1")
    scene.wait_bound(2)
    assert nodes_of(scene) == before


def test_a_group_whose_claim_is_missing_waits_for_it(scene, local_class):
    scene.pool(1, nodes_each=2)
    volume = {"name": "weights", "persistentVolumeClaim": {"claimName": "weights"}}
    scene.create(scene.lws(size=2, resources=ONE, pod={"volumes": [volume]}))
    (event, *_) = scene.wait(lambda: scene.events("WaitingForDomain"), "it waits")
    assert "persistentvolumeclaim weights not found" in event["message"]
    node = f"{scene.namespace}-n00-1"
    scene.create(a_disk(local_class, node))
    spec = with_claims(scene.lws(), local_class)["spec"]["leaderWorkerTemplate"]
    (template,) = spec["volumeClaimTemplates"]
    claim = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", **template}
    scene.create(claim | {"metadata": {"name": "weights"}})
    scene.wait_bound(2)
    assert {*nodes_of(scene).values()} == {node}
