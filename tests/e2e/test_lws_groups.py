"""What LeaderWorkerSet's users rely on, with the real StatefulSet controller, scheduler and garbage
collector. Names in brackets are the cases of LeaderWorkerSet's own tests that a test stands for
(`tests/lws_cases.md`); those of rolling updates are in `test_lws_rollout.py`, of restarts in
`test_lws_restarts.py`, of subgroups, TPUs and claims in `test_lws_subgroups.py`.
"""

import json

import pytest
from e2e.groups import (
    LIGHT,
    NEVER_READY,
    UNIQUE,
    condition,
    environment,
    is_true,
    label,
    light,
    messages,
    note,
    of_group,
    patch,
    services,
    sets,
    start,
    uids,
    wait_available,
)
from e2e.stack import LWS

# -- shape -----------------------------------------------------------------------------------------


def test_four_groups_of_five_with_the_keys_of_leader_worker_set(scene):
    """[e2e-1, e2e-15, ctl-7, ctl-15]"""
    lws = light(scene, replicas=4, size=5, restart="None")
    lws["metadata"]["labels"] = {"team": "a"}
    start(scene, lws, 4)
    found = sets(scene)
    assert sorted(found) == ["llm", "llm-0", "llm-1", "llm-2", "llm-3"]
    leaders, workers = found["llm"], found["llm-3"]
    revision = label(leaders, "template-revision-hash")
    assert leaders["spec"]["replicas"] == 4
    assert leaders["spec"]["podManagementPolicy"] == "Parallel"
    assert note(leaders, "replicas") == "4"
    assert leaders["metadata"]["ownerReferences"][0]["kind"] == "LeaderWorkerSet"
    assert (workers["spec"]["replicas"], workers["spec"]["ordinals"]) == (4, {"start": 1})
    assert workers["metadata"]["ownerReferences"][0]["kind"] == "Pod"
    assert leaders["metadata"]["labels"]["team"] == workers["metadata"]["labels"]["team"] == "a"
    for pod in scene.members("llm"):
        group, worker = label(pod, "group-index"), label(pod, "worker-index")
        leader = f"llm-{group}"
        assert pod["metadata"]["name"] == (leader if worker == "0" else f"{leader}-{worker}")
        assert label(pod, "template-revision-hash") == revision
        assert label(pod, "group-key") == label(found[leader], "group-key")
        assert note(pod, "size") == "5"
        assert note(pod, "leader-name") == (None if worker == "0" else leader)
        env = environment(pod)
        assert env["LWS_LEADER_ADDRESS"] == f"{leader}.llm.{scene.namespace}"
        assert (env["LWS_GROUP_SIZE"], env["LWS_WORKER_INDEX"]) == ("5", worker)
        assert not [name for name in env if name.startswith("TPU_")]


def test_groups_of_one_have_no_workers(scene):
    """[ctl-5]"""
    start(scene, light(scene, replicas=2, size=1), 2)
    assert sorted(sets(scene)) == ["llm"]
    assert sorted(uids(scene)) == ["llm-0", "llm-1"]


def test_foreground_deletion_removes_everything(scene):
    """[e2e-3]"""
    start(scene, light(scene, replicas=2), 2)
    scene.kubectl("delete", "lws", "llm", "--cascade=foreground", "--timeout=30s")
    assert scene.get("lws") == []
    scene.wait(lambda: not scene.members() and not sets(scene), "pods and StatefulSets are gone")
    scene.wait(lambda: not services(scene), "the Service is gone")


def test_deletion_does_not_wait_for_us(scene):
    """No finalizer of ours is on it."""
    scene.create(light(scene, replicas=0))
    scene.wait(lambda: "llm" in sets(scene), "it was acted on")
    scene.kubectl("delete", "lws", "llm", "--timeout=5s")
    assert scene.get("lws") == []


# -- scale -----------------------------------------------------------------------------------------


