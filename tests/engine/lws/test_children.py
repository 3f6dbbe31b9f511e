"""The controller's pure rules: revisions, desired objects, status, restarts."""

import pytest

from lws_placement.engine.lws.children import leader_set, worker_set
from lws_placement.engine.lws.restart import PodState, troubled, why_no_restart
from lws_placement.engine.lws.revision import (
    canonical_bytes,
    revision_data,
    revision_key,
    same_content,
)
from lws_placement.engine.lws.status import GroupStatus, new_status

P = "leaderworkerset.sigs.k8s.io"


def an_lws(**spec):
    container = {
        "image": "docker.io/nginxinc/nginx-unprivileged:1.27",
        "name": "worker",
        "ports": [{"containerPort": 8080, "protocol": "TCP"}],
    }
    template = {
        "restartPolicy": "RecreateGroupOnPodRestart",
        "size": 2,
        "workerTemplate": {"spec": {"containers": [container]}},
    } | spec.pop("template", {})
    notes = spec.pop("annotations", {})
    meta = {"name": "my-lws", "namespace": "default", "uid": "u", "annotations": notes}
    return {
        "metadata": meta | {"generation": 1},
        "spec": {"leaderWorkerTemplate": template, **spec},
    }


def test_the_revision_key_is_upstreams():
    assert revision_key(revision_data(an_lws())) == "66c987c45d"


def test_written_by_go_or_by_kubectl_means_the_same():
    go = an_lws()
    pod = go["spec"]["leaderWorkerTemplate"]["workerTemplate"]
    pod["metadata"] = {}
    pod["spec"]["containers"][0]["resources"] = {}
    pod["spec"]["hostNetwork"] = False
    assert same_content(revision_data(go), revision_data(an_lws()))


def test_bytes_are_escaped_as_go_does():
    assert canonical_bytes({"b": "<&>", "a": "\u2028"}) == (
        b'{"a":"\\u2028","b":"\\u003c\\u0026\\u003e"}'
    )


@pytest.mark.parametrize(
    ("given", "canonical"),
    [("1000m", "1"), ("0.5Gi", "512Mi"), ("1024Mi", "1Gi"), ("1.5", "1500m")],
)
def test_quantities_are_canonical(given, canonical):
    lws = an_lws()
    container = lws["spec"]["leaderWorkerTemplate"]["workerTemplate"]["spec"]["containers"][0]
    container["resources"] = {"requests": {"cpu": given}}
    assert f'"cpu":"{canonical}"'.encode() in canonical_bytes(revision_data(lws))


def test_claim_templates_and_pointers_are_written_as_go_does():
    claim = {
        "metadata": {"name": "data"},
        "spec": {"storageClassName": "", "accessModes": ["ReadWriteOnce"]},
    }
    reference = {"resource": "limits.cpu"}
    lws = an_lws(template={"volumeClaimTemplates": [claim]})
    pod = lws["spec"]["leaderWorkerTemplate"]["workerTemplate"]["spec"]
    pod["containers"][0]["env"] = [{"name": "A", "valueFrom": {"resourceFieldRef": reference}}]
    pod["volumes"] = [{"name": "v", "emptyDir": {"sizeLimit": "1024Mi"}}]
    made = canonical_bytes(revision_data(lws))
    assert (
        b'"volumeClaimTemplates":[{"metadata":{"name":"data"},"spec":{"accessModes":'
        b'["ReadWriteOnce"],"resources":{},"storageClassName":""},"status":{}}]'
    ) in made
    assert b'"divisor":"0"' in made
    assert b'"sizeLimit":"1Gi"' in made


def test_kubectls_note_to_itself_does_not_go_to_children():
    notes = {"kubectl.kubernetes.io/last-applied-configuration": "{}", "team": "a"}
    lws = an_lws(annotations=notes)
    labels = {f"{P}/group-index": "0", f"{P}/group-key": "k"}
    leader = {"metadata": {"name": "my-lws-0", "uid": "u", "labels": labels}, "spec": {}}
    for made in (
        leader_set(lws, revision="r", replicas=1, partition=0),
        worker_set(lws, leader=leader, revision="r", node_selector=None),
    ):
        assert made["metadata"]["annotations"].get("team") == "a"
        assert set(made["metadata"]["annotations"]) <= {"team", f"{P}/replicas"}


def test_the_leader_set_has_upstreams_shape():
    lws = an_lws(replicas=3, annotations={f"{P}/exclusive-topology": "rack"})
    made = leader_set(lws, revision="abc", replicas=3, partition=0)
    assert made["spec"]["serviceName"] == "my-lws"
    assert made["spec"]["selector"]["matchLabels"] == {
        f"{P}/name": "my-lws",
        f"{P}/worker-index": "0",
    }
    assert made["metadata"]["annotations"][f"{P}/replicas"] == "3"
    template = made["spec"]["template"]["metadata"]
    assert template["annotations"] == {f"{P}/size": "2", f"{P}/exclusive-topology": "rack"}
    assert template["labels"][f"{P}/template-revision-hash"] == "abc"


