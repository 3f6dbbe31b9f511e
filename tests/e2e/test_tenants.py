"""What a tenant with all rights in one namespace can do to others, and what not."""

import json

import pytest
from e2e.stack import LWS
from e2e.tenants import OURS, TENANT, Tenant, a_pod

from lws_placement.errors import LocalClusterError


@pytest.fixture
def tenant(scene):
    return Tenant(scene)


RELEASED = {f"{OURS}/released": "true", f"{OURS}/gang": "true"}
FORBIDDEN = "are for pods of a LeaderWorkerSet"


def test_a_pod_that_we_do_not_see_cannot_pass_for_one_of_ours(tenant):
    tenant.may_not(tenant.create, a_pod("a", marked=True), words=FORBIDDEN)
    tenant.may_not(tenant.create, a_pod("b", notes=RELEASED), words=FORBIDDEN)
    tenant.may_not(tenant.create, a_pod("c", gated=True), words=FORBIDDEN)
    tenant.create(a_pod("plain", notes={"example.com/x": "z"}))


def test_a_pod_that_we_see_loses_what_was_forged(scene, tenant):
    scene.pool(1, 2)
    forged = {f"{OURS}/{k}": "x" for k in ("admitted", "pinned-node", "owner-uid", "plan")}
    notes = {f"{OURS}/group-size": "2", **RELEASED, **forged}
    tenant.create(a_pod("a", labels={f"{OURS}/group": "g"}, notes=notes, marked=True))
    pod = scene.one("pod", "a")
    left = {k: v for k, v in pod["metadata"]["annotations"].items() if k in (*forged, *RELEASED)}
    assert left == {f"{OURS}/admitted": "gated", f"{OURS}/gang": "true"}
    assert pod["spec"]["schedulingGates"] == [{"name": f"{OURS}/unplanned"}]


def test_only_who_may_release_changes_what_we_write_on_pods(scene, tenant):
    scene.pool(1)
    scene.create(scene.lws(size=5))  # waits, as a domain has four nodes
    scene.wait(lambda: scene.get("pods"), "the leader is there")
    words = "are changed by lws-placement alone"

    def annotate(*what):
        tenant.kubectl("annotate", "pod", "llm-0", *what)

    tenant.may_not(annotate, f"{OURS}/released=true", words=words)
    tenant.may_not(annotate, f"{OURS}/admitted-", words=words)
    label = ("label", "pod", "llm-0", f"{OURS}/group=other")
    tenant.may_not(tenant.kubectl, *label, words=words)
    annotate("example.com/mine=1")
    tenant.kubectl("label", "pod", "llm-0", "mine=1")
    role = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "Role",
        "metadata": {"name": "release"},
        "rules": [{"apiGroups": [OURS], "resources": ["pods"], "verbs": ["release"]}],
    }
    scene.cluster.kubectl("-n", scene.namespace, "create", "-f", "-", stdin=json.dumps(role))
    who = f"--user={TENANT.format(scene.namespace)}"
    scene.cluster.kubectl(
        "-n", scene.namespace, "create", "rolebinding", "release", "--role=release", who
    )

    def released():
        try:
            annotate(f"{OURS}/released=true", "--overwrite")
        except LocalClusterError:
            return False  # the API server's authorizer does not know the Role yet
        return True

    scene.wait(released, "the tenant may release")
    assert f"{OURS}/released" in scene.one("pod", "llm-0")["metadata"]["annotations"]


def test_our_own_changes_pass_the_policy(scene):
    scene.pool(1)
    scene.create(scene.lws())
    scene.wait_bound(4, "llm")
    assert scene.broken_promises() == []


def test_no_pod_gets_the_labels_that_keep_groups_out_of_its_domain(scene, tenant):
    """LeaderWorkerSet's exclusive terms look at them, on all pods of the cluster."""
    for key in (f"{LWS}/group-key", f"{LWS}/subgroup-key"):
        tenant.may_not(tenant.create, a_pod("a", labels={key: "x"}), words="with its label name")
    tenant.create(a_pod("plain"))

    def label(pod, what):
        tenant.kubectl("label", "--overwrite", "pod", pod, what)

    for key in ("group-key", "subgroup-key", "name"):
        tenant.may_not(label, "plain", f"{LWS}/{key}=x", words="when it is created")
    scene.pool(1)
    scene.create(scene.lws())
    scene.wait_bound(4, "llm")
    for what in (f"{LWS}/group-key=x", f"{LWS}/name-"):
        tenant.may_not(label, "llm-0-1", what, words="when it is created")
    label("llm-0-1", "mine=1")


def test_a_group_that_would_take_the_cluster_is_told_and_holds_nothing(scene):
    scene.pool(3)
    key = f"{scene.key}-all"
    for node in scene.nodes:
        scene.cluster.kubectl("label", "node", node, f"{key}=one")
    whole = scene.lws(
        "whole", size=1, exclusive=False, annotations={f"{LWS}/exclusive-topology": key}
    )
    scene.create(whole)
    scene.wait(lambda: scene.notes("WaitingForDomain"), "it is told")
    assert "largest-domain-share" in scene.notes("WaitingForDomain")[0]
    scene.create(scene.lws(replicas=3))
    scene.wait_bound(12, "llm")
    assert scene.gated("whole-0")


def test_a_group_whose_workers_a_quota_forbids_gives_its_room_to_who_waits(scene):
    scene.pool(1)
    hard = {"hard": {"requests.google.com/tpu": "4"}}
    meta = {"name": "tpus", "namespace": scene.namespace}
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": meta, "spec": hard}
    scene.kubectl("create", "-f", "-", stdin=json.dumps(quota))

    def counted():
        return "used" in scene.one("resourcequotas", "tpus").get("status", {})

    scene.wait(counted, "the quota is in force")
    scene.create(scene.lws("squat", leader={"cpu": "1"}, size=3))
    scene.wait(
        lambda: len(scene.bound("squat")) == 2, "the leader and one of two workers are bound"
    )
    (hold,) = scene.holds()
    assert hold["holders"][0]["lws"] == "squat"
    scene.create(scene.lws("other", leader={"cpu": "1"}, resources={"cpu": "1"}, size=4))
    scene.wait_bound(4, "other", timeout_s=120)
    scene.wait_told("MembersMissing", "exceeded quota: tpus")
    told = scene.notes("MembersMissing")
    assert all(n.startswith("1 of 3 pods do not exist (worker 2)") for n in told)
    scene.wait(lambda: scene.gated("squat-0"), "it waits")
    assert scene.broken_promises() == []
