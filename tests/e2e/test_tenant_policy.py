"""With `manifests/tenants` a tenant takes no room past kube-scheduler, and the cluster goes on."""

import json
from contextlib import suppress

import pytest
from e2e.resizing import let_resize, resize
from e2e.tenants import Tenant, a_pod

from lws_placement.errors import LocalClusterError
from lws_placement.localcluster.install import MANIFESTS

POLICY = str(MANIFESTS / "tenants")
MIRROR = {"kubernetes.io/config.mirror": "x", "kubernetes.io/config.source": "file"}
SUBRESOURCES = ["pods/binding", "pods/resize", "pods/status"]
ALL = {"apiGroups": [""], "resources": ["pods", "bindings", *SUBRESOURCES], "verbs": ["*"]}


@pytest.fixture(scope="module")
def forbidden(installation):
    cluster = installation.cluster
    cluster.kubectl("apply", "--server-side", "-k", POLICY)
    try:
        yield
    finally:
        cluster.kubectl("delete", "-k", POLICY)


@pytest.fixture
def tenant(scene, forbidden):
    made = Tenant(scene)
    may(scene, "all", ALL, f"--user={made.who}")

    def in_force():
        """The policy, and the Role: what is refused is refused by the policy."""
        obj = a_pod("probe")
        obj["spec"]["nodeName"] = "nowhere"
        try:
            made.kubectl("create", "--dry-run=server", "-f", "-", stdin=json.dumps(obj))
        except LocalClusterError as e:
            may = made.kubectl(
                "auth", "can-i", "update", "pods", "--subresource=resize", check=False
            )
            return "spec.nodeName" in str(e) and may.strip() == "yes"
        return False

    scene.wait(in_force, "the policy is in force")
    return made


def may(scene, name, rule, who):
    meta = {"name": name, "namespace": scene.namespace}
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": meta}
    scene.kubectl("create", "-f", "-", stdin=json.dumps(role | {"rules": [rule]}))
    scene.kubectl("create", "rolebinding", name, f"--role={name}", who)


def on(node, name="direct"):
    pod = a_pod(name)
    pod["spec"]["nodeName"] = node
    return pod


def unscheduled(scene, tenant, name):
    pod = a_pod(name)
    pod["spec"]["schedulerName"] = "nobody"
    tenant.create(pod)


def binding(pod, node):
    meta, target = {"name": pod}, {"apiVersion": "v1", "kind": "Node", "name": node}
    return {"apiVersion": "v1", "kind": "Binding", "metadata": meta, "target": target}


def bind(scene, pod, node, *account, path="pods/{}/binding"):
    path = f"/api/v1/namespaces/{scene.namespace}/{path.format(pod)}"
    body = json.dumps(binding(pod, node))
    scene.cluster.kubectl(*account, "create", "--raw", path, "-f", "-", stdin=body)


def test_a_node_is_not_named_on_a_new_pod(scene, tenant):
    (node, *_) = scene.pool(1)
    tenant.may_not(tenant.create, on(node), words="spec.nodeName")
    tenant.create(a_pod("plain"))
    scene.wait(lambda: scene.node_of("plain"), "kube-scheduler binds it")


def test_nor_by_a_controller_that_is_told_to(scene, tenant):
    (node, *_) = scene.pool(1)
    pod = on(node)
    template = {"metadata": {"labels": {"app": "x"}}, "spec": pod["spec"]}
    spec = {"replicas": 1, "selector": {"matchLabels": {"app": "x"}}, "template": template}
    meta = {"name": "x", "namespace": scene.namespace}
    tenant.create({"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": meta, "spec": spec})
    scene.wait(lambda: scene.notes("FailedCreate"), "the ReplicaSet's pod is refused")
    assert "spec.nodeName" in scene.notes("FailedCreate")[0]
    assert scene.get("pods") == []


@pytest.mark.parametrize("path", ["pods/{}/binding", "bindings"])
def test_only_kube_scheduler_and_who_may_bind_pods(scene, tenant, path):
    (node, *_) = scene.pool(1)
    unscheduled(scene, tenant, "a")
    as_tenant = ("--as", tenant.who)
    with pytest.raises(LocalClusterError, match="kube-scheduler binds pods"):
        bind(scene, "a", node, *as_tenant, path=path)
    bind(scene, "a", node, "--as", "system:kube-scheduler", path="pods/{}/binding")
    assert scene.node_of("a") == node
    unscheduled(scene, tenant, "b")
    rule = {"apiGroups": ["lws-placement.dev"], "resources": ["pods"], "verbs": ["bind"]}
    may(scene, "bind", rule, f"--user={tenant.who}")

    def bound():
        with suppress(LocalClusterError):
            bind(scene, "b", node, *as_tenant, path=path)
        return scene.node_of("b")

    scene.wait(bound, "the tenant may bind")


def test_a_pod_is_not_made_larger_in_place(scene, tenant):
    scene.pool(1)
    tenant.create(a_pod("plain"))
    scene.wait(lambda: scene.node_of("plain"), "kube-scheduler binds it")

    let_resize(scene, "plain")
    words = "larger requests in place"
    tenant.may_not(resize, tenant.kubectl, "plain", "1500m", words=words)
    resize(tenant.kubectl, "plain", "500m")


def test_a_running_pod_does_not_pass_for_a_finished_one(scene, tenant):
    scene.pool(1)
    tenant.create(a_pod("plain"))
    running = "its container runs"
    scene.wait(lambda: scene.one("pod", "plain")["status"]["phase"] == "Running", running)

    def status(body):
        body = json.dumps({"status": body})
        tenant.kubectl(
            "patch", "pod", "plain", "--subresource=status", "--type=merge", f"-p={body}"
        )

    tenant.may_not(status, {"phase": "Succeeded"}, words="status.phase")
    status({"nominatedNodeName": ""})


def test_daemon_sets_static_pods_and_groups_go_on(scene, tenant):
    nodes = scene.pool(1, 2)
    template = {
        "metadata": {"labels": {"app": "d"}},
        "spec": {
            "nodeSelector": {"pool": scene.namespace},
            "containers": [{"name": "c", "image": "x"}],
        },
    }
    spec = {"selector": {"matchLabels": {"app": "d"}}, "template": template}
    meta = {"name": "d", "namespace": scene.namespace}
    tenant.create({"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": meta, "spec": spec})
    scene.create(scene.lws(size=2))
    scene.wait_bound(2, "llm")

    def daemons():
        pods = scene.get("pods", labels="app=d")
        return {p["spec"].get("nodeName") for p in pods} == set(nodes)

    scene.wait(daemons, "the DaemonSet has a pod on each node")
    may(scene, "nodes", ALL, "--group=system:nodes")
    static = on(nodes[0], "static")
    static["spec"]["containers"] = [{"name": "c", "image": "x"}]
    static["metadata"]["annotations"] = MIRROR
    node = scene.one("node", nodes[0])["metadata"]
    owner = {"apiVersion": "v1", "kind": "Node", "name": node["name"], "uid": node["uid"]}
    static["metadata"]["ownerReferences"] = [owner | {"controller": True}]
    as_node = ("--as", f"system:node:{node['name']}", "--as-group", "system:nodes")
    account = ("-n", scene.namespace, *as_node)
    scene.cluster.kubectl(*account, "create", "-f", "-", stdin=json.dumps(static))
    assert scene.node_of("static") == node["name"]
