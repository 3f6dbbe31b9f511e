"""A leader whose main loop hangs keeps its Lease and answers for its health, but not for ever."""

import json
import os
import signal
from pathlib import Path

import pytest
import urllib3
from e2e.leaders import leader_of
from e2e.resources import path_of
from e2e.servers import start

from lws_placement.cluster.api.leader_election import LEADER_LEASE
from lws_placement.localcluster.install import NAMESPACE

_STALLABLE = str(Path(__file__).with_name("stallable.py"))
_NAME = "brain-s"
_BRAINS = ("brain-a", "brain-b")


class Stallable:
    """The only brain, until others are started."""

    def __init__(self, scene, folder):
        self._scene = scene
        self._fifo = folder / "fifo"
        os.mkfifo(self._fifo)

    def start(self, *flags):
        program = (_STALLABLE, str(self._fifo))
        start(self._scene.installation, _NAME, *flags, program=program)
        self._scene.wait(lambda: leader_of(self._scene) == _NAME, "it leads")

    def hang(self):
        self._scene.installation.servers[_NAME].signal(signal.SIGUSR1)
        hangs = self._fifo.with_suffix(".hangs")
        self._scene.wait(hangs.exists, "its main loop hangs")

    def go_on(self):
        self._fifo.write_text("")

    def health(self):
        ports = self._scene.cluster.folder / f"{_NAME}.ports"
        url = f"http://127.0.0.1:{json.loads(ports.read_text())['health']}/healthz"
        return urllib3.request("GET", url, retries=False).status

    def term(self):
        """Who leads, and since when."""
        spec = self._lease()
        return spec["holderIdentity"], spec["acquireTime"], spec["leaseTransitions"]

    def renewed(self):
        return self._lease()["renewTime"]

    def _lease(self):
        return self._scene.cluster.api.get(path_of("leases", NAMESPACE, LEADER_LEASE))["spec"]


@pytest.fixture
def stallable(scene, tmp_path):
    installation = scene.installation
    for name in _BRAINS:
        installation.stop_server(name)
    try:
        yield Stallable(scene, tmp_path)
    finally:
        installation.kill_server(_NAME)
        for name in _BRAINS:
            if name not in installation.servers:
                start(installation, name)


def test_for_a_while(scene, stallable):
    stallable.start()
    before = stallable.term()
    stallable.hang()
    for _ in range(3):
        renewed = stallable.renewed()
        scene.wait(lambda at=renewed: stallable.renewed() != at, "the Lease is renewed")
    assert stallable.health() == 200
    scene.pool(1)
    scene.create(scene.lws())
    stallable.go_on()
    scene.wait_bound(4)
    assert stallable.term() == before


def test_for_longer_than_it_may(scene, stallable):
    stallable.start("--stall-seconds=1")
    stallable.hang()
    scene.wait(lambda: stallable.health() == 503, "it does not count as alive")
    start(scene.installation, "brain-a")
    scene.wait(lambda: leader_of(scene) == "brain-a", "another one leads")
    stallable.go_on()
    scene.wait(lambda: stallable.health() == 200, "it is alive again")
    log = scene.installation.servers[_NAME].log
    scene.wait(lambda: "no longer leading" in log.read_text(), "it knows that it was deposed")
    assert leader_of(scene) == "brain-a"
