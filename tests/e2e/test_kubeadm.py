"""What the real kubeadm makes of our change to kube-scheduler's static pod, in both forms."""

import subprocess
import sys

import yaml

from lws_placement.kube_scheduler.kubeadm import FOLDER, PATCH_NAME, put_in, take_out

FLAG = f"--config={FOLDER}/scheduler-config.yaml"


def verb(*args):
    command = [sys.executable, "-m", "lws_placement.cli.main", "scheduler-config", *args]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout


def test_what_kubeadm_writes_is_edited_and_comes_back_to_the_byte(kubeadm, tmp_path):
    text = kubeadm.scheduler_manifest(kubeadm.configuration())
    file = tmp_path / "kube-scheduler.yaml"
    file.write_text(text)
    edited = verb("--kubeadm-manifest", str(file))
    assert edited == put_in(text)
    (container,) = yaml.safe_load(edited)["spec"]["containers"]
    assert container["command"][-1] == FLAG
    file.write_text(edited)
    assert verb("--kubeadm-manifest", str(file), "--undo") == text


def test_kubeadm_takes_our_patch_and_makes_the_same_pod_of_it(kubeadm, tmp_path):
    plain = kubeadm.scheduler_manifest(kubeadm.configuration())
    patches = tmp_path / "patches"
    patches.mkdir()
    verb("--kubeadm", "--out", str(patches / PATCH_NAME))
    more = f"patches: {{directory: {patches}}}"
    patched = kubeadm.scheduler_manifest(kubeadm.configuration(more=more))
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
