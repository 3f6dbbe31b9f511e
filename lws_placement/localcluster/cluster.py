"""A real control plane as processes on loopback: etcd, kube-apiserver, kube-controller-manager,
kube-scheduler, KWOK.

Each cluster lives in a folder of its own with free ports, so several run at once. Started in order
of need, stopped in reverse and one after another: a kube-apiserver whose etcd is gone never ends on
SIGTERM. A folder is used once, since the data of an etcd that may still be stopping must not be
opened again.

Blocking code: start and stop it from a thread that lives as long as the cluster (see `process.py`).
"""

import json
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import yaml

from lws_placement.engine.base.raw import Raw
from lws_placement.errors import LocalClusterError
from lws_placement.localcluster.admin import AdminApi
from lws_placement.localcluster.binaries import Binaries
from lws_placement.localcluster.pki import Pki, make_pki
from lws_placement.localcluster.process import Process, uninterrupted

_START_S = 60.0
_COLLECT_RARELY = {"GOGC": "400"}
"""For the Go programs: on a small machine a fourth of an API server's work is garbage collection,
of heaps that are small.
"""
_STAGES = Path(__file__).parent / "stages.yaml"
_KWOK_POLICY = Path(__file__).parent / "kwok-policy.yaml"


class LocalCluster:
    """`start()` brings up everything but the scheduler, which needs a configuration:
    `start_scheduler()`.
    """

    def __init__(
        self,
        folder: Path,
        binaries: Binaries,
        *,
        admission_plugins: Sequence[str] = (),
        apiserver_flags: Sequence[str] = (),
    ) -> None:
        """`admission_plugins`: of the API server, in addition to its defaults; `apiserver_flags`:
        more flags of it.
        """
        self.folder = folder
        self._bin = binaries
        self._admission_plugins = ("OwnerReferencesPermissionEnforcement", *admission_plugins)
        self._more_apiserver_flags = apiserver_flags
        self._processes: list[Process] = []
        self.scheduler: Process | None = None
        self.kwok: Process | None = None
        self.server = ""
        self._api: AdminApi | None = None
        self.kubeconfig = folder / "admin.kubeconfig"
        self._kwok_kubeconfig = folder / "kwok.kubeconfig"

    def __enter__(self) -> "LocalCluster":
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    # -- life ------------------------------------------------------------------------------------

    def start(self, *, stages: bool = True) -> None:
        """Raises LocalClusterError, which names the program and shows the end of its log.

        `stages`: simulate nodes and pods with KWOK. Without it bound pods stay Pending and nodes
        stay as they were created, as large benches want.
        """
        if (self.folder / "etcd").exists():
            raise LocalClusterError(
                f"{self.folder} was used before; give each cluster a new folder"
            )
        (self.folder / "logs").mkdir(parents=True, exist_ok=True)
        pki = make_pki(self.folder / "pki")
        etcd_port, peer_port, api_port = free_ports(3)
        self.server = f"https://127.0.0.1:{api_port}"
        self._write_kubeconfig(pki)
        self._run("etcd", *self._etcd_flags(etcd_port, peer_port))
        self._api = AdminApi(self.server, ca=pki.ca, cert=pki.admin_cert, key=pki.admin_key)
        flags = self._apiserver_flags(pki, etcd_port, api_port)
        self.apiserver = self._run("kube-apiserver", *flags)
        self.wait_for(self.api.ready)
        self._run("kube-controller-manager", *self._manager_flags(pki, stages=stages))
        if stages:
            self.kubectl("create", "-f", str(_KWOK_POLICY))
            self.start_kwok()

    def start_kwok(self) -> None:
        (port,) = free_ports(1)
        self.kwok = self._run(
            "kwok",
            f"--kubeconfig={self._kwok_kubeconfig}",
            "--manage-all-nodes=true",
            "--node-lease-duration-seconds=40",
            f"--server-address=127.0.0.1:{port}",
            f"--config={_STAGES}",
        )

    def start_scheduler(self, configuration: Raw) -> None:
        """With this KubeSchedulerConfiguration, in which only the kubeconfig is replaced."""
        (self.scheduler_port,) = free_ports(1)
        self.scheduler = self.run_scheduler(
            configuration, name="kube-scheduler", port=self.scheduler_port
        )

    def run_scheduler(
        self, configuration: Raw, *, name: str, port: int, kubeconfig: Path | None = None
    ) -> Process:
        """Starts another kube-scheduler, with its own credentials if they are given."""
        path, credentials = self.folder / f"{name}-config.yaml", kubeconfig or self.kubeconfig
        connection = configuration.get("clientConnection") or {}
        patched = configuration | {
            "clientConnection": connection | {"kubeconfig": str(credentials)}
        }
        path.write_text(yaml.safe_dump(patched, sort_keys=False))
        return self._run(
            "kube-scheduler",
            f"--config={path}",
            f"--secure-port={port}",
            "--bind-address=127.0.0.1",
            f"--authentication-kubeconfig={credentials}",
            f"--authorization-kubeconfig={credentials}",
            f"--kubeconfig={credentials}",
            "--v=2",
            name=name,
        )

    def stop_scheduler(self) -> None:
        self.end(self.scheduler)
        self.scheduler = None

    def stop(self) -> None:
        """Stops everything, in reverse order, and waits for each."""
        if self._api is not None:
            self._api.close()
        while self._processes:
            self._processes.pop().stop()
        self.scheduler = None

    def attach(self, process: Process) -> None:
        """Checks, shows and stops a program of the caller with ours from now on."""
        self._processes.append(process)

    def end(self, process: Process | None) -> bool:
        """Stops one of its programs. False if there is none."""
        if process is not None:
            process.stop()
            self._processes.remove(process)
        return process is not None

    @property
    def processes(self) -> tuple[Process, ...]:
        """Its programs, in the order of their start."""
        return tuple(self._processes)

    def check(self) -> None:
        """Raises LocalClusterError if one of the programs has ended."""
        for process in self._processes:
            process.check()

    def logs(self, lines: int = 20) -> str:
        """The end of every program's log."""
        return "\n".join(f"--- {p.name}\n{p.tail(lines)}" for p in self._processes)

    def wait_for(self, condition: Callable[[], bool], process: Process | None = None) -> None:
        """Polls `condition` while all programs, and `process` (default: kube-apiserver), run.
        Raises LocalClusterError.
        """
        process = process or self.apiserver
        until = time.monotonic() + _START_S
        while not condition():
            self.check()
            process.check()
            if time.monotonic() > until:
                raise LocalClusterError(
                    f"{process.name} is not ready after {_START_S:.0f} s; last of "
                    f"{process.log}:\n{process.tail()}"
                )
            time.sleep(0.05)

    # -- use -------------------------------------------------------------------------------------

    @property
    def api(self) -> AdminApi:
        assert self._api is not None, "the cluster was not started"
        return self._api

    def kubectl(self, *args: str, stdin: str | None = None, check: bool = True) -> str:
        """The output of the real kubectl. Raises LocalClusterError with its error text."""
        done = subprocess.run(
            [*self.kubectl_command, *args],
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        if check and done.returncode != 0:
            raise LocalClusterError(f"kubectl {' '.join(args)}: {done.stderr.strip()}")
        return done.stdout if check else done.stdout + done.stderr

    @property
    def kubectl_command(self) -> list[str]:
        """kubectl with its discovery cache in the cluster's folder: in the user's home some
        megabytes would stay for each cluster.
        """
        flags = (f"--kubeconfig={self.kubeconfig}", f"--cache-dir={self.folder / 'kubectl'}")
        return [self._bin["kubectl"], *flags]

    def service_account_kubeconfig(self, namespace: str, name: str) -> Path:
        """A kubeconfig with nothing but the token of a ServiceAccount."""
        token = self.kubectl("create", "token", name, "-n", namespace, "--duration=24h").strip()
        path = self.folder / f"{namespace}-{name}.kubeconfig"
        return self._save_kubeconfig(path, {"token": token})

    # -- inside ----------------------------------------------------------------------------------

    def _run(self, program: str, *flags: str, name: str = "") -> Process:
        """`name` distinguishes several processes of one program."""
        log = self.folder / "logs" / f"{name or program}.log"
        with uninterrupted():  # what is started is among those that are stopped
            process = Process([self._bin[program], *flags], log=log, env=_COLLECT_RARELY)
            process.name = name or program
            self._processes.append(process)
        return process

    def _etcd_flags(self, port: int, peer_port: int) -> list[str]:
        client, peer = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{peer_port}"
        return [
            f"--data-dir={self.folder / 'etcd'}",
            f"--listen-client-urls={client}",
            f"--advertise-client-urls={client}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=default={peer}",
            "--unsafe-no-fsync",
            "--quota-backend-bytes=8589934592",
            "--log-level=warn",
        ]

    def _apiserver_flags(self, pki: Pki, etcd_port: int, port: int) -> list[str]:
        return [
            f"--etcd-servers=http://127.0.0.1:{etcd_port}",
            "--bind-address=127.0.0.1",
            f"--secure-port={port}",
            "--advertise-address=127.0.0.1",
            "--endpoint-reconciler-type=none",
            f"--tls-cert-file={pki.server_cert}",
            f"--tls-private-key-file={pki.server_key}",
            f"--client-ca-file={pki.ca}",
            f"--cert-dir={self.folder / 'pki'}",
            "--authorization-mode=Node,RBAC",
            f"--service-account-key-file={pki.service_account_key}",
            f"--service-account-signing-key-file={pki.service_account_key}",
            "--service-account-issuer=https://kubernetes.default.svc",
            "--service-cluster-ip-range=10.96.0.0/16",
            # Simulated nodes never lose the not-ready taint that this plugin gives new nodes.
            "--disable-admission-plugins=TaintNodesByCondition",
            # The extra check of what ownerReferences with blockOwnerDeletion need.
            f"--enable-admission-plugins={','.join(self._admission_plugins)}",
            "--max-requests-inflight=3000",
            "--max-mutating-requests-inflight=1000",
            "--allow-privileged=true",
            *self._more_apiserver_flags,
        ]

    def _manager_flags(self, pki: Pki, *, stages: bool) -> list[str]:
        (port,) = free_ports(1)
        return [
            f"--kubeconfig={self.kubeconfig}",
            f"--service-account-private-key-file={pki.service_account_key}",
            f"--root-ca-file={pki.ca}",
            "--use-service-account-credentials=true",
            "--leader-elect=false",
            "--bind-address=127.0.0.1",
            f"--secure-port={port}",
            # Without KWOK nobody renews the nodes' leases; and nobody but the caller changes nodes
            # (the TTL controller annotates each of them anew as their number grows).
            f"--controllers={'*' if stages else '*,-node-lifecycle-controller,-ttl-controller'}",
            "--concurrent-statefulset-syncs=20",
            # Autoscalers look every 15 s in clusters, and only after minutes at new pods.
            "--horizontal-pod-autoscaler-sync-period=2s",
            "--horizontal-pod-autoscaler-initial-readiness-delay=0s",
            "--horizontal-pod-autoscaler-cpu-initialization-period=0s",
            "--concurrent-gc-syncs=20",
            "--kube-api-qps=500",
            "--kube-api-burst=1000",
        ]

    def _write_kubeconfig(self, pki: Pki) -> None:
        user = {"client-certificate": str(pki.admin_cert), "client-key": str(pki.admin_key)}
        self._save_kubeconfig(self.kubeconfig, user)
        known_as = {"as": "kwok", "as-groups": ["system:masters"]}
        self._save_kubeconfig(self._kwok_kubeconfig, user | known_as)

    def _save_kubeconfig(self, path: Path, user: Raw) -> Path:
        ca = str(self.folder / "pki" / "ca.crt")
        cluster = {"server": self.server, "certificate-authority": ca}
        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "local",
            "clusters": [{"name": "local", "cluster": cluster}],
            "users": [{"name": "local", "user": user}],
            "contexts": [{"name": "local", "context": {"cluster": "local", "user": "local"}}],
        }
        path.write_text(json.dumps(content, indent=1))
        path.chmod(0o600)
        return path


def free_ports(number: int) -> list[int]:
    """Ports that are free now. All are open at once, so they differ."""
    sockets = [socket.socket() for _ in range(number)]
    try:
        for s in sockets:
            s.bind(("127.0.0.1", 0))
        return [s.getsockname()[1] for s in sockets]
    finally:
        for s in sockets:
            s.close()
