"""The StatefulSets of a LeaderWorkerSet are those of upstream."""

from support.lws_objects import an_lws

from lws_placement.engine.lws.children import leader_set, worker_set

P = "leaderworkerset.sigs.k8s.io"


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
