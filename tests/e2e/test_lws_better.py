"""Where the built-in controller does more than LeaderWorkerSet: what hurts its users, put right."""

import json

import pytest
from e2e.leaders import leader_of
from e2e.servers import start
from e2e.stack import CHIPS, LWS

SMALL = {"cpu": "1"}


def conditions(scene, name="llm"):
    """type -> condition."""
    return {c["type"]: c for c in scene.one("lws", name).get("status", {}).get("conditions", [])}


def uids(scene, lws=None):
    return {p["metadata"]["name"]: p["metadata"]["uid"] for p in scene.members(lws)}


def names(scene):
    return sorted(uids(scene))


def all_new(scene, before):
    """The same pods are there, none of them the one of before."""
    now = uids(scene)
    return now.keys() == before.keys() and not set(now.values()) & set(before.values())


def set_phase(scene, pod, phase):
    status = json.dumps({"status": {"phase": phase}})
    scene.kubectl("patch", "pod", pod, "--subresource=status", "--type=merge", "-p", status)


def test_groups_of_two_namespaces_never_share_a_domain(scene, other_scene):
    scene.pool(2)
    for one, pool in ((scene, scene), (other_scene, scene)):
        lws = one.lws()
        lws["metadata"]["annotations"][f"{LWS}/exclusive-topology"] = scene.key
        pod = lws["spec"]["leaderWorkerTemplate"]["workerTemplate"]["spec"]
        pod["nodeSelector"] = {"pool": pool.namespace}
        one.create(lws)
    scene.wait_bound(4)
    other_scene.wait_bound(4)
    ours = {p["spec"]["nodeName"].rsplit("-", 1)[0] for p in scene.bound()}
    theirs = {p["spec"]["nodeName"].rsplit("-", 1)[0] for p in other_scene.bound()}
    assert (len(ours), len(theirs)) == (1, 1)
    assert ours != theirs


def test_workers_do_not_wait_for_a_bound_leader_when_the_plan_is_known(scene):
    scene.pool(2)
    scene.cluster.stop_scheduler()
    try:
        scene.create(scene.lws(replicas=2))
        scene.wait(lambda: len(scene.members()) == 8, "all pods exist though none can be bound")
        assert scene.bound() == []
        for group in ("0", "1"):
            selector = scene.one("statefulset", f"llm-{group}")["spec"]["template"]["spec"]
            assert selector["nodeSelector"][scene.key] in ("n00", "n01")
    finally:
        scene.installation.start_scheduler()
    scene.wait_bound(8)
    assert scene.broken_promises() == []


def test_a_worker_that_is_gone_in_an_instant_restarts_its_group(scene):
    scene.pool(1)
    scene.create(scene.lws(exclusive=False, resources=SMALL))
    scene.wait_bound(4)
    before = uids(scene)
    scene.kubectl("delete", "pod", "llm-0-2", "--force", "--grace-period=0")
    scene.wait(lambda: all_new(scene, before), "all pods of the group are new")


def test_a_worker_that_is_gone_in_an_instant_while_nobody_leads_restarts_its_group(scene):
    """The replica that stands by has seen it."""
    scene.pool(1)
    scene.create(scene.lws(exclusive=False, resources=SMALL))
    scene.wait_bound(4)
    before = uids(scene)
    dead = leader_of(scene)
    scene.installation.kill_server(dead)
    try:
        scene.kubectl("delete", "pod", "llm-0-2", "--force", "--grace-period=0")
        scene.wait(lambda: "llm-0-2" in uids(scene), "its StatefulSet makes another one")
        scene.wait(lambda: all_new(scene, before), "all pods of the group are new")
    finally:
        start(scene.installation, dead)


def test_a_worker_that_was_never_bound_may_be_replaced(scene):
    """The last of four finds no room; replacing it leaves the others alone."""
    scene.pool(1, 3)
    scene.create(scene.lws(exclusive=False))
    scene.wait(lambda: len(scene.members()) == 4 and len(scene.bound()) == 3, "three are bound")
    before = uids(scene)
    (waiting,) = names_unbound(scene)
    scene.kubectl("delete", "pod", waiting, "--force", "--grace-period=0")
    scene.wait(lambda: uids(scene).get(waiting, before[waiting]) != before[waiting], "a new one")
    if waiting != "llm-0":
        assert {n: u for n, u in uids(scene).items() if n != waiting} == {
            n: u for n, u in before.items() if n != waiting
        }


def names_unbound(scene):
    return [p["metadata"]["name"] for p in scene.members() if not p["spec"].get("nodeName")]


