"""The API server's audit log of a small life of groups: what each of our accounts asked for."""

import json

import yaml
from e2e.other_groups import a_group_job, group_pods
from e2e.servers import start
from e2e.stack import Scene
from support import rights

from lws_placement.localcluster.cluster import LocalCluster
from lws_placement.localcluster.install import NAMESPACE, Installation

USERS = {f"system:serviceaccount:{NAMESPACE}:{name}": name for name in rights.ACCOUNTS}
RARE = {
    ("events", "create"): "the gate's: kube-scheduler's certificate is near its end",
    ("events", "list"): "members that do not come (test_tenants.py)",
    ("pods", "create"): "nodes requested from a cluster autoscaler (test_scale_up.py)",
    **{
        (kind, "watch"): "Kueue is there (test_peers_kueue.py)"
        for kind in ("workloads", "admissionchecks", "resourceflavors")
    },
    ("workloads/status", "patch"): "the same",
    ("admissionchecks/status", "patch"): "the same",
    ("podtemplates", "create"): "the same by a ProvisioningRequest (test_provisioning.py)",
    ("podtemplates", "delete"): "the same",
    ("provisioningrequests", "create"): "the same",
    ("provisioningrequests", "delete"): "the same",
    ("pods", "get"): "a pod that the extender's watch has not seen yet",
    ("statefulsets", "get"): "an owner that the webhook's watch has not seen yet",
    ("leaderworkersets", "get"): "the same",
    ("deployments", "get"): "leaders of sets without ordinals (test_keyed_groups.py)",
    ("nodes", "patch"): "nodes kept from a cluster autoscaler (test_scale_up.py)",
    ("nodes", "get"): "a leader's node that the watch has not seen yet",
    ("secrets", "update"): "once a year",
    ("controllerrevisions", "delete"): "the eleventh update",
}
POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived", "ResponseStarted"],
    "rules": [{"level": "Metadata", "users": list(USERS)}, {"level": "None"}],
}


def test_each_account_asks_for_what_it_may_do_and_for_nothing_else(binaries, tmp_path):
    policy, log = tmp_path / "policy.yaml", tmp_path / "audit.log"
    policy.write_text(yaml.safe_dump(POLICY))
    flags = (f"--audit-policy-file={policy}", f"--audit-log-path={log}")
    with LocalCluster(tmp_path / "c", binaries, apiserver_flags=flags) as cluster:
        installed = Installation(cluster)
        try:
            installed.apply("standalone")
            start(installed, "brain-a")
            start(installed, "gate-a", ports=True)
            installed.start_scheduler()
            cluster.api.create("/api/v1/namespaces", {"metadata": {"name": "users"}})
            live(Scene(cluster, installed, "users"))
        finally:
            installed.stop()
    asked, refused = calls(log)
    assert refused == []
    may = {
        (name, group, resource, verb)
        for name, roles in rights.ACCOUNTS.items()
        for (role, group, resource, verb, _), code in rights.needed().items()
        if role in roles and not code.startswith(rights.ASKED)
    }
    assert asked - may == set()
    assert {(resource, verb) for _, _, resource, verb in may - asked} <= RARE.keys()


def calls(log):
    """What was answered, and what was forbidden."""
    asked, refused = set(), []
    for line in log.read_text().splitlines():
        event = json.loads(line)
        ref = event.get("objectRef")
        if ref is None or "resource" not in ref:
            continue  # /version, /apis
        parts = (ref["resource"], ref.get("subresource"))
        resource = "/".join(filter(None, parts))
        call = USERS[event["user"]["username"]], ref.get("apiGroup", ""), resource, event["verb"]
        asked.add(call)
        if event["responseStatus"]["code"] == 403:
            refused.append((*call, event["requestURI"]))
    return asked, refused


def live(scene):
    scene.wait(lambda: scene.get("serviceaccounts"), "pods can be made")
    scene.pool(2)
    high = {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "value": 1000}
    scene.create(high | {"metadata": {"name": "high"}})

    # Made, restarted, updated.
    scene.create(scene.lws("llm"))
    scene.wait_bound(4, "llm")
    before = scene.uids("llm")
    scene.kubectl("delete", "pod", "llm-0-1", "--wait=false")
    scene.wait(lambda: not before & scene.uids("llm"), "the group is made anew")
    scene.wait_bound(4, "llm")
    before = scene.uids("llm")
    path = "/spec/leaderWorkerTemplate/workerTemplate/spec/containers/0/image"
    patch = json.dumps([{"op": "replace", "path": path, "value": "registry.example.com/new"}])
    scene.kubectl("patch", "lws", "llm", "--type=json", f"--patch={patch}")
    scene.wait(lambda: not before & scene.uids("llm"), "the group is updated")
    scene.wait_bound(4, "llm")

    # Other groups: their owners are looked for.
    scene.create(a_group_job(scene, "batch", 2, group_size="2", gang="true"))
    scene.wait(lambda: len(group_pods(scene, "batch")) == 2, "the job runs")
    scene.kubectl("delete", "job", "batch")
    job = a_group_job(scene, "web", 2, group_size="2", gang="true")
    template = job["spec"]["template"]
    template["spec"]["restartPolicy"] = "Always"
    labels = template["metadata"]["labels"]
    spec = {"replicas": 2, "selector": {"matchLabels": labels}, "template": template}
    deployment = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}}
    scene.create(deployment | {"spec": spec})
    scene.wait(lambda: len(group_pods(scene, "web")) == 2, "the deployment runs")

    # Evicted.
    scene.create(with_priority(scene.lws("first", replicas=2), "high"))
    scene.wait_bound(8, "first")
    scene.kubectl("delete", "lws", "first", "llm")
    scene.wait(lambda: not scene.holds(), "the holds end")


def with_priority(lws, name):
    template = lws["spec"]["leaderWorkerTemplate"]["workerTemplate"]
    template["spec"]["priorityClassName"] = name
    return lws
