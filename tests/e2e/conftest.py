"""One control plane for the session, a namespace and node pool of its own for each test."""

import itertools

import pytest
from e2e.kubeadm import Kubeadm
from e2e.mortals import Mortals, nothing_to_do
from e2e.resources import path_of
from e2e.rollouts import History
from e2e.servers import start
from e2e.service import Service
from e2e.stack import Scene

from lws_placement.localcluster.binaries import find_or_build
from lws_placement.localcluster.cluster import LocalCluster
from lws_placement.localcluster.install import Installation

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def binaries(pytestconfig):
    capture = pytestconfig.pluginmanager.getplugin("capturemanager")

    def say(line):
        with capture.global_and_fixture_disabled():
            print(f"\n{line}", flush=True)

    return find_or_build(say)


@pytest.fixture(scope="session")
def installation(binaries, tmp_path_factory):
    """Everything as users install it: two replicas of two processes, Services before the gates."""
    with LocalCluster(tmp_path_factory.mktemp("cluster") / "a", binaries) as cluster:
        installed = Installation(cluster)
        services = []
        try:
            installed.apply("standalone")
            ports_files = [cluster.folder / f"{name}.ports" for name in ("gate-a", "gate-b")]
            services.append(Service(installed.webhook_port, "webhook", ports_files))
            services.append(Service(installed.extender_port, "extender", ports_files))
            for name in ("brain-a", "brain-b", "gate-a", "gate-b"):  # a brain writes the CA bundle
                start(installed, name)
            installed.start_scheduler()
            yield installed
        finally:
            for service in services:
                service.close()
            installed.stop()


@pytest.fixture
def kubeadm(tmp_path):
    folder = tmp_path / "kubeadm"
    folder.mkdir()
    return Kubeadm(folder)


@pytest.fixture(scope="module")
def bare(binaries, tmp_path_factory):
    """A control plane that kube-scheduler may be started on and stopped, with nothing of ours."""
    cluster = LocalCluster(tmp_path_factory.mktemp("bare") / "b", binaries)
    try:
        cluster.start(stages=False)
        yield cluster
    finally:
        cluster.stop()


@pytest.fixture
def bootstrapped(bare):
    """Starts kube-scheduler with a configuration, and stops it after the test."""

    def start(config):
        bare.start_scheduler(config)
        return bare.scheduler

    yield start
    bare.stop_scheduler()


@pytest.fixture
def scene(installation, request):
    yield from a_scene(installation, request)


@pytest.fixture
def other_scene(installation, request):
    """A second namespace beside `scene`."""
    yield from a_scene(installation, request)


@pytest.fixture(scope="module")
def module_scene(installation, request):
    """One namespace for a module whose tests leave nothing in each other's way."""
    yield from a_scene(installation, request)


def a_scene(installation, request):
    namespace = f"t{next(_numbers)}"
    cluster = installation.cluster
    cluster.api.create("/api/v1/namespaces", {"metadata": {"name": namespace}})
    made = Scene(cluster, installation, namespace)
    made.wait(lambda: made.get("serviceaccounts"), "the namespace has its ServiceAccount")
    try:
        yield made
    finally:
        failed = getattr(request.node, "outcome_call", None)
        if failed is not None and failed.failed:
            print(cluster.logs())
            for server in installation.servers.values():
                print(f"--- {server.name}\n{server.tail(60)}")
            print(made.kubectl("get", "events", "--sort-by=.lastTimestamp", check=False)[-6000:])
        for kind in ("lws", "pods"):
            cluster.api.delete(path_of(kind, namespace))
        cluster.api.delete(f"/api/v1/namespaces/{namespace}")
        if made.nodes:
            made.wait(lambda: not made.bound(), "the test's pods are gone")
            cluster.api.delete(path_of("nodes", ""), labelSelector=f"pool={namespace}")


@pytest.fixture
def history(scene):
    made = []

    def start(lws="llm"):
        made.append(History(scene, lws))
        return made[-1]

    yield start
    for one in made:
        one.close()


@pytest.fixture
def pinned(scene):
    """The leader is pinned and not bound, as kube-scheduler is stopped; `start_scheduler()` next.

    Two domains of 4 nodes for a group of 3.
    """
    scene.pool(2)
    scene.cluster.stop_scheduler()
    try:
        scene.create(scene.lws(size=3))
        scene.wait(lambda: scene.pin("llm-0"), "the leader is pinned")
        yield scene
    finally:
        if scene.cluster.scheduler is None:
            scene.installation.start_scheduler()


@pytest.fixture(scope="module")
def mortals(installation, tmp_path_factory):
    made = Mortals(installation, tmp_path_factory.mktemp("kinds"))
    try:
        made.become("brain-a", "brain-b")
        yield made
    finally:
        made.end()


@pytest.fixture
def kill_at(scene, mortals):
    """From its call on the first to make a write of one of these kinds dies there."""
    scene.meanwhile = mortals.raise_the_dead
    scene.wait(lambda: nothing_to_do(scene), "nothing is left of other tests")

    def arm(when, *kinds):
        assert mortals.left() == [], "there was a write of each kind"
        scene.wait(mortals.are_ready, "each has one that stands by")
        mortals.die_at(kinds, when)

    try:
        yield arm
        assert mortals.left() == [], "there was a write of each kind"
    finally:
        mortals.spare()
        mortals.raise_the_dead()
