"""One control plane for the session, a namespace and node pool of its own for each test."""

import itertools

import pytest
from e2e.clusters import installed_on
from e2e.kubeadm import Kubeadm
from e2e.mortals import Mortals, nothing_to_do
from e2e.resources import path_of
from e2e.rollouts import History
from e2e.scheduler_answers import RecordingExtender
from e2e.stack import Scene
from peers.managers import Manager
from peers.programs import find_or_build as find_or_build_peer
from peers.programs import find_or_build_karpenter, find_provisioning_crd

from lws_placement.localcluster.binaries import find_or_build
from lws_placement.localcluster.cluster import LocalCluster

_numbers = itertools.count(1)


BUILT_IN, UPSTREAM = "built-in", "upstream"


def pytest_generate_tests(metafunc):
    """With `--peers`, a test that is marked so runs with either controller of LeaderWorkerSets."""
    wanted = metafunc.definition.get_closest_marker("upstream_too")
    if wanted and metafunc.config.getoption("--peers"):
        either = [BUILT_IN, pytest.param(UPSTREAM, marks=pytest.mark.peers)]
        metafunc.parametrize("controller", either, indirect=True, scope="session")


@pytest.fixture(scope="session")
def binaries(say):
    return find_or_build(say)


@pytest.fixture(scope="session")
def peer(binaries, say):
    """The program of another project, by its name."""
    return lambda name: find_or_build_peer(name, binaries["kubectl"], say)


@pytest.fixture(scope="session")
def karpenter_program(say):
    return find_or_build_karpenter(say)


@pytest.fixture(scope="session")
def provisioning_crd(say):
    return find_provisioning_crd(say)


@pytest.fixture(scope="session")
def controller(request):
    """Whose controller of LeaderWorkerSets a test runs with."""
    return getattr(request, "param", BUILT_IN)


@pytest.fixture(scope="session")
def installation(controller, request):
    return request.getfixturevalue("standalone" if controller == BUILT_IN else "beside_upstream")


@pytest.fixture(scope="session")
def standalone(binaries, tmp_path_factory):
    folder = tmp_path_factory.mktemp("cluster") / "a"
    with LocalCluster(folder, binaries) as cluster, installed_on(cluster, "standalone") as made:
        yield made


@pytest.fixture(scope="session")
def beside_upstream(binaries, peer, tmp_path_factory):
    with LocalCluster(tmp_path_factory.mktemp("upstream") / "u", binaries) as cluster:
        manager = Manager(cluster, peer("lws"))
        manager.run()
        with installed_on(cluster, "beside-upstream") as made:
            made.upstream = manager
            yield made


@pytest.fixture
def kubeadm(say, tmp_path):
    folder = tmp_path / "kubeadm"
    folder.mkdir()
    return Kubeadm(folder, say)


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
def extender(bootstrapped):
    """An extender that records which nodes kube-scheduler's own filters let a pod have."""
    with RecordingExtender() as recording:
        bootstrapped(recording.configuration())
        yield recording


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
            # A pod of a deleted Node goes when kube-controller-manager's garbage collector comes.
            made.wait(lambda: not made.bound(), "the test's pods are gone", 120)
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
