"""kind's cluster as `manifests/README.md` has it, as far as it goes without a container engine:
kubeadm's part on the real kubeadm, and the README's own commands.
"""

import os
import re
import subprocess
from pathlib import Path

import pytest
import yaml
from e2e.kubeadm import apis

from lws_placement.kube_scheduler.kubeadm import put_in, take_out
from lws_placement.localcluster.install import MANIFESTS

ROOT = MANIFESTS.parent
KIND = yaml.safe_load((MANIFESTS / "kind" / "kind.yaml").read_text())
(NODE,) = [n for n in KIND["nodes"] if n["role"] == "control-plane"]
(MOUNT,) = NODE["extraMounts"]
PATCHES = {
    patch["apiVersion"].rpartition("/")[2]: patch
    for patch in map(yaml.safe_load, NODE["kubeadmConfigPatches"])
}
NEED_CONTAINERS = ("kind", "docker")


def commands():
    """Of `manifests/README.md`, one by one and as they are."""
    text = (ROOT / "manifests" / "README.md").read_text()
    block = text[text.index("**kind,** from nothing") :]
    lines = re.findall(r"^    (\S.*)$", block[: block.index("\n**", 2)], re.MULTILINE)
    return [re.sub(r"\s{2,}#.*", "", line) for line in lines]


# -- kubeadm's part -------------------------------------------------------------------------------


@pytest.mark.parametrize("api", apis())
def test_kubeadm_makes_the_flag_and_the_volume_of_the_patch(kubeadm, api):
    config = kubeadm.configuration(api=api)
    plain = kubeadm.scheduler_manifest(config)
    merged = [
        part | PATCHES[api] if part["kind"] == "ClusterConfiguration" else part
        for part in yaml.safe_load_all(config.read_text())
    ]
    config.write_text(yaml.safe_dump_all(merged))
    kubeadm.validate(config)
    made = yaml.safe_load(kubeadm.scheduler_manifest(config))
    assert as_sets(made) == as_sets(yaml.safe_load(put_in(plain)))
    undone = take_out(yaml.safe_dump(made))
    assert as_sets(yaml.safe_load(undone)) == as_sets(yaml.safe_load(plain))


def as_sets(pod):
    """Flags and volumes without an order."""
    (container,) = pod["spec"]["containers"]
    container["command"] = sorted(container["command"])
    container["volumeMounts"].sort(key=lambda mount: mount["name"])
    pod["spec"]["volumes"].sort(key=lambda volume: volume["name"])
    return pod


def test_a_word_that_kubeadm_does_not_know_would_be_refused(kubeadm):
    config = kubeadm.configuration(api=apis()[-1])
    config.write_text(config.read_text() + "scheduler: {extraVolume: []}\n")
    with pytest.raises(AssertionError, match="extraVolume"):
        kubeadm.validate(config)


# -- the README's commands ------------------------------------------------------------------------


def test_the_commands_are_those_that_the_files_are_made_for():
    found = commands()
    mounted = MOUNT["hostPath"].removeprefix("./")
    assert found.index(f"mkdir -p {mounted}") < found.index(
        f"cp manifests/kind/scheduler/* {mounted}/"
    )
    create = found.index("kind create cluster --config manifests/kind/kind.yaml")
    apply = found.index("kubectl apply --server-side -k manifests/kind")
    made = next(i for i, line in enumerate(found) if "scheduler-config --out" in line)
    assert create < apply < made == len(found) - 2, "kube-scheduler is started anew at the end"
    (image,) = {
        c["image"]
        for o in yaml.safe_load_all((MANIFESTS / "base" / "deployment.yaml").read_text())
        if o["kind"] == "Deployment"
        for c in o["spec"]["template"]["spec"]["containers"]
    }
    assert [line for line in found if "docker build" in line and f"-t {image} " in line]
    assert [line for line in found if "kind load" in line and line.endswith(image)]


def test_the_commands_fill_the_folder_that_kube_scheduler_reads(
    binaries, installation, bare, tmp_path
):
    """In their order, in a folder that looks like a clone. kind and docker cannot be run here; the
    manifests are applied to a new cluster, and all else is asked of one on which we run.
    """
    for name in ("manifests", ".venv", "Makefile"):
        (tmp_path / name).symlink_to(ROOT / name)
    path = f"{Path(binaries['kubectl']).parent}:{os.environ['PATH']}"
    folder = tmp_path / MOUNT["hostPath"]
    held = []
    for line in commands():
        cluster = bare if line.startswith("kubectl apply") else installation.cluster
        env = os.environ | {"KUBECONFIG": str(cluster.kubeconfig), "PATH": path}
        if line.split()[0] not in NEED_CONTAINERS and line != "make venv":
            done = subprocess.run(
                line, shell=True, cwd=tmp_path, env=env, capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, f"{line}: {done.stderr}"
        held.append({p.name for p in folder.iterdir()} if folder.is_dir() else set())
    assert {"scheduler-config.yaml"} in held, "kube-scheduler starts without us"
    assert held[-1] == {"ca.crt", "client.crt", "client.key", "scheduler-config.yaml"}
    config = yaml.safe_load((folder / "scheduler-config.yaml").read_text())
    kind = yaml.safe_load((MANIFESTS / "kind" / "kustomization.yaml").read_text())
    (patch,) = kind["patches"]
    (change,) = yaml.safe_load(patch["patch"])
    for extender in config["extenders"]:
        assert extender["urlPrefix"].startswith(f"https://{change['value']}:443/")
        for name in ("caFile", "certFile", "keyFile"):
            seen_at, _, file = extender["tlsConfig"][name].rpartition("/")
            assert seen_at == MOUNT["containerPath"]
            assert file in held[-1]
