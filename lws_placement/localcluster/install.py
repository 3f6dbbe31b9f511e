"""Our manifests and `serve` processes on a local control plane, for the demo and the tests.

These are the files that users apply. Only addresses are replaced: a webhook's Service by a URL on
loopback, the extender's host, file names of certificates. `serve` has the token of the
ServiceAccount in the manifests and no other rights.
"""

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

import urllib3
import yaml
from urllib3.exceptions import HTTPError

from certs.store import CLIENT_SECRET, client_material
from lws_placement.engine.base.raw import Raw
from lws_placement.errors import LocalClusterError
from lws_placement.kube_scheduler.config import (
    CONFIGURATION,
    Place,
    as_files,
    fill,
    read_base,
    write_files,
)
from lws_placement.localcluster.cluster import LocalCluster, free_ports
from lws_placement.localcluster.process import Process, uninterrupted

NAMESPACE = "lws-placement-system"
GATE, BRAIN = "lws-placement", "lws-placement-brain"
"""The names of our accounts and Deployments."""
MANIFESTS = Path(__file__).parents[2] / "manifests"
_CONTROLLER = "lws-placement-controller"


class Installation:
    """lws-placement on one LocalCluster."""

    def __init__(self, cluster: LocalCluster, *, lease_s: float = 3.0) -> None:
        if not MANIFESTS.is_dir():
            raise LocalClusterError(f"{MANIFESTS} is missing: run this from a clone of the project")
        self.cluster = cluster
        self._lease_s = lease_s
        self.webhook_port, self.extender_port = free_ports(2)
        self.servers: dict[str, Process] = {}
        self.roles: dict[str, str] = {}
        """Of each container of the Deployment, by its name; as the applied overlay has them."""
        self._kubeconfigs: dict[str, Path] = {}

    def apply(self, overlay: str = "standalone") -> None:
        """Applies `manifests/<overlay>` with local addresses, after the CRD if the overlay has the
        built-in controller.
        """
        objects = self.objects(overlay)
        if any(o["metadata"]["name"] == _CONTROLLER for o in objects):
            self.apply_crd()
        namespaces = [o for o in objects if o["kind"] == "Namespace"]
        for some in (namespaces, objects):
            self.cluster.kubectl(*_APPLY, stdin=yaml.safe_dump_all(some, sort_keys=False))
        ours = [("Deployment", GATE), ("Deployment", BRAIN)]  # an overlay may bring more
        deployments = [o for o in objects if (o["kind"], o["metadata"]["name"]) in ours]
        containers = [c for d in deployments for c in d["spec"]["template"]["spec"]["containers"]]
        flags = ((c["name"], flag) for c in containers for flag in c["args"])
        self.roles = {n: f.removeprefix(_ROLES) for n, f in flags if f.startswith(_ROLES)}
        self._kubeconfigs = {
            name: self.cluster.service_account_kubeconfig(NAMESPACE, name) for name in (GATE, BRAIN)
        }

    def apply_crd(self) -> None:
        """Applies LeaderWorkerSet's CRD, and waits until the API server serves it."""
        self.cluster.kubectl(*_APPLY[:-1], _CRD)
        self.cluster.wait_for(self._established)

    def objects(self, overlay: str) -> list[Raw]:
        """The overlay's objects, the Deployment scaled to 0: `start_server` stands in for it."""
        text = self.cluster.kubectl("kustomize", str(MANIFESTS / overlay))
        objects = [o for o in yaml.safe_load_all(text) if o]
        for obj in objects:
            for webhook in obj.get("webhooks") or ():
                client = webhook["clientConfig"]
                path = client.pop("service")["path"]
                client["url"] = f"https://127.0.0.1:{self.webhook_port}{path}"
            if obj["kind"] == "Deployment":
                obj["spec"]["replicas"] = 0
        return objects

    def start_server(
        self,
        name: str,
        *,
        roles: str = "",
        ports: bool = False,
        flags: Sequence[str] = (),
        program: Sequence[str] = ("-m", "lws_placement.cli.main"),
    ) -> Process:
        """Starts a `serve` process. `ports`: the webhook URL and kube-scheduler point to it;
        `program`: what Python runs.
        """
        folder = self.cluster.folder
        ports_file = folder / f"{name}.ports"
        ports_file.unlink(missing_ok=True)
        command = [
            sys.executable,
            *program,
            "serve",
            f"--kubeconfig={self._kubeconfigs[self._account(roles)]}",
            f"--identity={name}",
            "--bind-address=127.0.0.1",
            f"--webhook-port={self.webhook_port if ports else 0}",
            f"--extender-port={self.extender_port if ports else 0}",
            "--health-port=0",
            f"--ports-file={ports_file}",
            f"--lease-seconds={self._lease_s}",
            "--shutdown-delay-seconds=0",
            *([f"--roles={roles}"] if roles else []),
            *flags,
        ]
        with uninterrupted():  # what is started is among those that `stop` knows
            process = Process(command, log=folder / "logs" / f"serve-{name}.log")
            process.name = f"serve {name}"
            self.servers[name] = process
        return process

    def _account(self, roles: str) -> str:
        """Whose rights a process of these roles has: the gate's, or the brain's. One that is both
        has the brain's, which gets the gate's for it.
        """
        if roles and set(roles.split(",")) <= {"gate", "webhook", "extender"}:
            return GATE
        if not roles or "gate" in roles:
            self.cluster.kubectl(*_APPLY, stdin=json.dumps(_GATE_TOO))
        return BRAIN

    def wait_ready(self, name: str) -> None:
        """Waits until it listens, its caches have synced, and the webhooks trust it."""
        self.wait_for(lambda: (self.cluster.folder / f"{name}.ports").exists(), name)
        self.wait_for(lambda: self.is_ready(name), name)
        self.wait_for(self._trusted, name)

    def stop_server(self, name: str) -> None:
        self.servers.pop(name).stop()

    def kill_server(self, name: str) -> None:
        self.servers.pop(name).kill()

    def stop(self) -> None:
        for name in list(self.servers):
            self.stop_server(name)

    def start_scheduler(self) -> None:
        """With the files that users get, once the client certificate exists."""
        secret = ("-n", NAMESPACE, f"secret/{CLIENT_SECRET}")
        self.cluster.kubectl("wait", "--for=create", "--timeout=60s", *secret)
        self.cluster.start_scheduler(self.scheduler_configuration())

    def scheduler_configuration(self) -> Raw:
        """What `lws-placement scheduler-config` writes, with its files in the cluster's folder."""
        folder = self.cluster.folder / "extender-client"
        address = f"127.0.0.1:{self.extender_port}"
        config = fill(read_base(), Place(address, NAMESPACE, files_at=str(folder)))
        secret = self.cluster.api.get(f"/api/v1/namespaces/{NAMESPACE}/secrets/{CLIENT_SECRET}")
        write_files(folder, as_files(config, **asdict(client_material(secret))))
        written: Raw = yaml.safe_load((folder / CONFIGURATION).read_text())
        return written | {"leaderElection": {"leaderElect": False}}

    def wait_for(self, condition: Callable[[], bool], name: str) -> None:
        self.cluster.wait_for(condition, self.servers[name])

    def _established(self) -> bool:
        """`kubectl wait` fails where there are no conditions yet."""
        found = self.cluster.api.items("/apis/apiextensions.k8s.io/v1/customresourcedefinitions")
        conditions = [c for crd in found for c in crd.get("status", {}).get("conditions") or ()]
        return any(c["type"] == "Established" for c in conditions)

    def is_ready(self, name: str) -> bool:
        """True if its /readyz succeeds. Its ports file has to exist."""
        port = json.loads((self.cluster.folder / f"{name}.ports").read_text())["health"]
        try:
            url = f"http://127.0.0.1:{port}/readyz"
            return urllib3.request("GET", url, timeout=2, retries=False).status == 200
        except HTTPError:
            return False

    def _trusted(self) -> bool:
        """True if all webhooks have a CA bundle."""
        kinds = ("mutatingwebhookconfigurations", "validatingwebhookconfigurations")
        found = [
            self.cluster.api.items(f"/apis/admissionregistration.k8s.io/v1/{k}") for k in kinds
        ]
        webhooks = [w for items in found for item in items for w in item.get("webhooks") or ()]
        return all(w["clientConfig"].get("caBundle") for w in webhooks)


_ROLES = "--roles="
_CRD = str(MANIFESTS / "crd")
_APPLY = ("apply", "--server-side", "--force-conflicts", "-f", "-")
_GATE_TOO = {
    "apiVersion": "rbac.authorization.k8s.io/v1",
    "kind": "ClusterRoleBinding",
    "metadata": {"name": "one-process-is-both"},
    "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": GATE},
    "subjects": [{"kind": "ServiceAccount", "name": BRAIN, "namespace": NAMESPACE}],
}
