"""The real kubeadm, without a container engine: what it makes of configurations."""

import os
import subprocess

from lws_placement.localcluster.binaries import kubernetes_programs, wanted_version
from lws_placement.localcluster.go_build import build_missing, cache_folder

INIT = """\
apiVersion: kubeadm.k8s.io/{api}
kind: InitConfiguration
localAPIEndpoint: {{advertiseAddress: 192.0.2.1}}
nodeRegistration: {{name: node, criSocket: "unix:///run/none.sock"}}
{more}
---
"""
CLUSTER = """\
apiVersion: kubeadm.k8s.io/{api}
kind: ClusterConfiguration
kubernetesVersion: v{version}
"""


def apis():
    """Versions of kubeadm's own API that this version of it takes, the newest last."""
    return ("v1beta4",) if wanted_version() >= "1.37" else ("v1beta3", "v1beta4")


class Kubeadm:
    def __init__(self, folder, say):
        version = wanted_version()
        cache = cache_folder() / f"kubernetes-{version}" / "bin"
        (program,) = [p for p in kubernetes_programs(version, ("kubeadm",)) if p.name == "kubeadm"]
        build_missing([program], cache, what=f"kubeadm {version}", progress=say)
        self._program = cache / "kubeadm"
        self._folder = folder

    def configuration(self, *, api="v1beta4", more=""):
        """`more`: members of InitConfiguration."""
        text = (INIT + CLUSTER).format(api=api, version=wanted_version(), more=more)
        path = self._folder / "kubeadm.yaml"
        path.write_text(text)
        return path

    def validate(self, config):
        """What it says of it; an AssertionError if it does not take it."""
        return self._run("config", "validate", f"--config={config}")

    def scheduler_manifest(self, config):
        """The text of the static pod that it writes for kube-scheduler."""
        target = self._folder / "manifests"
        target.mkdir(exist_ok=True)
        phase = ("init", "phase", "control-plane", "scheduler", "--dry-run")
        self._run(*phase, f"--config={config}", KUBEADM_INIT_DRYRUN_DIR=str(target))
        return next(target.rglob("kube-scheduler.yaml")).read_text()

    def _run(self, *args, **env):
        done = subprocess.run(
            [self._program, *args],
            env=os.environ | env,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout + done.stderr
