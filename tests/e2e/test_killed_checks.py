"""kill -9 of the planner at its answers to Kueue."""

import json

import pytest
from e2e.kueue_queues import CHECK, a_queue, answered, beside_kueue, queued
from e2e.mortals import BOTH, whole
from support.write_kinds import Kind

pytestmark = pytest.mark.peers


@pytest.fixture(scope="module")
def installation(binaries, peer, tmp_path_factory):
    folder = tmp_path_factory.mktemp("kueue") / "k"
    with beside_kueue(binaries, peer, folder, "standalone") as installed:
        yield installed


@BOTH
def test_while_kueue_is_answered(scene, kill_at, when):
    kill_at(when, Kind.ACTIVATE_CHECK, Kind.ANSWER_CHECK)
    a_queue(scene, tpus=16, checked=True)
    nobody = json.dumps({"status": {"conditions": []}})
    patch = ("patch", "admissioncheck", CHECK, "--subresource=status", "--type=merge")
    scene.kubectl(*patch, "-p", nobody)
    scene.create(queued(scene, scene.lws()))
    scene.wait(lambda: answered(scene, "0")[1], "Kueue is told why not")
    scene.pool(1)
    whole(scene, 4)
    assert answered(scene, "0")[0] == "Ready"
