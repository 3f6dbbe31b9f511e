"""What the policy lets our account do with pods and StatefulSets, beyond what RBAC allows it."""

import json

import pytest

from lws_placement.cluster.codec.placeholders import encode_placeholder
from lws_placement.engine.base import keys
from lws_placement.engine.model.groups import GroupId
from lws_placement.engine.model.pods import Demand
from lws_placement.engine.model.scale_up import Placeholder
from lws_placement.engine.objects.placement_request import Scope, TopologyRequest
from lws_placement.localcluster.install import BRAIN, NAMESPACE

AS_US = f"--as=system:serviceaccount:{NAMESPACE}:{BRAIN}"
OURS, OTHERS = {"name": keys.GATE}, {"name": "example.com/other"}
ADD_TOLERATION = {"op": "add", "path": "/spec/tolerations/-", "value": {"operator": "Exists"}}


def a_pod(name):
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "annotations": {"example.com/a": "b"}},
        "spec": {
            "schedulingGates": [OTHERS],
            "containers": [{"name": "c", "image": "x"}],
            "terminationGracePeriodSeconds": 1,
        },
    }


def a_member(name):
    """Of a group that is not there whole: it waits with our gate, too."""
    pod = a_pod(name)
    pod["metadata"]["labels"] = {keys.GROUP: "g"}
    pod["metadata"]["annotations"] |= {keys.GROUP_SIZE: "2", keys.GANG: "true"}
    return pod


def said(scene, *args, stdin=None):
    return scene.kubectl(*args, AS_US, stdin=stdin, check=False)


def a_patch(patch):
    kind = "json" if isinstance(patch, list) else "strategic"
    return "patch", "pod", "gated", f"--type={kind}", f"--patch={json.dumps(patch)}"


@pytest.fixture
def gated(scene):
    """kubectl reads what it changes, which the brain may not: it watches."""
    scene.create(a_member("gated"))
    account = f"--serviceaccount={NAMESPACE}:{BRAIN}"
    scene.kubectl("create", "rolebinding", "kubectl-reads", "--clusterrole=view", account)
    scene.wait(lambda: "gated" in said(scene, "get", "pod", "gated", "-oname"), "it may be read")
    return scene


def term(key):
    return {"matchExpressions": [{"key": key, "operator": "Exists"}]}


def node_affinity(key):
    required = {"nodeSelectorTerms": [term(key)]}
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}}


def test_a_gate_is_removed_and_a_pod_pinned_and_annotated_in_one_patch(gated):
    patch = {
        "metadata": {"annotations": {keys.PINNED_NODE: "n", keys.PLAN: "p", keys.CONDITION: None}},
        "spec": {
            "schedulingGates": [{"$patch": "replace"}, OTHERS],
            "affinity": node_affinity("x"),
        },
    }
    answer = said(gated, *a_patch(patch), "-ojson")  # the planner deletes a pod that no hold covers
    assert answer.startswith("{"), answer
    assert json.loads(answer)["spec"]["schedulingGates"] == [OTHERS]


@pytest.mark.parametrize(
    ("patch", "words"),
    [
        ({"spec": {"containers": [{"name": "c", "image": "evil"}]}}, "gates and node affinity"),
        ({"spec": {"activeDeadlineSeconds": 1}}, "gates and node affinity"),
        ([ADD_TOLERATION], "gates and node affinity"),
        ({"spec": {"nodeSelector": {"a": "b"}}}, "gates and node affinity"),
        ({"spec": {"schedulingGates": [{"$patch": "replace"}, OURS]}}, "removes its own"),
        ({"metadata": {"labels": {"a": "b"}}}, "its own annotations alone"),
        ({"metadata": {"annotations": {"example.com/a": "c"}}}, "its own annotations alone"),
        ({"metadata": {"annotations": {"example.com/a": None}}}, "its own annotations alone"),
        ({"metadata": {"annotations": {"example.com/new": ""}}}, "its own annotations alone"),
        ({"metadata": {"finalizers": ["example.com/f"]}}, "its own annotations alone"),
    ],
)
def test_nothing_else_of_a_pod_is_changed(gated, patch, words):
    assert words in said(gated, *a_patch(patch))
    whole = gated.kubectl(*a_patch(patch), check=False)
    assert "pod/gated patched" in whole, "it is the policy that refuses"


