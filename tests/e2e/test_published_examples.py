"""The kinds of examples that LeaderWorkerSet and the projects around it publish, written anew with
the same features: each comes up whole, at the first try.
"""

from pathlib import Path

import pytest
import yaml
from e2e.groups import is_true
from e2e.resources import path_of
from support.devices import a_class, a_device, a_slice

EXCLUSIVE = "leaderworkerset.sigs.k8s.io/exclusive-topology"
FOLDER = Path(__file__).parent / "examples"
GPUS = {"nvidia.com/gpu": "8", "rdma/hca": "1"}
TPUS = {"google.com/tpu": "4"}
GPU_TAINT = [{"key": "nvidia.com/gpu", "value": "present", "effect": "NoSchedule"}]
TPU_TAINT = [{"key": "google.com/tpu", "value": "present", "effect": "NoSchedule"}]
SLICE = {
    "cloud.google.com/gke-tpu-accelerator": "tpu-v5-lite-podslice",
    "cloud.google.com/gke-tpu-topology": "4x4",
    "nvidia.com/gpu.product": "H100",
}


def documents(scene, name):
    text = (FOLDER / name).read_text().replace("TOPOLOGYCLASS", scene.namespace)
    return list(yaml.safe_load_all(text.replace("TOPOLOGY", scene.key)))


@pytest.fixture
def park(scene):
    """Slices of GPUs and of TPUs, all tainted, UltraServers, and plain nodes. Disks on some GPU
    nodes; a driver for the devices of UltraServers.
    """
    gpus = scene.pool(3, capacity=GPUS, prefix="gpu", taints=GPU_TAINT)
    tpus = scene.pool(3, capacity=TPUS, prefix="tpu", taints=TPU_TAINT)
    labels = [f"{key}={value}" for key, value in SLICE.items()]
    scene.kubectl("label", "nodes", *gpus, *tpus, *labels)
    scene.pool(1, 2, prefix="plain", capacity={}, key="plain")
    storage_class = {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": scene.namespace},
        "provisioner": "kubernetes.io/no-provisioner",
        "volumeBindingMode": "WaitForFirstConsumer",
    }
    disks = [a_disk(scene, node) for node in gpus[:4]]
    trainium = scene.pool(3, capacity={"vpc.amazonaws.com/efa": "16"}, prefix="trn")
    driver = f"{scene.namespace}.example.com"
    slices = [neurons(node, driver) for node in trainium]
    made = [storage_class, *disks, a_class(scene.namespace, driver=driver), *slices]
    for obj in made:
        obj["metadata"].pop("uid", None)
    scene.create(*made)
    yield scene
    for obj in made:
        kind, name = obj["kind"].lower(), obj["metadata"]["name"]
        scene.cluster.api.delete(path_of(kind, "", name))


def neurons(node, driver):
    facts = {"instanceType": "trn2u.48xlarge", "node": node}
    return a_slice(
        f"{driver}-{node}",
        *(a_device(f"neuron-{i}", **facts) for i in range(16)),
        node=node,
        driver=driver,
    )


def a_disk(scene, node):
    host = {"key": "kubernetes.io/hostname", "operator": "In", "values": [node]}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": node},
        "spec": {
            "capacity": {"storage": "1Gi"},
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": scene.namespace,
            "persistentVolumeReclaimPolicy": "Retain",
            "local": {"path": "/data"},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [host]}]}},
        },
    }


@pytest.mark.parametrize("name", sorted(path.name for path in FOLDER.glob("*.yaml")))
def test_it_comes_up_whole(park, name):
    found = documents(park, name)
    for obj in found:
        park.kubectl("apply", "--server-side", "-f", "-", stdin=yaml.safe_dump(obj))
    sets = [name_of(obj) for obj in found if obj["kind"] == "LeaderWorkerSet"]
    for lws in sets:
        park.wait(lambda lws=lws: is_true(park.one("lws", lws), "Available"), f"{lws} is there")
    assert park.notes("Moving") + park.notes("Repairing") == []
    exclusive = [name_of(obj) for obj in found if EXCLUSIVE in notes_of(obj)]
    places = [domains for lws in exclusive for domains in park.places(lws).values()]
    assert all(len(domains) == 1 for domains in places)
    assert len(set().union(*places)) == len(places)
    used = {park.domain_of(p["spec"]["nodeName"]) for p in park.members()}
    assert {h["domain"] for h in park.holds()} == {d for d in used if not d.startswith("plain")}


def name_of(obj):
    return obj["metadata"]["name"]


def notes_of(obj):
    return obj["metadata"].get("annotations", {})
