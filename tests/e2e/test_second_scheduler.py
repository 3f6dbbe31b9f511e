"""Clusters whose own scheduler cannot be configured: members go to a second kube-scheduler.

Two replicas of it under the overlay's account and configuration, and beside them the cluster's own,
as it comes.
"""

import json
from urllib.request import ProxyHandler, build_opener

import pytest
import yaml
from e2e.health import wait_healthy
from e2e.servers import HASTY
from e2e.stack import Scene
from support.scrape import samples

from lws_placement.kube_scheduler.config import Place, fill
from lws_placement.localcluster.cluster import LocalCluster, free_ports
from lws_placement.localcluster.install import MANIFESTS, NAMESPACE, Installation

OVERLAY = "second-scheduler/standalone"
SECOND = "lws-placement-scheduler"
STOCK = {
    "apiVersion": "kubescheduler.config.k8s.io/v1",
    "kind": "KubeSchedulerConfiguration",
    "leaderElection": {"leaderElect": False},
}


class SecondScheduler:
    """The overlay's, on this machine: its files in a folder, the Service's address in its
    configuration; all else as it is applied.
    """

    def __init__(self, installed):
        self._cluster = installed.cluster
        path = f"/api/v1/namespaces/{NAMESPACE}/configmaps/{SECOND}"
        text = self._cluster.api.get(path)["data"]["scheduler-config.yaml"]
        installed.scheduler_configuration()  # writes the client's files
        address = f"127.0.0.1:{installed.extender_port}"
        files = str(self._cluster.folder / "extender-client")
        self.configuration = fill(yaml.safe_load(text), Place(address, NAMESPACE, files_at=files))
        self._kubeconfig = self._cluster.service_account_kubeconfig(NAMESPACE, SECOND)
        self.replicas = {}
        self.ports = {}

    def start(self, name):
        (self.ports[name],) = free_ports(1)
        self.replicas[name] = self._cluster.run_scheduler(
            self.configuration, name=name, port=self.ports[name], kubeconfig=self._kubeconfig
        )

    def stop(self, name):
        self._cluster.end(self.replicas.pop(name))

    def leader(self):
        path = f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases"
        leases = {o["metadata"]["name"]: o["spec"] for o in self._cluster.api.items(path)}
        return leases.get(SECOND, {}).get("holderIdentity", "")


@pytest.fixture(scope="module")
def installed(binaries, tmp_path_factory):
    with LocalCluster(tmp_path_factory.mktemp("second") / "c", binaries) as cluster:
        made = Installation(cluster)
        try:
            made.apply(OVERLAY)
            made.start_server("all", ports=True, flags=[*HASTY, *flags_of_the_overlay(cluster)])
            made.wait_ready("all")
            cluster.start_scheduler(STOCK)
            yield made
        finally:
            made.stop()


def flags_of_the_overlay(cluster):
    path = f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/lws-placement"
    containers = cluster.api.get(path)["spec"]["template"]["spec"]["containers"]
    (gate,) = [c for c in containers if c["name"] == "gate"]
    values = {v["name"]: v.get("value") for v in gate["env"]}
    return [f"--member-scheduler={values['LWS_PLACEMENT_MEMBER_SCHEDULER']}"]


@pytest.fixture(scope="module")
def second(installed):
    made = SecondScheduler(installed)
    for name in ("second-a", "second-b"):
        made.start(name)
    return made


@pytest.fixture
def there(installed, second, request):
    """A namespace of its own on that cluster."""
    namespace = request.node.name.replace("_", "-")[:40].strip("-")
    installed.cluster.api.create("/api/v1/namespaces", {"metadata": {"name": namespace}})
    scene = Scene(installed.cluster, installed, namespace)
    scene.wait(lambda: scene.get("serviceaccounts"), "the namespace has its ServiceAccount")
    return scene


def metrics(installed):
    ports = json.loads((installed.cluster.folder / "all.ports").read_text())
    url = f"http://127.0.0.1:{ports['health']}/metrics"
    with build_opener(ProxyHandler({})).open(url, timeout=10) as answer:
        return samples(answer.read().decode())


def scheduled_by(scene):
    """Who says to have bound which pod."""
    path = f"/apis/events.k8s.io/v1/namespaces/{scene.namespace}/events"
    events = scene.cluster.api.items(path)
    return {
        e["regarding"]["name"]: e["reportingController"]
        for e in events
        if e["reason"] == "Scheduled"
    }


def a_foreign_pod(scene, name, **limits):
    container = {"name": "c", "image": "x", "resources": {"limits": limits}}
    spec = {"nodeSelector": {"pool": scene.namespace}, "containers": [container]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}