def test_the_brain_is_fenced_in_whatever_namespace_it_is_installed(gated):
    """No expression names the namespace."""
    elsewhere = f"--as=system:serviceaccount:{gated.namespace}:{BRAIN}"
    edits = f"--serviceaccount={gated.namespace}:{BRAIN}"
    gated.kubectl("create", "rolebinding", "edits", "--clusterrole=edit", edits)
    patch = a_patch({"metadata": {"labels": {"a": "b"}}})
    assert "its own annotations alone" in gated.kubectl(*patch, elsewhere, check=False)


def test_members_of_groups_are_deleted_and_no_other_pod(gated):
    gated.create(a_pod("alone"))
    assert "belongs to a group" in said(gated, "delete", "pod", "alone", "--wait=false")
    assert 'pod "gated" deleted' in said(gated, "delete", "pod", "gated", "--wait=false")


def a_placeholder():
    group = GroupId("ns", "llm", "uid", "key")
    stands_for = Placeholder("0a1b", group, 0, Scope.CLUSTER)
    topology = TopologyRequest(outer="example.com/slice")
    return encode_placeholder(
        stands_for, Demand((("cpu", 1000),)), namespace=NAMESPACE, topology=topology, off=()
    )


def with_another_image(pod):
    pod["spec"]["containers"][0]["image"] = "evil"


def with_a_command(pod):
    pod["spec"]["containers"][0]["command"] = ["sh"]


def with_a_token(pod):
    del pod["spec"]["automountServiceAccountToken"]


def with_two_containers(pod):
    pod["spec"]["containers"] *= 2
    pod["spec"]["containers"][1] = {**pod["spec"]["containers"][0], "name": "more"}


def without_its_label(pod):
    del pod["metadata"]["labels"][keys.SCALE_UP]


@pytest.mark.parametrize(
    "change",
    [
        with_another_image,
        with_a_command,
        with_a_token,
        with_two_containers,
        without_its_label,
    ],
)
def test_no_pod_is_created_but_placeholders_that_run_nothing(scene, change):
    pod = a_placeholder()
    create = ("-n", NAMESPACE, "create", "--dry-run=server", "-f", "-", AS_US)
    made = scene.cluster.kubectl(*create, stdin=json.dumps(pod))
    assert "created" in made
    change(pod)
    refused = scene.cluster.kubectl(*create, stdin=json.dumps(pod), check=False)
    assert "ValidatingAdmissionPolicy 'lws-placement-fence'" in refused


def test_stateful_sets_of_leaderworkersets_are_created_and_no_others(scene):
    labels = {"app": "x"}
    template = {"metadata": {"labels": labels}, "spec": a_pod("")["spec"]}
    spec = {"replicas": 0, "selector": {"matchLabels": labels}, "template": template}
    obj = {"apiVersion": "apps/v1", "kind": "StatefulSet", "spec": spec}
    create = ("create", "-f", "-")
    alone = json.dumps(obj | {"metadata": {"name": "alone"}})
    assert "belongs to a group" in said(scene, *create, stdin=alone)
    ours = json.dumps(obj | {"metadata": {"name": "ours", "labels": {keys.LWS_NAME: "llm"}}})
    assert "statefulset.apps/ours created" in said(scene, *create, stdin=ours)


def patched_node(scene, patch):
    (node, *_) = scene.nodes or scene.pool(1)
    return said(scene, "patch", "node", node, "--type=merge", f"--patch={json.dumps(patch)}")


def test_of_a_node_the_annotations_against_scale_down_are_changed(scene):
    notes = {**keys.KEEPS_NODE, keys.KEPT: "{}"}
    assert "patched" in patched_node(scene, {"metadata": {"annotations": notes}})
    gone = dict.fromkeys(notes)
    assert "patched" in patched_node(scene, {"metadata": {"annotations": gone}})


@pytest.mark.parametrize(
    "patch",
    [
        {"metadata": {"annotations": {"example.com/a": "b"}}},
        {"metadata": {"annotations": {keys.CONDITION: "{}"}}},
        {"metadata": {"labels": {"pool": "mine"}}},
        {"metadata": {"finalizers": ["example.com/f"]}},
        {"spec": {"unschedulable": True}},
        {"spec": {"taints": [{"key": "a", "effect": "NoExecute"}]}},
    ],
    ids=["annotation", "our own", "label", "finalizer", "cordon", "taint"],
)
def test_nothing_else_of_a_node_is_changed(scene, patch):
    answer = patched_node(scene, patch)
    assert "lws-placement changes the annotations against scale-down alone" in answer
