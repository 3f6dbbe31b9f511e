"""What the verbs say they found is what runs, for people with the role `view` as for us."""

import json

import pytest
import yaml
from click.testing import CliRunner

from lws_placement.cli.main import cli
from lws_placement.localcluster.binaries import wanted_version

KUBERNETES = f"v{wanted_version()}"
SCHEDULER = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "kube-scheduler-here", "labels": {"component": "kube-scheduler"}},
    "spec": {
        "schedulerName": "nobody",
        "containers": [{"name": "s", "image": f"registry.k8s.io/kube-scheduler:{KUBERNETES}"}],
    },
}


@pytest.fixture
def viewer(scene):
    """Somebody with the cluster's role `view` and nothing else."""
    account, binding = f"--serviceaccount={scene.namespace}:viewer", f"viewer-{scene.namespace}"
    scene.kubectl("create", "serviceaccount", "viewer")
    scene.kubectl("create", "clusterrolebinding", binding, "--clusterrole=view", account)
    return scene.cluster.service_account_kubeconfig(scene.namespace, "viewer")


@pytest.fixture
def scheduler_pod(scene):
    """As kubeadm's static pod is seen, which is how its version is known."""
    pods = "/api/v1/namespaces/kube-system/pods"
    scene.cluster.api.create(pods, SCHEDULER)
    yield
    scene.cluster.api.delete(f"{pods}/{SCHEDULER['metadata']['name']}")


def ask(*args):
    done = CliRunner().invoke(cli, args)
    assert done.exit_code == 0, done.output
    return done.stdout


@pytest.mark.usefixtures("scheduler_pod")
def test_status_and_print_config_say_what_was_found(viewer):
    found = json.loads(ask("status", "-o", "json", f"--kubeconfig={viewer}"))["found"]
    assert found == {
        "apiServer": KUBERNETES,
        "kubeScheduler": [KUBERNETES],
        "leaderWorkerSet": {"versions": ["v1"], "controller": "built-in"},
        "autoscaler": "",
        "unsupported": "",
        "missing": [],
    }
    line = (
        f"Kubernetes {KUBERNETES}; kube-scheduler {KUBERNETES}; LeaderWorkerSet v1, "
        "carried out by the built-in controller"
    )
    said = ask("status", f"--kubeconfig={viewer}").splitlines()
    off = "scale-up: off, as the API of no cluster autoscaler is served"
    assert (said[0], said[2], said[3]) == (line, off, "")
    assert said[1].startswith("certificates: CA until ")
    printed = ask("serve", "--print-config", f"--kubeconfig={viewer}")
    assert printed.splitlines()[-1] == f"# found: {line}"
    assert yaml.safe_load(printed)["kubeconfig"] == str(viewer)


def test_every_process_logs_what_it_found_when_it_starts(installation):
    for server in installation.servers.values():
        lines = server.log.read_text().splitlines()
        found = [one for one in lines if f": found cluster=Kubernetes {KUBERNETES}; " in one]
        assert found, server.name
        assert {one.split()[1] for one in found} == {"INFO"}
        assert not [one for one in lines if "found wanting" in one]