def test_both_replicas_are_healthy_and_one_leads(second, there):
    for name, process in second.replicas.items():
        wait_healthy(process, second.ports[name])
    there.wait(second.leader, "one of them leads")


def test_the_trap_goes_ten_of_ten_and_each_scheduler_binds_its_own(installed, second, there):
    nodes = there.pool(20)
    there.create(*[there.filler(n) for n in nodes if n.endswith("-0")][::2])
    foreign = [f"foreign-{i}" for i in range(5)]
    there.create(*[a_foreign_pod(there, name, cpu="1") for name in foreign])
    before = metrics(installed)
    lws = there.lws("trap", replicas=10, size=4)
    there.create(lws)
    there.wait_bound(40, "trap")
    assert there.broken_promises() == []
    assert len(there.holds()) == 10
    there.wait(lambda: there.one("lws", "trap")["status"].get("readyReplicas") == 10, "10 ready")
    members = {p["metadata"]["name"]: p for p in there.members("trap")}
    assert {p["spec"]["schedulerName"] for p in members.values()} == {SECOND}
    there.wait(lambda: all(there.node_of(name) for name in foreign), "foreign pods are bound")
    there.wait(lambda: len(scheduled_by(there)) == 45, "all events are written")
    assert scheduled_by(there) == {
        **dict.fromkeys(members, SECOND),
        **dict.fromkeys(foreign, "default-scheduler"),
    }
    assert {there.one("pod", n)["spec"]["schedulerName"] for n in foreign} == {"default-scheduler"}
    bound = ("lws_placement_binds_total", "bound")
    assert metrics(installed)[bound] - before.get(bound, 0) == 40, "the last check of each is ours"
    spec = there.one("lws", "trap")["spec"]
    (template,) = [
        spec["leaderWorkerTemplate"][k]
        for k in spec["leaderWorkerTemplate"]
        if k.endswith("Template")
    ]
    assert "schedulerName" not in template["spec"]


def test_a_foreign_pod_may_take_held_room_and_the_group_goes_elsewhere_whole(second, there):
    """What the guard of the full configuration would not let happen."""
    there.pool(2)
    for name in list(second.replicas):
        second.stop(name)
    there.create(there.lws(size=4))
    there.wait(lambda: len(there.members()) == 4, "all members are made")
    there.wait(lambda: all(there.pin(p["metadata"]["name"]) for p in there.members()), "pinned")
    held = there.domain_of(there.pin("llm-0"))
    pod = a_foreign_pod(there, "foreign", **{"google.com/tpu": "4"})
    pod["spec"]["nodeSelector"] = {there.key: held}
    there.create(pod)
    there.wait(lambda: there.node_of("foreign"), "the foreign pod is bound")
    for name in ("second-a", "second-b"):
        second.start(name)
    there.wait_bound(4)
    assert there.broken_promises() == []
    (domain,) = there.places().popitem()[1]
    assert domain != held


def test_one_replica_is_enough_whichever_it_is(second, there):
    """The first to be stopped leads, or the second does."""
    there.pool(2)
    for name in list(second.replicas):
        second.stop(name)
        there.create(there.lws(name, size=4))
        there.wait_bound(4, name)
        second.start(name)
    there.wait(lambda: len(scheduled_by(there)) == 8, "all events are written")
    assert set(scheduled_by(there).values()) == {SECOND}


def test_its_pods_are_admitted_where_only_restricted_ones_are(installed, there):
    path = f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/{SECOND}"
    template = installed.cluster.api.get(path)["spec"]["template"]
    meta = template["metadata"] | {"name": "ours", "namespace": NAMESPACE}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": template["spec"]}
    create = ("create", "--dry-run=server", "-f", "-")
    out = installed.cluster.kubectl(*create, stdin=json.dumps(pod), check=False)
    assert "pod/ours created (server dry run)" in out
    assert "Warning" not in out


def test_both_overlays_have_it(installed):
    for overlay in ("standalone", "beside-upstream"):
        objects = installed.objects(f"second-scheduler/{overlay}")
        plain = installed.objects(overlay)
        names = {(o["kind"], o["metadata"]["name"]) for o in objects}
        assert names - {(o["kind"], o["metadata"]["name"]) for o in plain} == {
            ("ServiceAccount", SECOND),
            ("ClusterRoleBinding", SECOND),
            ("ClusterRoleBinding", f"{SECOND}-volumes"),
            ("RoleBinding", f"{SECOND}-authentication"),
            ("Role", SECOND),
            ("RoleBinding", SECOND),
            ("ConfigMap", SECOND),
            ("Deployment", SECOND),
            ("PodDisruptionBudget", SECOND),
        }
    assert (MANIFESTS / "second-scheduler" / "component" / "kustomization.yaml").is_file()
