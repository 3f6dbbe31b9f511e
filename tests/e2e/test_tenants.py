"""What a tenant with all rights in one namespace can do to others, and what not."""

import json

import pytest

from lws_placement.errors import LocalClusterError

OURS = "lws-placement.dev"
TENANT = "system:serviceaccount:{}:tenant"


class Tenant:
    """An account with the cluster's role `admin` in the scene's namespace, and nothing else."""

    def __init__(self, scene):
        self._scene = scene
        self._who = TENANT.format(scene.namespace)
        self._kubectl_as_admin(
            "create", "rolebinding", "tenant", "--clusterrole=admin", f"--user={self._who}"
        )
        scene.wait(self._may_create, "the API server's authorizer knows the tenant")

    def _may_create(self):
        answer = self._scene.kubectl(
            "auth", "can-i", "create", "pods", f"--as={self._who}", check=False
        )
        return answer.startswith("yes")

    def _kubectl_as_admin(self, *args, stdin=None):
        return self._scene.cluster.kubectl("-n", self._scene.namespace, *args, stdin=stdin)

    def kubectl(self, *args, stdin=None):
        return self._kubectl_as_admin("--as", self._who, *args, stdin=stdin)

    def create(self, obj):
        self.kubectl("create", "-f", "-", stdin=json.dumps(obj))

    def may_not(self, do, *args, words):
        with pytest.raises(LocalClusterError) as refused:
            do(*args)
        assert words in str(refused.value)


@pytest.fixture
def tenant(scene):
    return Tenant(scene)


def a_pod(name, *, labels=None, notes=None, marked=False, gated=False):
    asked = {"cpu": "1", "google.com/tpu": "4"} | ({f"{OURS}/member": "0"} if marked else {})
    limits = {k: v for k, v in asked.items() if "/" in k}
    container = {"name": "c", "image": "x", "resources": {"requests": asked, "limits": limits}}
    spec = {"containers": [container]}
    if gated:
        spec["schedulingGates"] = [{"name": f"{OURS}/unplanned"}]
    meta = {"name": name, "labels": labels or {}, "annotations": notes or {}}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec}


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
