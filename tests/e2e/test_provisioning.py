"""Whole domains made by ProvisioningRequests, on the real control plane, with their real
CustomResourceDefinition.
"""

import pytest
from click.testing import CliRunner
from e2e.node_groups import growing, placeholders
from e2e.provisioning import NO_GROUP, REQUESTS, Provisioner, left, served
from e2e.servers import brains_with

from lws_placement.cli.main import cli
from lws_placement.engine.base import keys

FLAGS = ("--scale-up=auto", "--scale-up-after-seconds=0.5")
FULL = "no quota for so many nodes"


@pytest.fixture(scope="module")
def provisioning(installation, provisioning_crd):
    with served(installation.cluster, provisioning_crd):
        brains_with(installation, *FLAGS)
        yield installation
        brains_with(installation)


class Refusing(Provisioner):
    refuses = FULL


def requests(scene):
    return scene.cluster.api.items(REQUESTS)


def said(scene, *verb):
    args = [*verb, f"--kubeconfig={scene.cluster.kubeconfig}"]
    return CliRunner().invoke(cli, args).stdout


def test_from_no_node_at_all_each_group_gets_a_slice_of_its_own(provisioning, scene):
    with growing(scene, 4, by=Provisioner) as autoscaler:
        scene.create(*(scene.lws(name, replicas=2) for name in ("a", "b")))
        scene.wait_bound(16, timeout_s=300)
    assert scene.broken_promises() == []
    assert len(autoscaler.made) == 16
    scene.wait(lambda: not placeholders(scene), "no placeholder is left")
    scene.wait(lambda: not left(scene), "no request is left")
    scene.wait_told("ScaleUp", "by ProvisioningRequest scale-up-")
    how = "by ProvisioningRequests of class best-effort-atomic-scale-up.autoscaling.x-k8s.io"
    scene.wait(lambda: how in said(scene, "status"), "status says how")


def test_alike_pods_are_one_pod_set_and_its_pods_consume_the_request(provisioning, scene):
    scene.create(scene.lws())
    scene.wait(lambda: len(placeholders(scene)) == 4, "placeholders are there")
    (request,) = scene.wait(lambda: requests(scene), "nodes are requested")
    assert [one["count"] for one in request["spec"]["podSets"]] == [4]
    notes = [pod["metadata"]["annotations"] for pod in placeholders(scene)]
    assert {n[keys.CONSUMES_REQUEST] for n in notes} == {request["metadata"]["name"]}
    assert {n[keys.PROVISIONING_CLASS] for n in notes} == {request["spec"]["provisioningClassName"]}
    scene.kubectl("delete", "lws", "llm")
    scene.wait(lambda: not placeholders(scene) and not left(scene), "nothing is left")


def test_what_the_autoscaler_answers_is_explained(provisioning, scene):
    with growing(scene, 0, by=Provisioner):
        scene.create(scene.lws())
        explain = ("explain", "lws/llm", "-n", scene.namespace)
        words = f"the cluster autoscaler: {NO_GROUP}"
        scene.wait(lambda: words in said(scene, *explain), "explain has its words")
    assert scene.bound() == []


def test_a_request_that_fails_is_told_with_words_and_taken_away(provisioning, scene):
    with growing(scene, 1, by=Refusing) as autoscaler:
        scene.create(scene.lws())
        scene.wait(lambda: scene.notes("ScaleUpFailed"), "the request is given up")
        scene.wait(lambda: not placeholders(scene) and not left(scene), "nothing is left")
    assert f"0 of 4 nodes came: the ProvisioningRequest failed: {FULL}" in "".join(
        scene.notes("ScaleUpFailed")
    )
    assert autoscaler.made == []
    assert scene.holds() == []
