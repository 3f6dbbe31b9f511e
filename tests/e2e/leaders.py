"""Which replica leads, and making another one lead."""

from e2e.resources import path_of
from e2e.servers import start

from lws_placement.localcluster.install import NAMESPACE


def leader_of(scene):
    lease = scene.cluster.api.get(path_of("leases", NAMESPACE, "lws-placement-leader"))
    return lease["spec"].get("holderIdentity") or ""


def make_lead(scene, name):
    """Let `name` hold the leader Lease: the other one is stopped until it does."""
    other = "brain-b" if name == "brain-a" else "brain-a"
    if leader_of(scene) != name:
        scene.installation.stop_server(other)
        scene.wait(lambda: leader_of(scene) == name, f"{name} leads")
        start(scene.installation, other)
