"""kube-scheduler's files follow the Secret, under the rights that the DaemonSet has, and the real
kube-scheduler takes a renewed client certificate without being started anew.
"""

import base64
import itertools
import json
import ssl
import subprocess
import sys
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import yaml
from cryptography import x509
from e2e.stack import Scene
from support.simulated_nodes import a_simulated_node

from certs.authority import Names, make, renewed
from lws_placement.errors import LocalClusterError
from lws_placement.kube_scheduler.config import Place, as_files, fill, read_base, write_files
from lws_placement.localcluster.install import MANIFESTS, NAMESPACE
from lws_placement.localcluster.process import Process

ACCOUNT = "lws-placement-scheduler-files"
OURS = Names((f"lws-placement-extender.{NAMESPACE}.svc",))


# -- the folder follows ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def daemon_set(installation):
    """What is in the overlay, applied: the DaemonSet and its account's credentials."""
    cluster, folder = installation.cluster, str(MANIFESTS / "scheduler-files")
    cluster.kubectl("apply", "--server-side", "-k", folder)
    try:
        made = cluster.kubectl("get", "daemonset", ACCOUNT, "-n", ACCOUNT, "-ojson")
        yield json.loads(made), cluster.service_account_kubeconfig(ACCOUNT, ACCOUNT)
    finally:
        cluster.kubectl("delete", "-k", folder)


@pytest.fixture
def keeping(installation, tmp_path):
    """Starts the verb that goes on, into a folder of its own."""
    started = []

    def start(*flags, arguments=("scheduler-config", "--watch-every=0.1")):
        command = [sys.executable, "-m", "lws_placement.cli.main", *arguments]
        command += [f"--out={tmp_path / 'files'}", *flags]
        started.append(Process(command, log=tmp_path / f"verb-{len(started)}.log"))
        return started[-1], tmp_path / "files"

    yield start
    for process in started:
        process.stop()


def content(folder):
    """Without what is being written, which has a name with a dot for a moment."""
    return {p.name: p.read_bytes() for p in folder.glob("[!.]*")} if folder.is_dir() else {}


def secret_in(namespace, **data):
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "lws-placement-scheduler-client", "namespace": namespace},
        "data": {name: base64.b64encode(text).decode() for name, text in data.items()},
    }


SERVICE = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "lws-placement-extender"},
    "spec": {"ports": [{"port": 443}]},
}


def test_the_files_come_when_the_cluster_has_them_and_follow_every_change(scene, keeping):
    flags = (f"--kubeconfig={scene.cluster.kubeconfig}", f"--namespace={scene.namespace}")
    process, folder = keeping(*flags)
    said = f"there is no Secret {scene.namespace}/lws-placement-scheduler-client yet"
    scene.wait(lambda: said in process.tail(), "it says what is missing")
    first = {"ca.crt": b"ca", "client.crt": b"certificate", "client.key": b"key"}
    scene.create(secret_in(scene.namespace, **first))
    said = f"there is no Service {scene.namespace}/lws-placement-extender"
    scene.wait(lambda: said in process.tail(), "it says what is missing next")
    assert content(folder) == {}
    scene.create(SERVICE)
    scene.wait(lambda: "scheduler-config.yaml" in content(folder), "the files are there")
    assert content(folder).items() >= first.items()
    ip = scene.one("service", "lws-placement-extender")["spec"]["clusterIP"]
    assert f"https://{ip}:443/members" in (folder / "scheduler-config.yaml").read_text()
    assert "kube-scheduler reads ca.crt and scheduler-config.yaml when it starts" in process.tail()

    change = json.dumps(secret_in(scene.namespace, **{"client.crt": b"renewed"}))
    scene.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=change)
    scene.wait(lambda: content(folder)["client.crt"] == b"renewed", "it follows")
    said = f"wrote client.crt to {folder}: a running kube-scheduler takes them"
    scene.wait(lambda: said in process.tail(), "it says that nothing is to be done")

    (folder / "client.key").unlink()
    scene.wait(lambda: content(folder).get("client.key") == b"key", "it is put there again")
    assert {p.stat().st_mode & 0o777 for p in folder.glob("[!.]*")} == {0o600}
    assert process.tail().count("there is no Secret") == 1, "said once, not every time"
    process.stop()
    assert "Traceback" not in process.tail()


def test_the_daemon_set_runs_the_verb_with_the_rights_that_it_has(
    installation, daemon_set, scene, keeping
):
    made, kubeconfig = daemon_set
    (container,) = made["spec"]["template"]["spec"]["containers"]
    (mount,) = container["volumeMounts"]
    assert f"--out={mount['mountPath']}" in container["args"]
    arguments = [a for a in container["args"] if not a.startswith("--out=")]
    _, folder = keeping(f"--kubeconfig={kubeconfig}", arguments=arguments)
    scene.wait(lambda: "scheduler-config.yaml" in content(folder), "the files are there")
    secrets = f"/api/v1/namespaces/{NAMESPACE}/secrets"
    secret = installation.cluster.api.get(f"{secrets}/lws-placement-scheduler-client")
    kept = {name: base64.b64decode(text) for name, text in secret["data"].items()}
    assert content(folder).items() >= kept.items()
    probe = container["readinessProbe"]["exec"]["command"]
    here = [arg.replace(mount["mountPath"], str(folder)) for arg in probe]
    assert subprocess.run(here, check=False).returncode == 0


