"""kill -9 of the planner at every kind of write that it makes for a ProvisioningRequest."""

import pytest
from e2e.mortals import BOTH, Mortals, whole
from e2e.node_groups import growing, placeholders
from e2e.provisioning import Provisioner, left, served
from support.write_kinds import Kind

from lws_placement.engine.base import keys

FLAGS = ("--scale-up=provisioning-request", "--scale-up-after-seconds=1")


@pytest.fixture(scope="module")
def mortals(installation, provisioning_crd, tmp_path_factory):
    with served(installation.cluster, provisioning_crd):
        made = Mortals(installation, tmp_path_factory.mktemp("kinds"), flags=FLAGS)
        try:
            made.become("brain-a", "brain-b")
            yield made
        finally:
            made.end()


def answers(scene):
    notes = [pod["metadata"].get("annotations", {}) for pod in placeholders(scene)]
    return [found[keys.SCALE_UP_ANSWER] for found in notes if keys.SCALE_UP_ANSWER in found]


@BOTH
def test_while_nodes_are_requested_for_a_group(scene, kill_at, when):
    kill_at(when, Kind.CREATE_TEMPLATE, Kind.CREATE_PROVISIONING, Kind.NOTE_ANSWER)
    with growing(scene, 0, by=Provisioner):
        scene.create(scene.lws())
        scene.wait(lambda: answers(scene), "the answer is noted")
    kill_at(when, Kind.DELETE_PROVISIONING, Kind.DELETE_TEMPLATE)
    with growing(scene, 1, by=Provisioner) as autoscaler:
        whole(scene, 4)
        scene.wait(lambda: not placeholders(scene), "no placeholder is left")
        scene.wait(lambda: not left(scene), "no request is left")
    assert len(autoscaler.made) == 4
