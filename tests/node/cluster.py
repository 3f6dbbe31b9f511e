"""A real kubeadm cluster of one node: kubelet, containerd, kube-proxy, static pods.

Nothing of it is simulated; beside the real node KWOK may keep fake ones, which are tainted so that
only pods that tolerate them go there. The test process enters the node's network, so that API
server, Services and pods are reached as from the node itself.
"""

import base64
import os
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml
from node.images import ImageStore, control_plane_images, write_archive
from node.machine import ADDRESS, Machine, enter_network
from node.programs import CNI_PLUGINS, node_programs, pause_program

from lws_placement.errors import LocalClusterError
from lws_placement.localcluster.admin import AdminApi
from lws_placement.localcluster.binaries import wanted_version
from lws_placement.localcluster.go_build import Progress
from lws_placement.localcluster.process import Process, uninterrupted

NAME = "node-1"
FAKE = "kwok.x-k8s.io/node"
"""Annotation and taint of nodes that KWOK keeps."""
PRODUCT = "registry.example.com/lws-placement:0.1.0"
PYTHON = "docker.io/library/python:3.11-slim"

_HERE = Path(__file__).parent
REPOSITORY = "localhost/kubernetes"
_PAUSE = "localhost/kubernetes/pause:1"
_STAGES = _HERE.parents[1] / "lws_placement" / "localcluster" / "stages.yaml"
_WAIT_S = 600.0
"""On a machine of two cores that does other things, too."""


