"""What the real kubeadm makes of our change to kube-scheduler's static pod, in both forms."""

import os
import subprocess
import sys

import pytest
import yaml

from lws_placement.kubeadm import FOLDER, PATCH_NAME, put_in, take_out
from lws_placement.localcluster.binaries import kubernetes_programs, wanted_version
from lws_placement.localcluster.go_build import build_missing, cache_folder

FLAG = f"--config={FOLDER}/scheduler-config.yaml"
CONFIGURATION = """\
apiVersion: kubeadm.k8s.io/v1beta4
kind: InitConfiguration
localAPIEndpoint: {{advertiseAddress: 192.0.2.1}}
nodeRegistration: {{name: node, criSocket: "unix:///run/none.sock"}}
{more}
---
apiVersion: kubeadm.k8s.io/v1beta4
kind: ClusterConfiguration
kubernetesVersion: v{version}
"""


@pytest.fixture(scope="session")
def kubeadm():
    version = wanted_version()
    folder = cache_folder() / f"kubernetes-{version}" / "bin"
    (program,) = [p for p in kubernetes_programs(version, ("kubeadm",)) if p.name == "kubeadm"]
    build_missing([program], folder, what=f"kubeadm {version}", progress=print)
    return folder / "kubeadm"


@pytest.fixture
def static_pod(kubeadm, tmp_path):
    """Has kubeadm write kube-scheduler.yaml: its text."""

    def write(more=""):
        config, target = tmp_path / "kubeadm.yaml", tmp_path / "manifests"
        config.write_text(CONFIGURATION.format(version=wanted_version(), more=more))
        target.mkdir(exist_ok=True)
        phase = ["init", "phase", "control-plane", "scheduler", "--dry-run", f"--config={config}"]
        env = os.environ | {"KUBEADM_INIT_DRYRUN_DIR": str(target)}
        done = subprocess.run(
            [kubeadm, *phase], env=env, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return next(target.rglob("kube-scheduler.yaml")).read_text()

    return write


def verb(*args):
    command = [sys.executable, "-m", "lws_placement.cli.main", "scheduler-config", *args]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout


def test_what_kubeadm_writes_is_edited_and_comes_back_to_the_byte(static_pod, tmp_path):
    text = static_pod()
    file = tmp_path / "kube-scheduler.yaml"
    file.write_text(text)
    edited = verb("--kubeadm-manifest", str(file))
    assert edited == put_in(text)
    (container,) = yaml.safe_load(edited)["spec"]["containers"]
    assert container["command"][-1] == FLAG
    file.write_text(edited)
    assert verb("--kubeadm-manifest", str(file), "--undo") == text


def test_kubeadm_takes_our_patch_and_makes_the_same_pod_of_it(static_pod, tmp_path):
    plain = static_pod()
    patches = tmp_path / "patches"
    patches.mkdir()
    verb("--kubeadm", "--out", str(patches / PATCH_NAME))
    patched = static_pod(f"patches: {{directory: {patches}}}")
    (container,) = (made := yaml.safe_load(patched))["spec"]["containers"]
    assert container.pop("args") == [FLAG]
    container["command"].append(FLAG)
    assert made == sorted_like(yaml.safe_load(put_in(plain)), made)
    assert put_in(patched) == patched
    assert yaml.safe_load(take_out(patched)) == yaml.safe_load(plain)


def sorted_like(pod, other):
    """A merge puts what it adds first; the order of mounts and volumes says nothing."""
    (container,) = pod["spec"]["containers"]
    (model,) = other["spec"]["containers"]
    container["volumeMounts"].sort(key=model["volumeMounts"].index)
    pod["spec"]["volumes"].sort(key=other["spec"]["volumes"].index)
    return pod
