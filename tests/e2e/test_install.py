"""From `kubectl apply` to a kube-scheduler that calls us, as users go it, on the real programs."""

import json
import subprocess
import sys
import time

import pytest
import yaml
from e2e.health import wait_healthy

from lws_placement.errors import LocalClusterError
from lws_placement.localcluster.install import BRAIN, GATE, MANIFESTS, NAMESPACE

KUBEADM_FOLDER = "/etc/kubernetes/lws-placement"
KIND_FLAGS = ("--address=10.96.0.99:443",)
OVERLAYS = ("standalone", "beside-upstream")


def scheduler_config(cluster, folder, *flags):
    command = [sys.executable, "-m", "lws_placement.cli.main", "scheduler-config"]
    command += [f"--out={folder}", f"--kubeconfig={cluster.kubeconfig}", *flags]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def wait_ended(process):
    until = time.monotonic() + 60
    while process.running:
        assert time.monotonic() < until, process.tail()
        time.sleep(0.05)


def test_kube_scheduler_is_healthy_with_the_configuration_that_kind_starts_with(bare, bootstrapped):
    path = MANIFESTS / "kind" / "scheduler" / "scheduler-config.yaml"
    bootstrapped(yaml.safe_load(path.read_text()))
    wait_healthy(bare.scheduler, bare.scheduler_port)


def test_kube_scheduler_is_healthy_with_what_the_verb_makes_for_kind(
    installation, bare, bootstrapped, tmp_path
):
    done = scheduler_config(installation.cluster, tmp_path, *KIND_FLAGS)
    assert done.returncode == 0, done.stderr
    assert "kube-scheduler will call https://10.96.0.99:443/members" in done.stdout
    text = (tmp_path / "scheduler-config.yaml").read_text()
    assert text.count(f"{KUBEADM_FOLDER}/") == 6
    bootstrapped(yaml.safe_load(text.replace(KUBEADM_FOLDER, str(tmp_path))))
    wait_healthy(bare.scheduler, bare.scheduler_port)


def test_kube_scheduler_ends_when_the_files_are_not_there(
    installation, bare, bootstrapped, tmp_path
):
    """Why kind has to start without extenders."""
    scheduler_config(installation.cluster, tmp_path, *KIND_FLAGS, f"--files-at={tmp_path}/none")
    scheduler = bootstrapped(yaml.safe_load((tmp_path / "scheduler-config.yaml").read_text()))
    wait_ended(scheduler)
    with pytest.raises(LocalClusterError, match=r"none/ca\.crt: no such file"):
        scheduler.check()


def test_without_flags_it_is_the_services_address_and_the_secrets_files(installation, tmp_path):
    cluster = installation.cluster
    done = scheduler_config(cluster, tmp_path)
    assert done.returncode == 0, done.stderr
    path = ("service", "lws-placement-extender", "-n", NAMESPACE, "-ojsonpath={.spec.clusterIP}")
    ip = cluster.kubectl("get", *path)
    config = yaml.safe_load((tmp_path / "scheduler-config.yaml").read_text())
    prefixes = [extender["urlPrefix"] for extender in config["extenders"]]
    assert prefixes == [f"https://{ip}:443/members", f"https://{ip}:443/guard"]
    used = cluster.folder / "extender-client"
    for name in ("ca.crt", "client.crt", "client.key"):
        assert (tmp_path / name).read_bytes() == (used / name).read_bytes()
        assert (tmp_path / name).stat().st_mode & 0o777 == 0o600


def test_the_tests_run_kube_scheduler_with_what_the_verb_makes(installation, tmp_path):
    cluster, folder = installation.cluster, installation.cluster.folder
    used = yaml.safe_load((folder / "kube-scheduler-config.yaml").read_text())
    flags = (
        f"--address=127.0.0.1:{installation.extender_port}",
        f"--files-at={folder / 'extender-client'}",
        f"--scheduler-kubeconfig={cluster.kubeconfig}",
    )
    assert scheduler_config(cluster, tmp_path, *flags).returncode == 0
    made = yaml.safe_load((tmp_path / "scheduler-config.yaml").read_text())
    assert made | {"leaderElection": used["leaderElection"]} == used


def test_what_is_missing_in_the_cluster_is_said_with_what_to_do(installation, scene, tmp_path):
    cluster, ours = installation.cluster, f"--namespace={scene.namespace}"
    done = scheduler_config(cluster, tmp_path / "out", ours)
    assert done.returncode == 1
    assert f"there is no Secret {scene.namespace}/lws-placement-scheduler-client yet" in done.stderr
    assert "kubectl rollout status" in done.stderr
    secret = json.loads(
        cluster.kubectl(
            "get", "secret", "lws-placement-scheduler-client", "-n", NAMESPACE, "-ojson"
        )
    )
    secret["metadata"] = {"name": "lws-placement-scheduler-client", "namespace": scene.namespace}
    scene.create(secret)
    done = scheduler_config(cluster, tmp_path / "out", ours)
    assert done.returncode == 1
    assert f"there is no Service {scene.namespace}/lws-placement-extender" in done.stderr
    assert "--address" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()
    assert scheduler_config(cluster, tmp_path / "out", ours, *KIND_FLAGS).returncode == 0


@pytest.mark.parametrize("name", [GATE, BRAIN])
@pytest.mark.parametrize("overlay", OVERLAYS)
def test_our_pods_are_admitted_where_only_restricted_pods_are(scene, overlay, name):
    pod = a_pod_in_a_restricted_namespace(scene, overlay, name)
    out = scene.kubectl("create", "--dry-run=server", "-f", "-", stdin=json.dumps(pod))
    assert "pod/ours created (server dry run)" in out


@pytest.mark.parametrize("name", [GATE, BRAIN])
@pytest.mark.parametrize("overlay", OVERLAYS)
def test_a_privileged_one_would_not_be(scene, overlay, name):
    pod = a_pod_in_a_restricted_namespace(scene, overlay, name)
    pod["spec"]["containers"][0]["securityContext"] = {"privileged": True}
    out = scene.kubectl("create", "--dry-run=server", "-f", "-", stdin=json.dumps(pod), check=False)
    assert 'violates PodSecurity "restricted' in out
    assert "privileged" in out


def a_pod_in_a_restricted_namespace(scene, overlay, name):
    """As the Deployment makes it, in the test's namespace with the labels that ours has."""
    text = scene.cluster.kubectl("kustomize", str(MANIFESTS / overlay))
    objects = {(o["kind"], o["metadata"]["name"]): o for o in yaml.safe_load_all(text) if o}
    labels = objects["Namespace", NAMESPACE]["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
    scene.kubectl("label", "namespace", scene.namespace, *(f"{k}={v}" for k, v in labels.items()))
    template = objects["Deployment", name]["spec"]["template"]
    scene.kubectl("create", "serviceaccount", template["spec"]["serviceAccountName"])
    assert len(template["spec"]["containers"]) == 1
    meta = template["metadata"] | {"name": "ours", "namespace": scene.namespace}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": template["spec"]}


def test_a_simulated_kubelet_ends_no_pod_that_is_not_to_go(scene):
    """KWOK knows pods by name: a delete of it that comes late would hit the successor."""
    (node, *_) = scene.pool(1)
    scene.create(scene.filler(node, name="successor"))
    as_kwok = ("--as=kwok", "--as-group=system:masters")
    said = scene.kubectl("delete", "pod", "successor", "--now", *as_kwok, check=False)
    assert "this pod is not to go" in said
    assert "deletionTimestamp" not in scene.one("pod", "successor")["metadata"]
    scene.kubectl("delete", "pod", "successor")
    assert not scene.get("pods")