@pytest.mark.parametrize("victim", ["llm-0", "llm-0-1"])
def test_a_failed_pod_restarts_its_group(scene, victim):
    scene.pool(1)
    scene.create(scene.lws(size=3, exclusive=False, resources=SMALL))
    scene.wait_bound(3)
    before = uids(scene)
    set_phase(scene, victim, "Failed")
    scene.wait(lambda: all_new(scene, before), "all pods of the group are new")


def test_a_name_that_became_too_long_by_scaling_is_a_condition(scene):
    """The scale subresource bypasses validation of the whole object."""
    scene.create(scene.lws("a" * 50, replicas=0, exclusive=False, resources=SMALL))
    scene.kubectl("scale", "lws", "a" * 50, "--replicas=11")
    blocked = scene.wait(lambda: conditions(scene, "a" * 50).get("Blocked"), "it is blocked")
    assert (blocked["status"], blocked["reason"]) == ("True", "NameTooLong")
    assert "no more than 49 characters" in blocked["message"]
    scene.kubectl("scale", "lws", "a" * 50, "--replicas=0")
    scene.wait(lambda: conditions(scene, "a" * 50)["Blocked"]["status"] == "False", "resolved")


def test_a_name_that_is_too_long_is_refused(scene):
    lws = json.dumps(scene.lws("a" * 51, exclusive=False, resources=SMALL))
    text = scene.kubectl("create", "-f", "-", stdin=lws, check=False)
    assert "metadata.name: Invalid value" in text
    assert "no more than 50 characters" in text


def test_a_topology_key_that_no_node_has_is_a_condition_until_one_has_it(scene):
    lws = scene.lws(size=2, resources=CHIPS)
    scene.create(lws)
    blocked = scene.wait(lambda: conditions(scene).get("Blocked"), "it is blocked")
    assert (blocked["status"], blocked["reason"]) == ("True", "NoSuchTopologyKey")
    assert scene.key in blocked["message"]
    scene.pool(1, 2)
    scene.wait_bound(2)
    scene.wait(lambda: conditions(scene)["Blocked"]["status"] == "False", "resolved")


def test_a_changed_claim_template_is_refused(scene):
    claim = {
        "metadata": {"name": "data"},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Gi"}},
        },
    }
    lws = scene.lws(replicas=0, exclusive=False, resources=SMALL)
    lws["spec"]["leaderWorkerTemplate"]["volumeClaimTemplates"] = [claim]
    scene.create(lws)
    claim["spec"]["resources"]["requests"]["storage"] = "2Gi"
    text = scene.kubectl("replace", "-f", "-", stdin=json.dumps(lws), check=False)
    assert "make a new LeaderWorkerSet" in text


def test_a_stateful_set_of_somebody_else_in_our_place_is_left_alone_and_told_of(scene):
    pod = {"metadata": {"labels": {"app": "db"}}, "spec": {"containers": [{"name": "c"}]}}
    pod["spec"]["containers"][0]["image"] = "x"
    foreign = {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {"name": "llm", "namespace": scene.namespace},
        "spec": {
            "replicas": 0,
            "serviceName": "db",
            "selector": {"matchLabels": {"app": "db"}},
            "template": pod,
        },
    }
    scene.create(foreign, scene.lws(exclusive=False, resources=SMALL))
    blocked = scene.wait(lambda: conditions(scene).get("Blocked"), "it is blocked")
    assert (blocked["status"], blocked["reason"]) == ("True", "StatefulSetRefused")
    scene.wait_told("FailedCreate")
    there = scene.one("statefulset", "llm")
    assert there["spec"]["selector"] == {"matchLabels": {"app": "db"}}
    assert "ownerReferences" not in there["metadata"]


def test_nothing_is_made_anew_when_only_metadata_changes(scene):
    scene.pool(1)
    lws = scene.lws(exclusive=False, resources=SMALL)
    text = json.dumps(lws)
    scene.kubectl("apply", "-f", "-", stdin=text)  # client-side, so with the last-applied note
    scene.wait_bound(4)
    scene.wait(lambda: conditions(scene).get("Available", {}).get("status") == "True", "available")
    pods, sets = uids(scene), generations(scene)
    scene.kubectl("label", "lws", "llm", "team=a")
    scene.kubectl("annotate", "lws", "llm", "note=b")
    leaders = scene.wait(
        lambda: _with_both(scene.one("statefulset", "llm")), "the leader StatefulSet has both"
    )
    assert leaders["metadata"]["annotations"]["note"] == "b"
    for name in ("llm", "llm-0"):
        notes = scene.one("statefulset", name)["metadata"].get("annotations", {})
        assert "kubectl.kubernetes.io/last-applied-configuration" not in notes
    assert uids(scene) == pods
    assert generations(scene) == sets


