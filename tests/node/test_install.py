"""A fresh install on a real kubeadm cluster: kubelet, kube-proxy and containerd start our pods."""

from urllib.request import ProxyHandler, build_opener

import pytest
from node.install import NAMESPACE
from node.objects import a_fake_spec, an_lws

PODS = f"/api/v1/namespaces/{NAMESPACE}/pods"
CONTAINERS = ("gate", "brain")
STATUS = "for line in open('/proc/1/status'): print(line.strip())"


def in_container(node, installed, container, program):
    python, pod = "/opt/lws-placement/bin/python", installed.pods(container)[0]["metadata"]["name"]
    return node.kubectl("exec", "-n", NAMESPACE, pod, "-c", container, "--", python, "-c", program)


def test_both_replicas_are_ready_and_no_container_had_to_be_started_again(node, installed):
    assert installed.ready()
    for pod in node.api.items(PODS):
        for status in pod["status"]["containerStatuses"]:
            assert status["ready"], (pod["metadata"]["name"], status)
            assert status["restartCount"] == 0, (pod["metadata"]["name"], status)


def test_the_namespace_is_under_pod_security_restricted(node, installed):
    labels = node.api.get(f"/api/v1/namespaces/{NAMESPACE}")["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"


@pytest.mark.parametrize("container", CONTAINERS)
def test_a_container_runs_as_nobody_of_note_and_may_nothing(node, installed, container):
    said = in_container(node, installed, container, STATUS)
    status = dict(line.split(":", 1) for line in said.splitlines())
    assert set(status["Uid"].split()) == {"65532"}
    assert set(status["Gid"].split()) == {"65532"}
    assert {int(status[name], 16) for name in ("CapPrm", "CapEff", "CapBnd")} == {0}
    assert status["NoNewPrivs"].strip() == "1"


@pytest.mark.parametrize("container", CONTAINERS)
def test_its_root_is_read_only(node, installed, container):
    program = (
        "import errno\n"
        "try: open('/x', 'w')\n"
        "except OSError as e: print(errno.errorcode[e.errno])\n"
        "open('/tmp/x', 'w')"
    )
    assert in_container(node, installed, container, program).strip() == "EROFS"


def test_network_policies_of_a_closed_cluster_are_accepted(node, installed):
    folder = installed.root / "manifests" / "network-policy"
    node.kubectl("apply", "--server-side", "-k", str(folder))
    path = f"/apis/networking.k8s.io/v1/namespaces/{NAMESPACE}/networkpolicies"
    (policy,) = node.api.items(path)
    assert policy["spec"]["podSelector"] == {
        "matchLabels": {"app.kubernetes.io/part-of": "lws-placement"}
    }


def test_groups_are_admitted_through_the_service_and_bound_by_the_extender(node, installed, world):
    before = bound(node)
    pool = world.add_pool("fresh", slices=2)
    world.create_lws(an_lws("llm", a_fake_spec(pool), replicas=2))
    node.wait(lambda: world.whole(2, 4), "both groups are whole")
    for pod in world.pods():
        assert "lws-placement.dev/admitted" in pod["metadata"]["annotations"]
    assert bound(node) - before >= 8


def bound(node):
    """Binds that the extender has made, as the metrics Service tells: of the gates together."""
    return sum(
        float(line.split()[-1])
        for text in scrape_all(node)
        for line in text.splitlines()
        if line.startswith("lws_placement_binds_total") and 'outcome="bound"' in line
    )


def scrape_all(node):
    """/metrics of each replica's gate, as a Prometheus does it that has looked up the endpoints."""
    slices = node.api.items(
        f"/apis/discovery.k8s.io/v1/namespaces/{NAMESPACE}/endpointslices",
        labelSelector="kubernetes.io/service-name=lws-placement-metrics",
    )
    gates = [s for s in slices if any(p["port"] == 8080 for p in s["ports"])]
    addresses = {a for s in gates for e in s["endpoints"] for a in e["addresses"]}
    assert len(addresses) == 2
    return [read(f"http://{address}:8080/metrics") for address in sorted(addresses)]


def read(url):
    with build_opener(ProxyHandler({})).open(url, timeout=30) as answer:
        return answer.read().decode()


@pytest.mark.parametrize("port", [8080, 8081])
def test_metrics_are_scraped_by_the_service(node, installed, port):
    service = node.api.get(f"/api/v1/namespaces/{NAMESPACE}/services/lws-placement-metrics")
    text = read(f"http://{service['spec']['clusterIP']}:{port}/metrics")
    assert "lws_placement_" in text
