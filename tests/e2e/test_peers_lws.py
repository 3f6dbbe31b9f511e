"""Beside LeaderWorkerSet's own controller: its rolling updates with surge groups, and the sets of a
DisaggregatedSet, made by hand as its controller would (this version has none).
"""

import pytest
from e2e.rollouts import images, rollout, set_image, wait_done

from lws_placement.engine.base import keys

pytestmark = pytest.mark.peers

DISAGGREGATED = "disaggregatedset.x-k8s.io"
ROLES = {"prefill": 2, "decode": 3}
OLD, NEW = "3f0a9c1e", "b17d52f4"


@pytest.fixture(scope="module")
def installation(beside_upstream):
    return beside_upstream


def test_a_surge_group_takes_a_free_domain_and_gives_it_back(scene, history):
    """With one group unavailable, as older versions carry out no update without."""
    scene.pool(3)
    scene.create(scene.lws(replicas=2, **rollout(unavailable=1, surge=1)))
    wait_done(scene, 2)
    before, seen = scene.places(), history()
    set_image(scene, "model:2")
    scene.wait(lambda: max(seen.replicas) == 3, "there is a surge group")
    wait_done(scene, 2)
    assert images(scene) == {0: ["model:2"], 1: ["model:2"]}
    assert scene.places() == before
    scene.wait(lambda: len(scene.holds()) == 2, "the surge group's domain is free again")
    assert scene.broken_promises() == []


def role_of(scene, role, *, revision=OLD, **more):
    """The set of one role, of no groups at first; its labels are on the pods, too."""
    found = {"name": "ds", "slice": "0", "revision": revision, "role": role}
    labels = {f"{DISAGGREGATED}/{key}": value for key, value in found.items()}
    labels["app"] = f"ds-0-{role}"
    lws = scene.lws(f"ds-0-{revision}-{role}", replicas=0, size=ROLES[role], **more)
    lws["metadata"]["labels"] = labels
    lws["spec"]["leaderWorkerTemplate"]["workerTemplate"]["metadata"] = {"labels": labels}
    return lws


def scale(scene, revision, groups):
    for role in ROLES:
        scene.kubectl("scale", "lws", f"ds-0-{revision}-{role}", f"--replicas={groups}")


def test_the_sets_of_a_disaggregated_set_are_placed_as_any_and_rolled_in_step(scene):
    """One role's set after the other: new groups first, old ones when they are ready."""
    scene.pool(5, nodes_each=3)
    scene.create(*[role_of(scene, role) for role in ROLES])
    scale(scene, OLD, 2)
    scene.wait_bound(10)
    assert len(scene.places()) == len(scene.holds()) == 4
    assert scene.broken_promises() == []
    scene.create(*[role_of(scene, role, revision=NEW) for role in ROLES])
    for groups in (1, 2):
        scale(scene, NEW, groups)
        scale(scene, OLD, 2 - groups)
        for role in ROLES:
            wait_done(scene, groups, f"ds-0-{NEW}-{role}")
        scene.wait_bound(10)
        assert scene.broken_promises() == []
    for role in ROLES:
        scene.kubectl("delete", "lws", f"ds-0-{OLD}-{role}", "--wait=false")
    scene.wait(lambda: len(scene.holds()) == 4, "nothing of the old sets is held")
    assert {name for name, _ in scene.places()} == {f"ds-0-{NEW}-{role}" for role in ROLES}


def test_roles_that_its_own_placement_keeps_together_are_left_to_kube_scheduler(scene):
    """Its placement policy is affinity in the templates, and no annotation: no set is ours."""
    scene.pool(2, nodes_each=5)
    together = {f"{DISAGGREGATED}/name": "ds", f"{DISAGGREGATED}/slice": "0"}
    term = {"labelSelector": {"matchLabels": together}, "topologyKey": scene.key}
    affinity = {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}
    pod = {"affinity": affinity}
    scene.create(*[role_of(scene, role, exclusive=False, pod=pod) for role in ROLES])
    scale(scene, OLD, 1)
    scene.wait_bound(5)
    assert len(set.union(*scene.places().values())) == 1
    assert scene.holds() == []
    assert not any(keys.ADMITTED in p["metadata"]["annotations"] for p in scene.members())