@pytest.mark.upstream_too
def test_scaled_up_down_to_zero_and_from_zero(scene):
    """[ctl-1, ctl-2, ctl-3, ctl-4]: groups that stay are not touched."""
    start(scene, light(scene, replicas=1), 1)
    first = uids(scene)
    patch(scene, {"replicas": 3})
    wait_available(scene, 3)
    patch(scene, {"replicas": 2})
    scene.wait(lambda: len(uids(scene)) == 4, "the last group is gone")
    wait_available(scene, 2)
    assert of_group(uids(scene), 0) == first
    patch(scene, {"replicas": 0})
    scene.wait(lambda: not uids(scene), "no pods are left")
    wait_available(scene, 0)
    patch(scene, {"replicas": 1})
    wait_available(scene, 1)


def test_created_with_no_replicas_it_is_available_at_once(scene):
    """[ctl-6]"""
    scene.create(light(scene, replicas=0))
    wait_available(scene, 0)
    assert sets(scene)["llm"]["spec"]["replicas"] == 0


def test_the_scale_subresource(scene):
    """[ctl-13, ctl-14]"""
    start(scene, light(scene, replicas=1), 1)
    path = f"/apis/leaderworkerset.x-k8s.io/v1/namespaces/{scene.namespace}/leaderworkersets/llm"
    scale = json.loads(scene.kubectl("get", "--raw", f"{path}/scale"))
    assert scale["status"] == {"replicas": 1, "selector": f"{LWS}/name=llm,{LWS}/worker-index=0"}
    scene.kubectl("scale", "lws", "llm", "--replicas=2")
    wait_available(scene, 2)
    scale = json.loads(scene.kubectl("get", "--raw", f"{path}/scale"))
    assert (scale["spec"]["replicas"], scale["status"]["replicas"]) == (2, 2)


# -- children that somebody deletes ----------------------------------------------------------------


def test_deleted_stateful_sets_come_back(scene):
    """[ctl-8, ctl-12]"""
    start(scene, light(scene, restart="None"), 1)
    before = sets(scene)
    scene.kubectl("delete", "statefulset", "llm-0", "--wait=false")
    scene.wait(lambda: _another(sets(scene), before, "llm-0"), "a new worker StatefulSet")
    scene.kubectl("delete", "statefulset", "llm", "--wait=false")
    scene.wait(lambda: _another(sets(scene), before, "llm"), "a new leader StatefulSet")
    wait_available(scene, 1)


def test_a_deleted_shared_service_comes_back(scene):
    """[ctl-9, ctl-10]"""
    scene.create(light(scene, replicas=0))
    made = scene.wait(lambda: services(scene).get("llm"), "the shared Service")
    assert made["spec"]["clusterIP"] == "None"
    assert made["spec"]["publishNotReadyAddresses"] is True
    assert made["spec"]["selector"] == {f"{LWS}/name": "llm"}
    scene.kubectl("delete", "service", "llm")
    scene.wait(lambda: _another(services(scene), {"llm": made}, "llm"), "a new one")


def test_a_service_for_each_replica(scene):
    """[ctl-11]"""
    start(scene, light(scene, replicas=2, **UNIQUE), 2)
    made = services(scene)
    assert sorted(made) == ["llm-0", "llm-1"]
    assert made["llm-1"]["spec"]["selector"] == {f"{LWS}/name": "llm", f"{LWS}/group-index": "1"}
    assert {p["spec"]["subdomain"] for p in scene.members()} == {"llm-0", "llm-1"}
    env = {p["metadata"]["name"]: environment(p) for p in scene.members()}
    assert env["llm-1-1"]["LWS_LEADER_ADDRESS"] == f"llm-1.llm-1.{scene.namespace}"
    scene.kubectl("delete", "service", "llm-1")
    scene.wait(lambda: _another(services(scene), made, "llm-1"), "a deleted one comes back")


def _another(found, before, name):
    return name in found and found[name]["metadata"]["uid"] != before[name]["metadata"]["uid"]


def test_a_missing_revision_is_made_with_the_key_of_the_stateful_set(scene):
    """[ctl-44]: and nothing is rolled out."""
    start(scene, light(scene), 1)
    before, key = uids(scene), label(sets(scene)["llm"], "template-revision-hash")
    (old,) = _revisions(scene)
    scene.kubectl("delete", "controllerrevision", old["metadata"]["name"])
    new = scene.wait(lambda: _revisions(scene), "it is made again")
    assert label(new[0], "template-revision-hash") == key
    assert new[0]["data"] == old["data"]
    assert uids(scene) == before
    assert label(sets(scene)["llm"], "template-revision-hash") == key