class NodeCluster:
    """`start()` brings it up with our image on the node; `stop()` leaves no trace of it, and none
    is left if we are killed, unless it is to `outlive` us.
    """

    def __init__(self, folder: Path, progress: Progress, *, outlive: bool = False) -> None:
        self.folder = folder
        self._outlive = outlive
        self._progress = progress
        self._programs = node_programs(progress)
        self._images = ImageStore(progress)
        self.machine = Machine(folder, NAME)
        self.kubeconfig = folder / "admin.kubeconfig"
        self._processes: list[Process] = []
        self._api: AdminApi | None = None
        self._outside = os.open("/proc/self/ns/net", os.O_RDONLY)

    def start(self) -> None:
        """Raises LocalClusterError that names the step."""
        self._write_files()
        archives = self._archives()
        began = time.monotonic()
        self.machine.start(outlive=self._outlive)
        self.wait(self._containerd_answers, "containerd answers")
        for archive in archives:
            self.machine.run("ctr", "-n", "k8s.io", "images", "import", str(archive))
            archive.unlink()
        self._progress("kubeadm init")
        self.machine.run(
            "kubeadm",
            "init",
            f"--config={self.folder / 'kubeadm.yaml'}",
            "--ignore-preflight-errors=SystemVerification,FileContent--proc-sys-net-bridge-bridge-nf-call-iptables",
        )
        self._enter()
        self.wait(self.node_ready, "the node is ready")
        self._progress(f"the node is ready {time.monotonic() - began:.0f} s after all was built")

    def reboot(self) -> None:
        """Everything on the node is killed; it starts again with what was on its disk."""
        kwok = bool(self._processes)
        self._end_processes()
        self._leave()
        self.machine.stop()
        self.machine.start(outlive=self._outlive)
        self._enter()
        if kwok:
            self.start_kwok()

    def stop(self) -> None:
        """Safe to repeat. Ctrl-C waits until nothing of it runs: a second or two. Its files, which
        may take longer, lie where the tests' other files do.
        """
        with uninterrupted():
            self._end_processes()
            self._leave()
            self.machine.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    # -- use -------------------------------------------------------------------------------------

    @property
    def api(self) -> AdminApi:
        assert self._api is not None, "the cluster was not started"
        return self._api

    def kubectl(
        self, *args: str, stdin: str | None = None, check: bool = True, cwd: Path | None = None
    ) -> str:
        """Standard output; with `check` a failure raises LocalClusterError with its words."""
        done = subprocess.run(
            [
                str(self._programs["kubectl"]),
                f"--kubeconfig={self.kubeconfig}",
                f"--cache-dir={self.folder / 'kubectl'}",  # else in the home of who tests
                *args,
            ],
            input=stdin,
            cwd=cwd,
            capture_output=True,
            text=True,
            check=False,
            timeout=_WAIT_S,
        )
        if check and done.returncode != 0:
            raise LocalClusterError(f"kubectl {' '.join(args)}: {done.stderr.strip()}")
        return done.stdout if check else done.stdout + done.stderr

    def start_kwok(self) -> None:
        """Fake nodes and their pods, from now on."""
        self._run(
            "kwok",
            f"--kubeconfig={self.kubeconfig}",
            f"--manage-nodes-with-annotation-selector={FAKE}=fake",
            "--node-lease-duration-seconds=40",
            "--server-address=127.0.0.1:10247",
            f"--config={_STAGES}",
        )

    def wait(self, condition: Callable[[], Any], what: str, *, within_s: float = _WAIT_S) -> Any:
        """The first true answer. An API server that is away is a condition not met yet. At most
        half of the time is spent on looking: those who are waited for need the CPU.
        """
        until, error = time.monotonic() + within_s, ""
        while (began := time.monotonic()) < until:
            try:
                answer = condition()
            except LocalClusterError as e:
                answer, error = None, str(e)
            if answer:
                return answer
            time.sleep(max(0.2, time.monotonic() - began))
        raise LocalClusterError(f"not so after {within_s:.0f} s: {what}; {error}\n{self.logs()}")

    def node_ready(self) -> bool:
        node = self.api.get(f"/api/v1/nodes/{NAME}")
        return any(
            c["type"] == "Ready" and c["status"] == "True" for c in node["status"]["conditions"]
        )

    def logs(self, lines: int = 5) -> str:
        """The end of the logs of containerd and kubelet."""
        found = []
        for path in sorted((self.folder / "logs").glob("*.log")):
            tail = path.read_text(errors="replace").splitlines()[-lines:]
            found.append(f"--- {path.name}\n" + "\n".join(line[:300] for line in tail))
        return "\n".join(found)

    def how_to_look(self) -> str:
        """For a person, once it was left running."""
        inside = " ".join(self.machine.command("sh"))
        groups = " ".join(str(group) for group in self.machine.cgroups)
        return (
            f"the node runs on; a shell on it:\n  {inside}\n"
            f"  (there: export KUBECONFIG=/etc/kubernetes/admin.conf)\n"
            f"end it: kill -9 {self.machine.pid}; find {groups} -depth -type d -delete"
        )

    # -- inside ----------------------------------------------------------------------------------

    def _end_processes(self) -> None:
        while self._processes:
            self._processes.pop().stop()

    def _run(self, program: str, *flags: str) -> None:
        log = self.folder / "logs" / f"{program}.log"
        self._processes.append(Process([str(self._programs[program]), *flags], log=log))

    def _write_files(self) -> None:
        (self.folder / "bin").mkdir(parents=True)
        (self.folder / "logs").mkdir()
        for name, program in self._programs.items():
            (self.folder / "bin" / name).symlink_to(program)
        shutil.copy(_HERE / "cni.conflist", self.folder)
        containerd = (_HERE / "containerd.toml").read_text()
        containerd = containerd.replace("{pause}", _PAUSE).replace("{cni}", str(CNI_PLUGINS))
        (self.folder / "containerd.toml").write_text(containerd)
        kubeadm = (_HERE / "kubeadm.yaml").read_text()
        filled = kubeadm.format(version=wanted_version(), address=ADDRESS, repository=REPOSITORY)
        (self.folder / "kubeadm.yaml").write_text(filled)

    def _archives(self) -> list[Path]:
        product = self.folder / "product.tar"
        self._images.build_product(PRODUCT, product)
        base = self.folder / "base.tar"
        self._images.save_base(base)
        whole, below = (archive.stat().st_size / 2**20 for archive in (product, base))
        self._progress(f"the image has {whole:.0f} MiB, {below:.0f} of them the base with Python")
        pause = self.folder / "pause.tar"
        write_archive(pause, _PAUSE, [(pause_program(self._progress), "/pause")], command="/pause")
        control_plane = control_plane_images(self._programs, self._tags(), self.folder)
        return [*control_plane, pause, base, product]

    def _tags(self) -> list[str]:
        kubeadm, config = str(self._programs["kubeadm"]), f"--config={self.folder / 'kubeadm.yaml'}"
        command = [kubeadm, "config", "images", "list", config]
        said = subprocess.run(command, capture_output=True, text=True, check=True)
        return said.stdout.split()

    def _containerd_answers(self) -> bool:
        return self.machine.run("ctr", "version", check=False).returncode == 0

    def _enter(self) -> None:
        """Our thread is in the node's network from now on, and speaks to its API server."""
        with Path(f"/proc/{self.machine.pid}/ns/net").open("rb") as network:
            enter_network(network.fileno())
        found = self.machine.run("cat", "/etc/kubernetes/admin.conf").stdout
        self.kubeconfig.write_text(found)
        self.kubeconfig.chmod(0o600)
        config = yaml.safe_load(found)
        user, cluster = config["users"][0]["user"], config["clusters"][0]["cluster"]
        pems = {
            "ca": cluster["certificate-authority-data"],
            "admin.crt": user["client-certificate-data"],
            "admin.key": user["client-key-data"],
        }
        paths = {}
        for name, data in pems.items():
            paths[name] = self.folder / name
            paths[name].write_bytes(base64.b64decode(data))
        self._api = AdminApi(
            cluster["server"], ca=paths["ca"], cert=paths["admin.crt"], key=paths["admin.key"]
        )

    def _leave(self) -> None:
        """Back to the network that we came from."""
        if self._api is not None:
            self._api.close()
            self._api = None
        enter_network(self._outside)
