"""Replicas of ours are restarted one after another, as a rolling update does it, while users create
pods and kube-scheduler binds: nobody is refused. API server and scheduler are the real ones, whose
Go clients keep connections, over HTTP/1.1 to the webhook and over HTTP/2 to the extender.
"""

import itertools
import signal
import threading

import pytest
from e2e.resources import path_of
from e2e.servers import start
from e2e.service import Endpoints
from e2e.stack import Scene

from lws_placement.errors import LocalClusterError
from lws_placement.localcluster.cluster import LocalCluster
from lws_placement.localcluster.install import Installation

GATES = ("gate-a", "gate-b")
SERVE_ON = "--shutdown-delay-seconds=15"
ENOUGH = 15
"""Creations before the rules follow."""


class Replicas:
    """Both gates behind both Services."""

    def __init__(self, installed):
        self.installed = installed
        files = [self._ports_file(name) for name in GATES]
        self._services = [
            Endpoints(installed.webhook_port, "webhook", files, sticky=False),
            Endpoints(installed.extender_port, "extender", files, sticky=True),
        ]

    def close(self):
        for service in self._services:
            service.close()

    def start(self, name):
        start(self.installed, name, SERVE_ON)

    def restart(self, name, scene, users):
        """It is asked to stop, goes on getting requests for a while, then no new connections."""
        process = self.installed.servers[name]
        process.signal(signal.SIGTERM)
        scene.wait(lambda: not self.installed.is_ready(name), "it is not ready any more")
        enough = users.served() + ENOUGH
        scene.wait(lambda: users.served() >= enough, "requests come meanwhile")
        assert process.running
        for service in self._services:
            service.remove(self._ports_file(name))
        scene.wait(lambda: not process.running, "it has ended")
        with pytest.raises(LocalClusterError, match="ended with 0"):
            process.check()
        self.start(name)
        for service in self._services:
            service.add(self._ports_file(name))

    def _ports_file(self, name):
        return self.installed.cluster.folder / f"{name}.ports"


class Users:
    """Each creates, and deletes again, one thing after another until `end()`."""

    def __init__(self, scene):
        self._scene = scene
        self._ended = threading.Event()
        self._pods = itertools.count()
        self.created = []
        self.placed = []
        self.refused = []
        lives = [self._create_pods] * 2 + [self._create_sets] * 2
        self._threads = [threading.Thread(target=self._live, args=(life,)) for life in lives]
        for thread in self._threads:
            thread.start()

    def served(self):
        return len(self.created)

    def end(self):
        self._ended.set()
        for thread in self._threads:
            thread.join()

    def _live(self, life):
        for number in self._pods:
            if self._ended.is_set():
                return
            try:
                life(f"one-{number}")
            except (LocalClusterError, AssertionError) as e:
                self.refused.append(str(e))

    def _create_pods(self, name):
        """Admitted by the webhook, never complete as a group."""
        self._create("pods", a_group_pod(name))

    def _create_sets(self, name):
        """Bound by the extender."""
        self._create("lws", self._scene.lws(name, size=2), lambda: self._wait_bound(name))

    def _create(self, kind, obj, wait=lambda: None):
        self._scene.create(obj)
        self.created.append(obj)
        wait()
        path = path_of(kind, self._scene.namespace, obj["metadata"]["name"])
        self._scene.cluster.api.delete(path)

    def _wait_bound(self, name):
        self._scene.wait_bound(2, name)
        self.placed.append(name)


def a_group_pod(name):
    notes = {"lws-placement.dev/group-size": "9", "lws-placement.dev/gang": "true"}
    meta = {"name": name, "labels": {"lws-placement.dev/group": name}, "annotations": notes}
    container = {"name": "c", "image": "registry.example.com/x"}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": meta,
        "spec": {"containers": [container]},
    }


@pytest.fixture(scope="module")
def replicas(binaries, tmp_path_factory):
    with LocalCluster(tmp_path_factory.mktemp("restarts") / "r", binaries) as cluster:
        installed = Installation(cluster)
        installed.apply("standalone")
        made = Replicas(installed)
        try:
            for name in ("brain-a", "brain-b", *GATES):
                made.start(name)
            installed.start_scheduler()
            yield made
        finally:
            made.close()
            for name in GATES:
                installed.kill_server(name)  # the quick way
            installed.stop()


@pytest.fixture
def scene(replicas):
    cluster = replicas.installed.cluster
    cluster.kubectl("create", "namespace", "users")
    scene = Scene(cluster, replicas.installed, "users")
    scene.wait(lambda: scene.get("serviceaccounts"), "the namespace has its ServiceAccount")
    scene.pool(6, 2)
    return scene


def test_nobody_is_refused_while_replicas_are_restarted(replicas, scene):
    users = Users(scene)
    try:
        scene.wait(lambda: users.placed, "sets are placed")
        for name in GATES:
            placed = len(users.placed)
            replicas.restart(name, scene, users)
            scene.wait(lambda before=placed: len(users.placed) > before, "sets are placed")
    finally:
        users.end()
    assert users.refused == []
    assert scene.notes("FailedCreate") == []
    assert [words for words in scene.notes("FailedScheduling") if "https://" in words] == []
