"""What LeaderWorkerSet's users rely on, with the real StatefulSet controller, scheduler and garbage
collector. Names in brackets are the cases of LeaderWorkerSet's own tests that a test stands for
(`tests/lws_cases.md`); those of rolling updates are in `test_lws_rollout.py`.
"""

import json

import pytest
from e2e.stack import LWS

LIGHT = {"cpu": "10m"}
TPUS = {"cpu": "10m", "google.com/tpu": "4"}
MANY_CHIPS = {"google.com/tpu": "64"}
UNIQUE = {"networkConfig": {"subdomainPolicy": "UniquePerReplica"}}
NEVER_READY = "simulate.lws-placement.dev/never-ready"


def light(scene, *, replicas=1, size=2, resources=LIGHT, **more):
    """A set that asks for no placement."""
    return scene.lws(replicas=replicas, size=size, exclusive=False, resources=resources, **more)


def start(scene, lws, groups):
    """On nodes with room for all; until it is available with so many groups."""
    scene.pool(1, capacity=MANY_CHIPS)
    scene.create(lws)
    wait_available(scene, groups)


def wait_available(scene, groups):
    def available():
        obj = scene.one("lws", "llm")
        status = obj.get("status", {})
        return (
            status.get("observedGeneration") == obj["metadata"]["generation"]
            and status.get("readyReplicas", 0) == status.get("replicas", 0) == groups
            and is_true(obj, "Available")
        )

    scene.wait(available, f"{groups} groups are available")


def condition(obj, kind):
    found = obj.get("status", {}).get("conditions", [])
    return next((c for c in found if c["type"] == kind), {})


def is_true(obj, kind):
    return condition(obj, kind).get("status") == "True"


def patch(scene, spec):
    scene.kubectl("patch", "lws", "llm", "--type=merge", f"-p={json.dumps({'spec': spec})}")


def sets(scene):
    return {s["metadata"]["name"]: s for s in scene.get("statefulsets")}


def services(scene):
    return {s["metadata"]["name"]: s for s in scene.get("services")}


def uids(scene):
    return {p["metadata"]["name"]: p["metadata"]["uid"] for p in scene.members("llm")}


def of_group(found, group):
    prefix = f"llm-{group}"
    return {n: u for n, u in found.items() if n == prefix or n.startswith(f"{prefix}-")}


def all_new(now, before):
    return now.keys() == before.keys() and not set(now.values()) & set(before.values())


def replaced(scene, name, uid):
    return uids(scene).get(name, uid) != uid


def environment(pod, container=0):
    return {e["name"]: e.get("value") for e in pod["spec"]["containers"][container].get("env", ())}


def label(obj, key):
    return obj["metadata"].get("labels", {}).get(f"{LWS}/{key}")


def note(obj, key):
    return obj["metadata"].get("annotations", {}).get(f"{LWS}/{key}")


def messages(scene, reason):
    return {e["message"] for e in scene.events(reason)}


def restart_container(scene, name):
    """What kubelet reports when a container has crashed and runs again."""
    pod = scene.one("pod", name)
    statuses = [{**s, "restartCount": 1} for s in pod["status"]["containerStatuses"]]
    body = json.dumps({"status": {"containerStatuses": statuses}})
    scene.kubectl("patch", "pod", name, "--subresource=status", "--type=merge", f"-p={body}")


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
    found = scene.get("controllerrevisions", "-l", f"{LWS}/name=llm")
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


# -- restarts --------------------------------------------------------------------------------------


def test_policy_none_replaces_a_worker_alone(scene):
    """[ctl-18]"""
    start(scene, light(scene, size=3, restart="None"), 1)
    before = uids(scene)
    scene.kubectl("delete", "pod", "llm-0-1", "--wait=false")
    scene.wait(lambda: replaced(scene, "llm-0-1", before["llm-0-1"]), "a new worker")
    now = uids(scene)
    assert (now["llm-0"], now["llm-0-2"]) == (before["llm-0"], before["llm-0-2"])
    assert scene.events("RecreateGroup") == []


@pytest.mark.parametrize("how", ["deleted", "its container restarted"])
def test_trouble_of_one_worker_recreates_its_group(scene, how):
    """[e2e-16, ctl-19]: that group, and no other."""
    start(scene, light(scene, replicas=2, size=3), 2)
    before = uids(scene)
    if how == "deleted":
        scene.kubectl("delete", "pod", "llm-1-2", "--wait=false")
    else:
        restart_container(scene, "llm-1-2")
    scene.wait(lambda: all_new(of_group(uids(scene), 1), of_group(before, 1)), "group 1 is all new")
    assert of_group(uids(scene), 0) == of_group(before, 0)
    wait_available(scene, 2)
    words = "Worker pod llm-1-2 failed, deleted leader pod llm-1 to recreate group 1"
    assert words in messages(scene, "RecreateGroup")


AFTER_START = f"{LWS}/experimental-recreate-group-after-start"


@pytest.mark.parametrize(
    "how",
    [
        pytest.param({"annotations": {AFTER_START: ""}}, id="ctl-20"),
        pytest.param({"restart": "RecreateGroupAfterStart"}, id="ctl-21"),
    ],
)
def test_a_group_that_has_not_started_is_not_recreated(scene, how):
    """Two nodes with room for one pod each, so the third stays Pending."""
    scene.pool(1, 2)
    scene.create(light(scene, size=3, resources={"cpu": "40"}, **how))
    scene.wait(lambda: len(uids(scene)) == 3 and len(scene.bound()) == 2, "two of three run")
    victim = scene.wait(lambda: _running(scene), "a worker or leader runs")
    before = uids(scene)
    restart_container(scene, victim)
    scene.kubectl("annotate", "lws", "llm", "look=again")
    scene.wait(
        lambda: sets(scene)["llm"]["metadata"]["annotations"].get("look"), "it was looked at"
    )
    assert uids(scene) == before
    assert scene.events("RecreateGroup") == []


def _running(scene):
    found = [p["metadata"]["name"] for p in scene.members() if p["status"]["phase"] == "Running"]
    return next((name for name in sorted(found, reverse=True)), None)


def test_a_group_that_has_started_is_recreated_after_start(scene):
    """[ctl-22]"""
    start(scene, light(scene, size=3, restart="RecreateGroupAfterStart"), 1)
    before = uids(scene)
    restart_container(scene, "llm-0-1")
    scene.wait(lambda: all_new(uids(scene), before), "the group is all new")
    assert scene.events("RecreateGroup")


# -- subgroups, TPUs, claims -----------------------------------------------------------------------


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
