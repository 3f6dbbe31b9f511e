"""Subgroups, TPU variables and claims, with the real StatefulSet controller, scheduler and garbage
collector. Names in brackets are the cases of LeaderWorkerSet's own tests that a test stands for
(`tests/lws_cases.md`).
"""

import pytest
from e2e.groups import (
    LIGHT,
    TPUS,
    UNIQUE,
    environment,
    label,
    light,
    note,
    patch,
    sets,
    start,
    wait_available,
)


@pytest.mark.parametrize(
    ("policy", "size", "leader_index", "hosts_of_3"),
    [
        pytest.param("LeaderWorker", 4, "0", "llm-0-2.llm,llm-0-3.llm", id="e2e-8"),
        pytest.param("LeaderExcluded", 5, None, "llm-0-3.llm,llm-0-4.llm", id="leader excluded"),
    ],
)
def test_subgroups(scene, policy, size, leader_index, hosts_of_3):
    lws = light(scene, size=size, resources=TPUS)
    if policy == "LeaderExcluded":
        lws = light(scene, size=size, resources=TPUS, leader=LIGHT)
    lws["spec"]["leaderWorkerTemplate"]["subGroupPolicy"] = {
        "subGroupSize": 2,
        "subGroupPolicyType": policy,
    }
    start(scene, lws, 1)
    pods = {p["metadata"]["name"]: p for p in scene.members()}
    assert {note(p, "subgroup-size") for p in pods.values()} == {"2"}
    assert {note(p, "subgroup-policy-type") for p in pods.values()} == {policy}
    assert label(pods["llm-0"], "subgroup-index") == leader_index
    assert label(pods["llm-0-3"], "subgroup-index") == "1"
    keys = [label(p, "subgroup-key") for p in pods.values() if label(p, "subgroup-key")]
    assert len(set(keys)) == 2
    assert environment(pods["llm-0-3"])["TPU_WORKER_HOSTNAMES"] == hosts_of_3


def test_every_pod_knows_all_tpu_hosts(scene):
    """[e2e-10]"""
    start(scene, light(scene, replicas=2, size=2, resources=TPUS), 2)
    for pod in scene.members():
        env, group = environment(pod), label(pod, "group-index")
        assert env["TPU_WORKER_HOSTNAMES"] == f"llm-{group}.llm,llm-{group}-1.llm"
        assert env["TPU_WORKER_ID"] == label(pod, "worker-index")
        assert env["TPU_NAME"] == f"llm-{group}"


def test_two_tpu_containers_of_a_pod_are_two_hosts(scene):
    """[e2e-11]"""
    lws = light(scene, size=2, resources=TPUS)
    containers = lws["spec"]["leaderWorkerTemplate"]["workerTemplate"]["spec"]["containers"]
    containers.append({**containers[0], "name": "second"})
    start(scene, lws, 1)
    for pod in scene.members():
        rank = int(label(pod, "worker-index"))
        for i in range(2):
            env = environment(pod, i)
            assert env["TPU_WORKER_HOSTNAMES"] == "llm-0.llm,llm-0.llm,llm-0-1.llm,llm-0-1.llm"
            assert env["TPU_WORKER_ID"] == str(2 * rank + i)
            assert env["TPU_PROCESS_PORT"] == str(8476 + i)


def test_the_subdomain_policy_changes_the_tpu_hosts(scene):
    """[e2e-13]: there and back."""
    start(scene, light(scene, size=2, resources=TPUS), 1)
    patch(scene, UNIQUE)
    scene.wait(lambda: _hosts(scene) == {"llm-0.llm-0,llm-0-1.llm-0"}, "its own subdomain")
    wait_available(scene, 1)
    patch(scene, {"networkConfig": {"subdomainPolicy": "Shared"}})
    scene.wait(lambda: _hosts(scene) == {"llm-0.llm,llm-0-1.llm"}, "the shared one")
    wait_available(scene, 1)


def _hosts(scene):
    pods = scene.members("llm")
    return {environment(p)["TPU_WORKER_HOSTNAMES"] for p in pods} if len(pods) == 2 else set()


def test_claims_of_leaders_and_workers_and_what_becomes_of_them(scene):
    """Nothing provisions volumes here, so the pods wait; the claims are what is looked at."""
    claim = {
        "metadata": {"name": "data", "labels": {"not": "copied"}},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": "fast",
            "resources": {"requests": {"storage": "1Gi"}},
        },
    }
    lws = light(scene, replicas=2, size=2)
    template = lws["spec"]["leaderWorkerTemplate"]
    template["volumeClaimTemplates"] = [claim]
    policy = {"whenDeleted": "Delete", "whenScaled": "Delete"}
    template["persistentVolumeClaimRetentionPolicy"] = policy
    scene.create(lws)
    scene.wait(
        lambda: _claims(scene) == ["data-llm-0", "data-llm-0-1", "data-llm-1", "data-llm-1-1"],
        "a claim for each pod",
    )
    for made in sets(scene).values():
        assert made["spec"]["persistentVolumeClaimRetentionPolicy"] == policy
        (copied,) = made["spec"]["volumeClaimTemplates"]
        assert copied["spec"]["storageClassName"] == "fast"
        assert "labels" not in copied["metadata"]
    patch(scene, {"replicas": 1})
    scene.wait(lambda: _claims(scene) == ["data-llm-0", "data-llm-0-1"], "those of group 1 go")
    scene.kubectl("delete", "lws", "llm", "--wait=false")
    scene.wait(lambda: not _claims(scene), "all go with their set")


def _claims(scene):
    return sorted(c["metadata"]["name"] for c in scene.get("persistentvolumeclaims"))