def _with_both(stateful_set):
    meta = stateful_set["metadata"]
    both = meta["labels"].get("team") == "a" and "note" in meta.get("annotations", {})
    return stateful_set if both else None


def generations(scene):
    return {
        s["metadata"]["name"]: (s["metadata"]["uid"], s["metadata"]["generation"])
        for s in scene.get("statefulsets")
    }


def test_fields_of_others_stay_and_ours_come_back(scene):
    """Server-side apply with a manager of its own: an edit of ours is undone, one beside it is
    not.
    """
    scene.pool(1)
    scene.create(scene.lws(exclusive=False, resources=SMALL))
    scene.wait_bound(4)
    patch = {
        "metadata": {
            "annotations": {"audit.example.com/seen": "yes", f"{LWS}/replicas": "7"},
            "labels": {f"{LWS}/name": "llm", "cost-center": "a"},
        },
        "spec": {"minReadySeconds": 1, "revisionHistoryLimit": 3},
    }
    scene.kubectl("patch", "statefulset", "llm", "--type=merge", "-p", json.dumps(patch))
    there = scene.wait(lambda: _healed(scene.one("statefulset", "llm")), "ours is written again")
    assert there["metadata"]["annotations"]["audit.example.com/seen"] == "yes"
    assert there["metadata"]["labels"]["cost-center"] == "a"
    assert (there["spec"]["minReadySeconds"], there["spec"]["revisionHistoryLimit"]) == (1, 3)
    raw = scene.kubectl("get", "statefulset", "llm", "-ojson", "--show-managed-fields")
    fields = json.loads(raw)["metadata"]["managedFields"]
    managers = {m["manager"]: m["operation"] for m in fields}
    assert managers["lws"] == "Apply"


def _healed(stateful_set):
    healed = stateful_set["metadata"]["annotations"][f"{LWS}/replicas"] == "1"
    return stateful_set if healed else None


def with_budget(scene, restarts, backoff_s):
    notes = {
        "lws-placement.dev/restart-budget": str(restarts),
        "lws-placement.dev/restart-backoff-seconds": str(backoff_s),
    }
    return scene.lws(size=2, exclusive=False, resources=SMALL, annotations=notes)


def fail_worker(scene):
    """Until the group is all new; its pods run again."""
    before = uids(scene)
    set_phase(scene, "llm-0-1", "Failed")
    scene.wait(lambda: all_new(scene, before), "the group is all new")
    scene.wait_bound(2)


def test_restarts_in_a_row_back_off_and_end_when_the_budget_is_spent(scene):
    scene.pool(1)
    scene.create(with_budget(scene, 2, 1))
    scene.wait_bound(2)
    fail_worker(scene)
    assert "CrashLooping" not in conditions(scene)
    fail_worker(scene)
    looping = scene.wait(lambda: conditions(scene).get("CrashLooping"), "it is said")
    assert (looping["status"], looping["reason"]) == ("True", "BackOff")
    leader = uids(scene)["llm-0"]
    set_phase(scene, "llm-0-1", "Failed")
    scene.wait(
        lambda: conditions(scene)["CrashLooping"]["reason"] == "RestartBudgetSpent", "it is spent"
    )
    assert conditions(scene)["CrashLooping"]["message"] == (
        "left alone after 2 restarts in a row: group 0"
    )
    scene.wait_told("RestartBudgetSpent")
    assert uids(scene)["llm-0"] == leader
    # A larger budget helps, and so would a new template or the deletion of the leader.
    scene.kubectl("annotate", "lws", "llm", "--overwrite", "lws-placement.dev/restart-budget=9")
    scene.wait(lambda: uids(scene).get("llm-0", leader) != leader, "it is restarted after all")


def test_a_restart_that_waits_survives_the_process_that_decided_it(scene):
    scene.pool(1)
    scene.create(with_budget(scene, 9, 8))
    scene.wait_bound(2)
    fail_worker(scene)
    leader = uids(scene)["llm-0"]
    set_phase(scene, "llm-0-1", "Failed")
    scene.wait(lambda: '"restart": 2' in restarts_noted(scene), "the second restart is noted")
    for name in ("brain-a", "brain-b"):
        scene.installation.kill_server(name)
    for name in ("brain-a", "brain-b"):
        start(scene.installation, name)
    scene.wait(lambda: uids(scene).get("llm-0", leader) != leader, "it is restarted when due")


def restarts_noted(scene):
    notes = scene.one("statefulset", "llm")["metadata"]["annotations"]
    return notes.get("lws-placement.dev/restarts", "")
