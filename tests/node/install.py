"""lws-placement on the real node, installed by the commands of the README and nothing else."""

import shlex
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.request import ProxyHandler, build_opener

from node.cluster import PRODUCT

from lws_placement.engine.base.raw import Raw
from lws_placement.errors import LocalClusterError

NAMESPACE = "lws-placement-system"
FILES = "/etc/kubernetes/lws-placement"
PODS = f"/api/v1/namespaces/{NAMESPACE}/pods"
DEPLOYMENTS = {"gate": "lws-placement", "brain": "lws-placement-brain"}
"""Of each container."""
HEALTH_PORTS = {"gate": 8080, "brain": 8081}
_MANIFESTS = "/etc/kubernetes/manifests"
_APISERVER = f"{_MANIFESTS}/kube-apiserver.yaml"
_SCHEDULER = f"{_MANIFESTS}/kube-scheduler.yaml"
_OURS = (
    f'labels."io.kubernetes.pod.namespace"=={NAMESPACE},labels."io.cri-containerd.kind"==container'
)


def readme_commands(root: Path, *words: str) -> list[list[str]]:
    """The commands in `manifests/README.md` that hold all of `words`, as their arguments."""
    lines = (root / "manifests" / "README.md").read_text().splitlines()
    shown = [line.partition("#")[0].strip() for line in lines if line.startswith("    ")]
    found = [shlex.split(line) for line in shown if all(word in line for word in words)]
    assert found, f"the README has no command with {words}"
    return found