def test_the_worker_set_belongs_to_its_leader_pod_and_starts_at_one():
    labels = {f"{P}/group-index": "4", f"{P}/group-key": "k"}
    leader = {
        "metadata": {"name": "my-lws-4", "uid": "pod-uid", "labels": labels},
        "spec": {"containers": [{"resources": {"limits": {"google.com/tpu": "4"}}}]},
    }
    made = worker_set(an_lws(), leader=leader, revision="abc", node_selector={"rack": "r1"})
    assert made["metadata"]["name"] == "my-lws-4"
    assert made["metadata"]["ownerReferences"][0]["uid"] == "pod-uid"
    assert (made["spec"]["replicas"], made["spec"]["ordinals"]) == (1, {"start": 1})
    assert made["spec"]["template"]["spec"]["nodeSelector"] == {"rack": "r1"}
    notes = made["spec"]["template"]["metadata"]["annotations"]
    assert notes[f"{P}/leader-name"] == "my-lws-4"
    assert notes[f"{P}/leader-requests-tpus"] == "true"


def a_group(index, *, ready=True, revision="r"):
    return GroupStatus(index, ready, revision, True, ready, revision)


def test_status_goes_from_progressing_to_available_and_keeps_old_words():
    lws = an_lws(replicas=2)
    first = new_status(
        lws, leader_replicas=2, groups=[a_group(0), a_group(1, ready=False)], revision="r", now="t1"
    )
    assert [(c["type"], c["status"]) for c in first["conditions"]] == [("Progressing", "True")]
    lws["status"] = first
    groups = [a_group(0), a_group(1)]
    second = new_status(lws, leader_replicas=2, groups=groups, revision="r", now="t2")
    by_type = {c["type"]: c for c in second["conditions"]}
    assert by_type["Available"]["message"] == "All replicas are ready"
    assert by_type["Progressing"]["status"] == "False"
    assert by_type["Progressing"]["message"] == "Replicas are progressing"
    lws["status"] = second
    again = new_status(lws, leader_replicas=2, groups=groups, revision="r", now="t3")
    assert again == second


def test_groups_at_an_old_revision_mean_an_update():
    lws = an_lws(replicas=1)
    old = [a_group(0, revision="old")]
    made = new_status(lws, leader_replicas=1, groups=old, revision="r", now="t")
    assert {c["type"] for c in made["conditions"]} == {"UpdateInProgress", "Progressing"}
    assert (made["readyReplicas"], made["updatedReplicas"]) == (1, 0)


def a_pod(name, **fields):
    index = "0" if name.count("-") == 1 else name.rsplit("-", 1)[1]
    made = {
        "namespace": "default",
        "name": name,
        "uid": f"uid-{name}",
        "lws": "lws",
        "worker_index": index,
        "group_index": "0",
        "revision": "r",
        "phase": "Running",
        "ready": True,
        "node": "n",
        "restarted": False,
        "terminating": False,
        "owner_uid": "sts",
        "leader_name": "lws-0",
        "has_leader_annotation": False,
    }
    return PodState(**(made | fields))


@pytest.mark.parametrize(
    ("pod", "is_trouble"),
    [
        (a_pod("lws-0-1"), False),
        (a_pod("lws-0-1", restarted=True), True),
        (a_pod("lws-0-1", terminating=True), True),
        (a_pod("lws-0-1", terminating=True, node="", phase="Pending"), False),
        (a_pod("lws-0-1", terminating=True, node="", phase="Running"), True),
        (a_pod("lws-0-1", restarted=True, node="", phase="Pending"), True),
        (a_pod("lws-0-1", phase="Failed"), True),
        (a_pod("lws-0-1", phase="Succeeded"), False),
    ],
)
def test_what_counts_as_trouble(pod, is_trouble):
    assert troubled(pod) == is_trouble


@pytest.mark.parametrize(
    ("policy", "leader", "owner", "group", "restarts"),
    [
        ("RecreateGroupOnPodRestart", a_pod("lws-0"), "uid-lws-0", 2, True),
        ("None", a_pod("lws-0"), "uid-lws-0", 2, False),
        ("RecreateGroupOnPodRestart", None, "uid-lws-0", 2, False),
        ("RecreateGroupOnPodRestart", a_pod("lws-0", terminating=True), "uid-lws-0", 2, False),
        ("RecreateGroupOnPodRestart", a_pod("lws-0", revision="x"), "uid-lws-0", 2, False),
        ("RecreateGroupOnPodRestart", a_pod("lws-0"), "an earlier leader", 2, False),
        ("RecreateGroupOnPodRestart", a_pod("lws-0"), None, 2, False),
        ("RecreateGroupAfterStart", a_pod("lws-0"), "uid-lws-0", 1, False),
        ("RecreateGroupAfterStart", a_pod("lws-0"), "uid-lws-0", 2, True),
    ],
)
def test_when_a_worker_restarts_its_group(policy, leader, owner, group, restarts):
    pods = [a_pod("lws-0"), a_pod("lws-0-1")][:group]
    why_not = why_no_restart(
        an_lws(template={"restartPolicy": policy}),
        a_pod("lws-0-1", restarted=True),
        leader=leader,
        workers_owner=owner,
        group=pods,
    )
    assert (why_not is None) == restarts
