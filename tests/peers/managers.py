"""The managers of other projects on a local control plane, installed as their users install them.

The objects of `config/default`, the ServiceAccount's token, and the projects' own certificates; a
manager runs outside of the cluster, so its Service is a name for loopback, and the Secret that a
kubelet would mount is written to a folder.
"""

import base64
import socket
import time
from datetime import UTC, datetime
from urllib.error import URLError
from urllib.request import ProxyHandler, build_opener

import yaml

from certs.authority import Names, make
from lws_placement.errors import LocalClusterError
from lws_placement.localcluster.cluster import free_ports
from lws_placement.localcluster.process import Process

_WAIT_S = 90.0
_APPLY = ("apply", "--server-side", "--force-conflicts", "-f", "-")
_FIRST = ("Namespace", "CustomResourceDefinition")
_ELSEWHERE = ("Deployment", "APIService")
"""Kinds that are left out: the one is this process, the other nobody serves here."""
_SERVICE = "-webhook-service"
_CONFIGURATION = "controller_manager_config.yaml"
_WEBHOOKS = ("mutatingwebhookconfigurations", "validatingwebhookconfigurations")
_CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
_ADMISSION = "/apis/admissionregistration.k8s.io/v1"


class Manager:
    """One of them; `settings` are laid over the Configuration that its project ships.

    `certificates`: whether it makes its own, or gets them (as from a certificate manager).
    """

    def __init__(self, cluster, program, *, certificates=False, **settings):
        self.name = program.name
        self._cluster = cluster
        self._program = program
        self._settings = settings
        self._objects = [o for o in yaml.safe_load_all(program.manifests.read_text()) if o]
        self._folder = cluster.folder / program.name
        self._certs = self._folder / "certs"
        self._certs.mkdir(parents=True)
        self._port, self._health = free_ports(2)
        self._process = None
        self._given = None if certificates else self._made()

    def run(self):
        """Installed, and at work when this returns."""
        self.install()
        self.start()

    def install(self):
        """Its objects; the webhooks among them refuse everything until it runs."""
        self.install_kinds()
        self._apply(self._here_all())

    def install_kinds(self):
        """So that the API server serves them."""
        self._apply([o for o in self._here_all() if o["kind"] in _FIRST])
        self._wait(self._established)

    def _here_all(self):
        return [self._here(o) for o in self._objects if o["kind"] not in _ELSEWHERE]

    def start(self):
        """Until its webhooks answer."""
        account = self._one("ServiceAccount")["metadata"]
        kubeconfig = self._cluster.service_account_kubeconfig(account["namespace"], account["name"])
        configuration = self._folder / _CONFIGURATION
        configuration.write_text(yaml.safe_dump(self._configuration()))
        command = [str(self._program.path), f"--config={configuration}", "--zap-log-level=2"]
        log = self._cluster.folder / "logs" / f"{self.name}.log"
        self._process = Process(command, log=log, env={"KUBECONFIG": str(kubeconfig)})
        self._process.name = self.name
        self._cluster.attach(self._process)
        self._wait(self._mounted)
        self._wait(self._answers)

    def stop(self):
        self._cluster.end(self._process)

    @property
    def running(self):
        return self._process is not None and self._process.running

    def _wait(self, condition):
        until = time.monotonic() + _WAIT_S
        while not condition():
            self._cluster.check()
            if time.monotonic() > until:
                tail = self._process.tail() if self._process else ""
                raise LocalClusterError(f"{self.name} is not ready after {_WAIT_S:.0f} s\n{tail}")
            time.sleep(0.05)

    def _apply(self, objects):
        self._cluster.kubectl(*_APPLY, stdin=yaml.safe_dump_all(objects, sort_keys=False))

    def _one(self, kind, ending=""):
        return next(
            o for o in self._objects if o["kind"] == kind and o["metadata"]["name"].endswith(ending)
        )

    def _made(self):
        """A CA, and what it vouches for."""
        meta = self._one("Service", _SERVICE)["metadata"]
        host = f"{meta['name']}.{meta['namespace']}.svc"
        made = make(Names((host,)), now=datetime.now(UTC))
        (self._certs / "tls.crt").write_bytes(made.tls_cert)
        (self._certs / "tls.key").write_bytes(made.tls_key)
        return made

    def _here(self, obj):
        """Its webhooks are asked by their Service, whose name stands for this machine."""
        if obj["kind"] == "Service" and obj["metadata"]["name"].endswith(_SERVICE):
            spec = {"type": "ExternalName", "externalName": "localhost"}
            return obj | {"spec": spec | {"ports": [{"port": self._port}]}}
        clients = [w["clientConfig"] for w in obj.get("webhooks") or ()]
        conversion = obj["spec"].get("conversion") if _is_crd(obj) else None
        clients += [conversion["webhook"]["clientConfig"]] if conversion else []
        for client in clients:
            client["service"]["port"] = self._port
            if self._given:
                client["caBundle"] = base64.b64encode(self._given.ca).decode()
        return obj

    def _configuration(self):
        given = yaml.safe_load(self._one("ConfigMap")["data"][_CONFIGURATION])
        return given | {
            "leaderElection": {"leaderElect": False},
            "webhook": {"host": "127.0.0.1", "port": self._port, "certDir": str(self._certs)},
            "health": {"healthProbeBindAddress": f"127.0.0.1:{self._health}"},
            "metrics": {"bindAddress": "0"},
            "internalCertManagement": {"enable": self._given is None},
            **self._settings,
        }

    def _established(self):
        wanted = {o["metadata"]["name"] for o in self._objects if _is_crd(o)}
        found = [o for o in self._cluster.api.items(_CRDS) if o["metadata"]["name"] in wanted]
        conditions = [o.get("status", {}).get("conditions") or () for o in found]
        return all(any(c["type"] == "Established" for c in cs) for cs in conditions)

    def _mounted(self):
        """Writes the certificates that it makes to where it looks for them, as a kubelet does."""
        if self._given:
            return True
        meta = self._one("Secret", "-webhook-server-cert")["metadata"]
        path = f"/api/v1/namespaces/{meta['namespace']}/secrets/{meta['name']}"
        data = self._cluster.api.get(path).get("data") or {}
        for name, value in data.items():
            (self._certs / name).write_bytes(base64.b64decode(value))
        return "tls.key" in data

    def _answers(self):
        return self._is_ready() and self._listens() and self._trusted()

    def _is_ready(self):
        url = f"http://127.0.0.1:{self._health}/readyz"
        try:
            with build_opener(ProxyHandler({})).open(url, timeout=2):
                return True
        except (URLError, OSError):
            return False

    def _listens(self):
        try:
            socket.create_connection(("127.0.0.1", self._port), timeout=2).close()
        except OSError:
            return False
        return True

    def _trusted(self):
        """Has the CA bundle been written into each of its webhooks?"""
        wanted = {o["metadata"]["name"] for o in self._objects if o.get("webhooks")}
        found = [o for kind in _WEBHOOKS for o in self._cluster.api.items(f"{_ADMISSION}/{kind}")]
        found = [o for o in found if o["metadata"]["name"] in wanted]
        webhooks = [w for o in found for w in o["webhooks"]]
        return bool(webhooks) and all(w["clientConfig"].get("caBundle") for w in webhooks)


def _is_crd(obj):
    return obj["kind"] == "CustomResourceDefinition"
