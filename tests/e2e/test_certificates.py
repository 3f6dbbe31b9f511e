"""The CA is renewed and replaced under a running kube-scheduler, which is the real one."""

import base64
import itertools
import socket
import ssl
from datetime import UTC, datetime, timedelta

from e2e.departure import verb
from e2e.servers import start
from e2e.stack import Scene

from certs.authority import Names, make, renewed
from certs.store import CA_SECRET, CLIENT_SECRET, SECRET, client_material
from lws_placement.kube_scheduler.config import write_files
from lws_placement.localcluster.cluster import LocalCluster
from lws_placement.localcluster.install import NAMESPACE, Installation

SERVICES = ("lws-placement-webhook", "lws-placement-extender")
NAMES = Names(tuple(f"{name}.{NAMESPACE}.svc" for name in SERVICES), ("127.0.0.1",))
SECRETS = f"/api/v1/namespaces/{NAMESPACE}/secrets"


def aged(now):
    """As 2 500 days after the installation: the CA is due, the certificates are not."""
    first = make(NAMES, now=now - timedelta(days=2500))
    last_year = renewed(first, NAMES, now=now - timedelta(days=100))
    assert last_year.ca == first.ca
    return last_year


def as_secret(name, **texts):
    data = {key: base64.b64encode(text).decode() for key, text in texts.items()}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "data": data}


def secrets_of(material):
    """As an earlier version made them: one Secret had all."""
    client = {
        "ca.crt": material.ca,
        "client.crt": material.client_cert,
        "client.key": material.client_key,
    }
    rest = {
        "ca.key": material.ca_key,
        "tls.crt": material.tls_cert,
        "tls.key": material.tls_key,
    }
    return as_secret(SECRET, **client, **rest), as_secret(CLIENT_SECRET, **client)


def take(cluster, secret, key):
    patch = ("--type=json", f'--patch=[{{"op": "remove", "path": "/data/{key}"}}]')
    cluster.kubectl("patch", "-n", NAMESPACE, f"secret/{secret}", *patch)


def keys_of(cluster, secret):
    return sorted(cluster.api.get(f"{SECRETS}/{secret}")["data"])


def text_of(cluster, key):
    return base64.b64decode(cluster.api.get(f"{SECRETS}/{SECRET}")["data"][key])


def is_loaded(cluster, installed):
    """The server has what the Secret says, its CA with it: a server loads a Secret as a whole.

    How often it has loaded says nothing: it may start after the first write, or read between two.
    """
    served = ssl.get_server_certificate(("127.0.0.1", installed.extender_port))
    said = text_of(cluster, "tls.crt").decode()
    return ssl.PEM_cert_to_DER_cert(served) == ssl.PEM_cert_to_DER_cert(said)


def is_served(port, material, folder):
    """With a client certificate, over TLS 1.3: a refusal comes with the first read."""
    files = {"crt": material.client_cert, "key": material.client_key}
    write_files(folder, files)
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.load_cert_chain(folder / "crt", folder / "key")
    raw = socket.create_connection(("127.0.0.1", port))
    with context.wrap_socket(raw) as connection:
        try:
            connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            return connection.recv(8) == b"HTTP/1.1"
        except (ssl.SSLError, ConnectionError):
            return False


def test_a_ca_is_renewed_and_then_replaced_under_a_running_kube_scheduler(binaries, tmp_path):
    material = aged(datetime.now(UTC))
    with LocalCluster(tmp_path / "c", binaries) as cluster:
        installed = Installation(cluster)
        try:
            installed.apply("standalone")
            for secret in secrets_of(material):
                cluster.api.create(SECRETS, secret)
            renew_and_replace(cluster, installed, material, tmp_path / "client")
        finally:
            installed.stop()


def renew_and_replace(cluster, installed, old, folder):
    installed.start_server("gate-a", roles=installed.roles["gate"], ports=True)
    installed.start_scheduler()
    scheduler = cluster.scheduler
    start(installed, "brain-a")
    installed.wait_ready("gate-a")
    cluster.api.create("/api/v1/namespaces", {"metadata": {"name": "users"}})
    scene = Scene(cluster, installed, "users")
    scene.wait(lambda: scene.get("serviceaccounts"), "pods can be made")
    scene.pool(4)
    numbers = itertools.count()

    def place():
        name = f"llm-{next(numbers)}"
        scene.create(scene.lws(name))
        scene.wait_bound(4, name)

    # Renewed: kube-scheduler has the earlier CA and the earlier certificate.
    ca = text_of(cluster, "ca.crt")
    assert ca.endswith(old.ca)
    assert ca != old.ca
    scene.wait(lambda: is_loaded(cluster, installed), "the gate has loaded them")
    assert keys_of(cluster, CA_SECRET) == ["ca.crt", "ca.key"]
    assert keys_of(cluster, SECRET) == ["ca.crt", "tls.crt", "tls.key"]
    place()
    assert scheduler.running
    assert is_served(installed.extender_port, old, folder)
    code, said = verb(cluster, "status")
    assert code == 0
    years = {datetime.now(UTC).year + n for n in (9, 10)}
    assert any(f"certificates: CA until {year}-" in said for year in years), said

    # Half-written: what the CA signs is made anew.
    take(cluster, SECRET, "tls.key")
    scene.wait(lambda: "tls.key" in keys_of(cluster, SECRET), "it is there again")
    scene.wait(lambda: is_loaded(cluster, installed), "the gate has loaded it")
    assert is_served(installed.extender_port, old, folder)

    # The CA's own: nothing changes, and the Secret has an Event.
    take(cluster, CA_SECRET, "ca.key")
    ours = Scene(cluster, installed, NAMESPACE)
    ours.wait(
        lambda: any("data.ca.key is missing" in n for n in ours.notes("CertificatesUnusable")),
        "the Secret has an Event",
    )
    place()

    # Replaced: the earlier client is let go, and what is made anew serves.
    cluster.api.delete(f"{SECRETS}/{CA_SECRET}")
    scene.wait(lambda: text_of(cluster, "ca.crt") != ca, "another CA is made")
    scene.wait(lambda: is_loaded(cluster, installed), "the gate has loaded the new ones")
    assert not is_served(installed.extender_port, old, folder)
    new = client_material(cluster.api.get(f"{SECRETS}/{CLIENT_SECRET}"))
    assert is_served(installed.extender_port, new, folder)
    cluster.stop_scheduler()
    installed.start_scheduler()
    place()