class Installed:
    """Our manifests on `node`, from the checkout at `root`."""

    def __init__(self, node, root: Path) -> None:
        self.node = node
        self.root = root

    def install(self) -> None:
        """The README's `kubectl apply` lines for a cluster without LeaderWorkerSets."""
        for folder in ("manifests/crd", "manifests/standalone"):
            _, *arguments = readme_commands(self.root, "kubectl apply", folder)[0]
            self.node.kubectl(*arguments, cwd=self.root)
        self.wait_ours_rolled_out()

    def apply(self, overlay: Path) -> None:
        self.node.kubectl("apply", "--server-side", "-k", str(overlay))

    def configure_scheduler(self) -> None:
        """The README's `scheduler-config`, its files on the node, and kubeadm's manifest."""
        self._write_scheduler_files()
        self._edit_manifest()
        self.node.wait(
            lambda: self._scheduler_runs(ours=True), "kube-scheduler runs with our configuration"
        )

    def restore_scheduler(self) -> None:
        """The README's `--undo`."""
        self._edit_manifest("--undo")
        self.node.wait(
            lambda: self._scheduler_runs(ours=False),
            "kube-scheduler runs without our configuration",
        )
        self.node.machine.run("rm", "-r", FILES)

    def _edit_manifest(self, *flags: str) -> None:
        manifest, changed = self.node.folder / "scheduler.yaml", self.node.folder / "changed.yaml"
        manifest.write_text(self.node.machine.run("cat", _SCHEDULER).stdout)
        files = (f"--kubeadm-manifest={manifest}", f"--out={changed}")
        self.verb("scheduler-config", *files, *flags, local=True)
        self.node.machine.run("tee", _SCHEDULER, stdin=changed.read_text())

    def tell_scheduler_of_new_address(self) -> None:
        """After our Service was made anew: the files, and kubelet starts kube-scheduler again."""
        self._write_scheduler_files()
        before = self._scheduler_status()["restartCount"]
        container = self._scheduler_status()["containerID"].removeprefix("containerd://")
        self.node.machine.run("ctr", "-n", "k8s.io", "tasks", "kill", container)
        self.node.wait(
            lambda: (now := self._scheduler_status())["restartCount"] > before and now["ready"],
            "kube-scheduler was started again",
        )

    def _scheduler_status(self) -> Raw:
        path = "/api/v1/namespaces/kube-system/pods/kube-scheduler-node-1"
        (status,) = self.node.api.get(path)["status"]["containerStatuses"]
        return status

    def _write_scheduler_files(self) -> None:
        out = self.node.folder / "scheduler"
        self.verb("scheduler-config", f"--out={out}")
        self.node.machine.run("cp", "-rT", str(out), FILES)

    def _scheduler_runs(self, *, ours: bool) -> bool:
        flag = f"--config={FILES}/scheduler-config.yaml"
        pods = self.node.api.items(
            "/api/v1/namespaces/kube-system/pods", labelSelector="component=kube-scheduler"
        )
        return any(
            (flag in pod["spec"]["containers"][0]["command"]) == ours
            and pod["status"].get("containerStatuses", [{}])[0].get("ready")
            for pod in pods
        )

    def another_version(self, version: str) -> str:
        """An image of the same program under another tag, as an upgrade names it."""
        image = f"{PRODUCT.rpartition(':')[0]}:{version}"
        self.tag_image(PRODUCT, image)
        return image

    def tag_image(self, image: str, also: str) -> None:
        self.node.machine.run("ctr", "-n", "k8s.io", "images", "tag", "--force", image, also)

    def set_image(self, image: str) -> None:
        for container, name in DEPLOYMENTS.items():
            change = (f"deployment/{name}", f"{container}={image}")
            self.node.kubectl("set", "image", "-n", NAMESPACE, *change)

    def restart(self) -> None:
        for name in DEPLOYMENTS.values():
            self.node.kubectl("rollout", "restart", "-n", NAMESPACE, f"deployment/{name}")

    def wait_ours_rolled_out(self) -> None:
        for name in DEPLOYMENTS.values():
            self.wait_rolled_out(f"deployment/{name}")

    def pods(self, container: str) -> list[Raw]:
        """Of one of our Deployments."""
        return self.node.api.items(
            PODS, labelSelector=f"app.kubernetes.io/name={DEPLOYMENTS[container]}"
        )

    def wait_rolled_out(self, what: str, *, namespace: str = NAMESPACE) -> None:
        """`what`: kind/name. As `kubectl rollout status` sees it, however long it takes."""
        status = ("rollout", "status", "-n", namespace, what, "--watch=false")
        self.node.wait(
            lambda: "successfully rolled out" in self.node.kubectl(*status),
            f"{what} is rolled out",
        )

    def ready(self) -> bool:
        folder = f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments"
        return all(
            self._is_ready(self.node.api.get(f"{folder}/{name}")) for name in DEPLOYMENTS.values()
        )

    @staticmethod
    def _is_ready(found: Raw) -> bool:
        status = found["status"]
        return (
            status.get("observedGeneration") == found["metadata"]["generation"]
            and status.get("updatedReplicas") == 2
            and status.get("readyReplicas") == 2
            and status.get("replicas") == 2
        )

    def verb(
        self, *args: str, check: bool = True, local: bool = False
    ) -> subprocess.CompletedProcess[str]:
        """A verb of ours, with the administrator's kubeconfig unless it is `local`."""
        command = [sys.executable, "-m", "lws_placement.cli.main", *args]
        done = subprocess.run(
            command if local else [*command, f"--kubeconfig={self.node.kubeconfig}"],
            cwd=self.root,
            capture_output=True,
            text=True,
            check=False,
        )
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done

    def health_servers(self) -> list[tuple[str, int]]:
        """Address and port of each of our processes."""
        return [
            (pod["status"]["podIP"], port)
            for container, port in HEALTH_PORTS.items()
            for pod in self.pods(container)
        ]

    @contextmanager
    def without_api_server(self):
        """Its static pod is taken away meanwhile."""
        machine, aside = self.node.machine, "/etc/kubernetes/kube-apiserver.aside"
        machine.run("mv", _APISERVER, aside)
        try:
            self.node.wait(lambda: not self.node.api.ready(), "the API server is away")
            yield
        finally:
            machine.run("mv", aside, _APISERVER)
            self.node.wait(self.node.api.ready, "the API server is back")

    def kill_containers(self) -> None:
        """All of ours, without a word to anybody; kubelet starts them anew."""
        ctr = ("ctr", "-n", "k8s.io")
        found = self.node.machine.run(*ctr, "containers", "ls", "--quiet", _OURS).stdout.split()
        for container in found:
            self.node.machine.run(*ctr, "tasks", "kill", "--signal=SIGKILL", container, check=False)


def health(address: str, port: int, path: str = "/healthz") -> bool:
    try:
        with build_opener(ProxyHandler({})).open(f"http://{address}:{port}{path}", timeout=5):
            return True
    except (URLError, OSError):
        return False


def evict(node, pod: str) -> bool:
    """False if a disruption budget refuses it."""
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod}}
    try:
        node.api.create(f"{PODS}/{pod}/eviction", body)
    except LocalClusterError as e:
        if "disruption budget" in str(e):
            return False
        raise
    return True