def _revisions(scene):
    found = scene.get("controllerrevisions", labels=f"{LWS}/name=llm")
    return [r for r in found if r["metadata"]["ownerReferences"][0]["kind"] == "LeaderWorkerSet"]


# -- status ----------------------------------------------------------------------------------------


def test_progressing_then_available_then_progressing_again(scene):
    """[ctl-16, ctl-23, ctl-26]: words and events; what turned false keeps its words."""
    lws = light(scene, replicas=2)
    scene.pool(1)
    scene.create(lws)
    scene.wait(lambda: is_true(scene.one("lws", "llm"), "Progressing"), "it progresses")
    progressing = condition(scene.one("lws", "llm"), "Progressing")
    assert progressing["reason"] == "GroupsProgressing"
    assert progressing["message"] == "Replicas are progressing"
    wait_available(scene, 2)
    available = condition(scene.one("lws", "llm"), "Available")
    assert (available["reason"], available["message"]) == (
        "AllGroupsReady",
        "All replicas are ready",
    )
    scene.wait(
        lambda: (
            "All replicas are ready, with 2 groups ready of total 2 groups"
            in messages(scene, "AllGroupsReady")
        ),
        "the event",
    )
    said = messages(scene, "GroupsProgressing")
    assert "Replicas are progressing, with 0 groups ready of total 2 groups" in said
    assert "Created leader statefulset llm" in said
    assert "Created worker statefulset for leader pod llm-1" in said
    assert messages(scene, "CreatingRevision")
    patch(scene, {"replicas": 3})
    scene.wait(lambda: is_true(scene.one("lws", "llm"), "Progressing"), "it progresses again")
    lost = condition(scene.one("lws", "llm"), "Available")
    assert (lost["status"], lost["message"]) == ("False", "All replicas are ready")
    wait_available(scene, 3)


def test_emptied_conditions_are_filled_again(scene):
    """[ctl-25]"""
    start(scene, light(scene), 1)
    body = json.dumps({"status": {"conditions": []}})
    scene.kubectl("patch", "lws", "llm", "--subresource=status", "--type=merge", f"-p={body}")
    wait_available(scene, 1)


# -- start -----------------------------------------------------------------------------------------


def test_workers_of_exclusive_groups_wait_until_it_is_known_where(scene):
    """[ctl-17]"""
    scene.create(scene.lws())
    scene.wait(lambda: scene.events("WaitingForDomain"), "the group waits")
    leaders = sets(scene)
    assert sorted(leaders) == ["llm"]
    assert note(leaders["llm"]["spec"]["template"], "exclusive-topology") == scene.key
    assert note(scene.one("pod", "llm-0"), "exclusive-topology") == scene.key


def test_leader_ready_creates_workers_of_ready_leaders_only(scene):
    """[ctl-45]"""
    scene.pool(1)
    lws = light(scene, startupPolicy="LeaderReady", leader=LIGHT)
    template = lws["spec"]["leaderWorkerTemplate"]["leaderTemplate"]
    template["metadata"] = {"annotations": {NEVER_READY: "yes"}}
    scene.create(lws)
    scene.wait(lambda: [p for p in scene.bound() if p["status"]["phase"] == "Running"], "it runs")
    assert sorted(sets(scene)) == ["llm"]
    scene.kubectl("annotate", "pod", "llm-0", f"{NEVER_READY}-")
    wait_available(scene, 1)
    assert sorted(sets(scene)) == ["llm", "llm-0"]


def test_leader_created_creates_workers_at_once(scene):
    """[ctl-46]: without a node for anybody."""
    scene.create(light(scene, replicas=2, size=3, startupPolicy="LeaderCreated"))
    scene.wait(lambda: len(uids(scene)) == 6, "all pods exist")
    assert scene.bound() == []