@pytest.mark.parametrize(
    "what",
    ["secret/lws-placement-certs", "secrets", "service/lws-placement-webhook", "pods", "leases"],
)
def test_the_daemon_set_may_read_nothing_else(installation, daemon_set, what):
    _, kubeconfig = daemon_set
    with pytest.raises(LocalClusterError, match=r"forbidden: User .*scheduler-files"):
        installation.cluster.kubectl("get", what, "-n", NAMESPACE, f"--kubeconfig={kubeconfig}")


def test_its_pods_are_admitted_in_its_namespace_and_in_no_restricted_one(scene, daemon_set):
    made, _ = daemon_set
    spec = made["spec"]["template"]["spec"]
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "one"}, "spec": spec}
    create = ("create", "--dry-run=server", "-f", "-")
    out = scene.cluster.kubectl("-n", ACCOUNT, *create, stdin=json.dumps(pod), check=False)
    assert "pod/one created (server dry run)" in out
    assert "Warning" not in out
    (container,) = spec["containers"]
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    pod["spec"] = spec | {"serviceAccountName": "lws-placement"}
    out = scene.cluster.kubectl("-n", NAMESPACE, *create, stdin=json.dumps(pod), check=False)
    assert 'violates PodSecurity "restricted' in out
    assert "hostPath" in out


# -- kube-scheduler takes them --------------------------------------------------------------------


class Extender:
    """Takes every node, and keeps the serial number of the certificate that each call came with."""

    def __init__(self, material, folder):
        self.serials = []
        extender = self

        class Handler(BaseHTTPRequestHandler):
            """HTTP/1.0: a connection for each call, as in a year there are many."""

            def do_POST(self):
                extender.serials.append(int(self.connection.getpeercert()["serialNumber"], 16))
                asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                verb = self.path.rsplit("/", 1)[1]
                answer = {"filter": {"NodeNames": asked.get("NodeNames")}, "prioritize": []}[verb]
                body = json.dumps(answer).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._server.server_port
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        write_files(folder, {"crt": material.tls_cert, "key": material.tls_key, "ca": material.ca})
        tls.load_cert_chain(folder / "crt", folder / "key")
        tls.load_verify_locations(folder / "ca")
        tls.verify_mode = ssl.CERT_REQUIRED
        self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def node(bare):
    made = a_simulated_node("n", labels={}, capacity={"google.com/tpu": "1000"}, ready=True)
    bare.api.create("/api/v1/nodes", made)
    yield made
    bare.api.delete("/api/v1/nodes/n")


def a_pod(name):
    container = {"name": "c", "image": "x", "resources": {"limits": {"google.com/tpu": "1"}}}
    spec = {"containers": [container]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}


def serial(certificate):
    return x509.load_pem_x509_certificate(certificate).serial_number


def test_a_running_kube_scheduler_takes_a_renewed_certificate_and_trusts_a_renewed_ca(
    bare, bootstrapped, node, tmp_path
):
    now = datetime.now(UTC)
    old = make(OURS, now=now - timedelta(days=3000))
    first = renewed(old, OURS, now=now)
    assert first.ca != old.ca, "the extender serves under a CA that the scheduler has never read"
    second = renewed(first, replace(OURS, ips=("127.0.0.1",)), now=now)
    extender = Extender(first, tmp_path / "server")
    folder = tmp_path / "files"
    try:
        place = Place(f"127.0.0.1:{extender.port}", NAMESPACE, files_at=str(folder))
        config = fill(read_base(), place) | {"leaderElection": {"leaderElect": False}}

        def write(material):
            client = {"client_cert": material.client_cert, "client_key": material.client_key}
            write_files(folder, as_files(config, ca=old.ca, **client))

        write(first)
        scheduler = bootstrapped(yaml.safe_load((folder / "scheduler-config.yaml").read_text()))
        serials = (serial(first.client_cert), serial(second.client_cert))
        scene = Scene(bare, None, "default")
        scene.wait(lambda: scene.get("serviceaccounts"), "pods can be made")
        schedule_until(scene, "old", lambda: serials[0] in extender.serials)
        assert serials[1] not in extender.serials
        write(second)
        schedule_until(scene, "new", lambda: serials[1] in extender.serials)
        assert scheduler.running
    finally:
        extender.close()


def schedule_until(scene, name, condition):
    """One pod after the other. (What was read of a certificate is used for a second.)"""
    numbers = itertools.count()

    def one_more():
        pod = f"{name}-{next(numbers)}"
        scene.create(a_pod(pod))
        scene.wait(lambda: scene.node_of(pod), f"{pod} is bound")
        return condition()

    scene.wait(one_more, f"the extender was called while the pods {name} were scheduled")
