"""Sets whose groups have keys in place of ordinals, beside the LeaderWorkerSet that makes them."""

import itertools
import json

import pytest
import yaml
from e2e.groups import environment
from e2e.keyed_upstream import KeyedSet, PodWebhook, address_of, key_of
from e2e.servers import launch
from e2e.stack import LWS, Scene
from e2e.verbs import ask

from lws_placement.localcluster.cluster import LocalCluster
from lws_placement.localcluster.install import MANIFESTS, Installation

_numbers = itertools.count(1)
OURS = "lws-placement.dev"


@pytest.fixture(scope="module")
def installed(binaries, tmp_path_factory):
    folder = tmp_path_factory.mktemp("keyed")
    with LocalCluster(folder / "c", binaries) as cluster:
        installation = Installation(cluster)
        webhook = None
        try:
            crd = json.dumps(newer_crd())
            cluster.kubectl("apply", "--server-side", "-f", "-", stdin=crd)
            installation.apply("beside-upstream")
            webhook = PodWebhook(cluster, folder)
            for name, ports in (("brain", False), ("gate", True)):
                launch(installation, name, ports=ports)
                installation.wait_ready(name)
            installation.start_scheduler()
            yield installation
        finally:
            installation.stop()
            if webhook is not None:
                webhook.close()


def newer_crd():
    """Upstream's with the fields that ours has not."""
    crd = yaml.safe_load((MANIFESTS / "crd" / "crd.yaml").read_text())
    (version,) = crd["spec"]["versions"]
    spec = version["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
    identity = {"type": "string", "enum": ["Ordinal", "Hash"], "default": "Ordinal"}
    spec["groupIdentity"] = identity
    kinds = {"type": "string", "enum": ["None", "ExclusiveTopology"]}
    policy = {"type": "object", "properties": {"type": kinds, "topology": {"type": "string"}}}
    template = spec["leaderWorkerTemplate"]["properties"]
    template["placementPolicy"] = policy
    template["subGroupPolicy"]["properties"]["placementPolicy"] = policy
    return crd


@pytest.fixture
def scene(installed):
    namespace = f"k{next(_numbers)}"
    installed.cluster.kubectl("create", "namespace", namespace)
    scene = Scene(installed.cluster, installed, namespace)
    scene.wait(lambda: scene.get("serviceaccounts"), "the namespace has its ServiceAccount")
    return scene


def test_groups_are_whole_and_their_leaders_are_found_by_name(scene):
    """Of four domains two have one node taken."""
    nodes = scene.pool(4)
    scene.create(scene.filler(nodes[0]), scene.filler(nodes[8]))
    made = KeyedSet(scene, scene.lws(replicas=2))
    made.wait_whole(2)
    assert sorted(made.domains().values()) == ["n01", "n03"]
    assert scene.broken_promises() == []
    assert {h["holders"][0]["leader"] for h in scene.holds()} == set(made.leaders())
    of_key = {key_of(leader): leader for leader in made.leaders().values()}
    for pod in scene.members("llm"):
        assert pod["metadata"]["annotations"][f"{OURS}/admitted"] in ("gated", "pinned")
        address = address_of(of_key[key_of(pod)])
        assert environment(pod)["LWS_LEADER_ADDRESS"] == address
        assert (
            environment(pod)["LWS_WORKER_INDEX"]
            == (pod["metadata"]["labels"][f"{LWS}/worker-index"])
        )


def test_a_group_that_restarts_has_the_domain_that_its_set_had(scene):
    scene.pool(3)
    made = KeyedSet(scene, scene.lws(replicas=1))
    made.wait_whole(1)
    ((old, domain),) = made.domains().items()
    key = key_of(made.leaders()[old])
    scene.kubectl("delete", "pod", old, "--cascade=foreground", "--wait=false")
    scene.wait(lambda: old not in made.leaders(), "the leader goes")
    made.wait_whole(1)
    ((new, again),) = made.domains().items()
    assert (new != old, key_of(made.leaders()[new]) != key) == (True, True)
    assert again == domain
    (hold,) = scene.wait(lambda: len(scene.holds()) == 1 and scene.holds(), "one hold is left")
    assert hold["holders"][0]["leader"] == new


def test_what_a_set_gives_up_ends_and_who_waits_has_it(scene):
    scene.pool(2)
    made = KeyedSet(scene, scene.lws(replicas=2))
    made.wait_whole(2)
    other = scene.lws("other")
    beside = KeyedSet(scene, other)
    scene.wait(lambda: scene.notes("WaitingForDomain"), "the other one waits")
    scene.meanwhile = lambda: (made.step(), beside.step())
    made.scale(1)
    scene.wait(lambda: len(scene.bound("other")) == 4, "the other one is whole")
    assert scene.broken_promises() == []


def test_answers_name_such_groups_by_their_leaders(scene):
    scene.pool(1)
    made = KeyedSet(scene, scene.lws(replicas=2))
    scene.wait(lambda: scene.notes("WaitingForDomain"), "one waits")
    scene.wait(lambda: len(scene.bound("llm")) == 4, "one is whole")
    config, leaders = scene.cluster.kubeconfig, made.leaders()
    explained = ask(config, "explain", "lws/llm", "-n", scene.namespace)
    status = ask(config, "status")
    for name, leader in leaders.items():
        assert name in explained
        assert name in status
        assert key_of(leader) not in explained + status
    (held,) = made.domains()
    assert f"held by {scene.namespace}/{held}" in explained
    told = scene.wait_told("Placed", f"group {held} has ")
    assert any(note.startswith(f"group {held} has ") for note in told)


def test_a_deployment_of_nobody_with_such_labels_is_left_alone(scene):
    scene.pool(1)
    made = KeyedSet(scene, scene.lws(replicas=0))
    scene.meanwhile = lambda: None  # nobody makes workers for it
    deployment = made.deployment()
    deployment["metadata"] = {"name": "web"}
    deployment["spec"]["replicas"] = 1
    scene.create(deployment)
    (pod,) = scene.wait(lambda: scene.bound("llm"), "it is bound")
    assert pod["metadata"]["annotations"][f"{OURS}/admitted"] == "foreign"
    assert scene.holds() == []


def test_a_typed_placement_is_heeded_as_the_annotation_is(scene):
    """Of four domains two have one node taken; no pod shows what its set asks for."""
    nodes = scene.pool(4)
    scene.create(scene.filler(nodes[0]), scene.filler(nodes[8]))
    lws = scene.lws(replicas=2, exclusive=False)
    policy = {"type": "ExclusiveTopology", "topology": scene.key}
    lws["spec"]["leaderWorkerTemplate"]["placementPolicy"] = policy
    made = KeyedSet(scene, lws)
    made.wait_whole(2)
    assert sorted(made.domains().values()) == ["n01", "n03"]
    assert len(scene.holds()) == 2
