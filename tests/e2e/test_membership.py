"""Pods that carry LeaderWorkerSet's labels and are no members: bound by kube-scheduler as others
are, kept out of held domains, and said what they are.
"""

import subprocess
import sys

import pytest
from e2e.stack import CHIPS, LWS
from e2e.verbs import ask

OURS = "lws-placement.dev"


def labels_of(scene, **more):
    """As a leader carries them, in a template that was copied from it."""
    given = {"name": "llm", "worker-index": "0", "template-revision-hash": "r", **more}
    return {f"{LWS}/{key}": value for key, value in given.items()}


WHOLE = {"group-index": "0", "group-key": "85c75a5bcf357a993c958ca839ff3faf70ec6b0b"}


def a_template(scene, labels, **spec):
    container = {"name": "c", "image": "x", "resources": {"limits": CHIPS}}
    notes = {f"{LWS}/size": "4", f"{LWS}/exclusive-topology": scene.key}
    return {
        "metadata": {"labels": {"app": "web", **labels}, "annotations": notes},
        "spec": {"containers": [container], "terminationGracePeriodSeconds": 1, **spec},
    }


def a_deployment(template):
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web"},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": {"app": "web"}},
            "template": template,
        },
    }


def web_pods(scene):
    return scene.get("pods", labels="app=web")


def wait_bound(scene, number=1):
    def bound():
        return [p for p in web_pods(scene) if p["spec"].get("nodeName")]

    scene.wait(lambda: len(bound()) == number, f"{number} pods are bound")
    return bound()


def test_a_deployment_whose_template_was_copied_from_a_leader(scene):
    scene.pool(2)
    scene.create(a_deployment(a_template(scene, labels_of(scene, **WHOLE))))
    for pod in wait_bound(scene, 2):
        assert pod["metadata"]["annotations"][f"{OURS}/admitted"] == "foreign"
        assert f"{OURS}/member" not in pod["spec"]["containers"][0]["resources"]["requests"]
        assert pod["metadata"]["labels"][f"{LWS}/group-index"] == "0"
        said = ask(
            scene.cluster.kubeconfig,
            "explain",
            f"pod/{pod['metadata']['name']}",
            "-n",
            scene.namespace,
        )
        assert "is no member of a group, as it is controlled by ReplicaSet web-" in said
    assert scene.holds() == []


def test_a_template_without_a_group_index_is_refused_with_the_field(scene):
    """LeaderWorkerSet's own webhook would refuse it as well: it reads the index from the name."""
    scene.create(a_deployment(a_template(scene, labels_of(scene))))
    said = scene.wait(lambda: scene.notes("FailedCreate"), "the ReplicaSet says why")
    assert (
        "metadata.name, still to be made from generateName, does not end in an ordinal" in said[0]
    )


def test_a_bare_pod_that_is_still_to_be_named(scene):
    scene.pool(1)
    pod = {"apiVersion": "v1", "kind": "Pod", **a_template(scene, labels_of(scene, **WHOLE))}
    pod["metadata"]["generateName"] = "web-"
    scene.create(pod)
    (bound,) = wait_bound(scene)
    assert bound["metadata"]["name"].startswith("web-")


def test_copies_of_members_stay_out_of_held_domains(scene):
    """One domain is held for a group whose workers cannot come, one is free."""
    scene.pool(2)
    quota = {"hard": {"count/statefulsets.apps": "1"}}
    scene.create(
        {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "q"}, "spec": quota}
    )
    scene.create(scene.lws())
    scene.wait(lambda: len(scene.bound("llm")) == 1, "the leader is bound")
    (hold,) = scene.holds()
    template = a_template(scene, labels_of(scene, **{**WHOLE, "name": "other", "group-key": "k"}))
    scene.create(a_deployment(template))
    domains = {scene.domain_of(p["spec"]["nodeName"]) for p in wait_bound(scene, 2)}
    assert hold["domain"] not in domains


@pytest.mark.parametrize("accelerators", [True, False])
def test_a_released_pod_is_bound_where_nobody_holds_anything(scene, accelerators):
    """Of three domains one is held and has room, one is full, one has a node that is free."""
    nodes = scene.pool(3)
    scene.create(*(scene.filler(node) for node in (*nodes[4:8], *nodes[8:11])))
    scene.create(scene.lws("llm", size=2))
    scene.wait_bound(2, "llm")
    resources = None if accelerators else {"cpu": "1"}
    scene.create(scene.lws("big", size=9, **({"leader": resources} if resources else {})))
    scene.wait(lambda: scene.gated("big-0"), "the leader waits")
    command = [sys.executable, "-m", "lws_placement.cli.main", "release", "pod/big-0", "--yes"]
    command += [f"--namespace={scene.namespace}", f"--kubeconfig={scene.cluster.kubeconfig}"]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    scene.wait(lambda: scene.bound("big"), "the released leader is bound")
    (hold,) = [h for h in scene.holds() if h["holders"][0]["lws"] == "llm"]
    assert scene.domain_of(scene.node_of("big-0")) != hold["domain"]
