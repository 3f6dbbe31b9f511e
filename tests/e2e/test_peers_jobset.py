"""Beside the real JobSet: its Jobs are groups by our label, and so are plain Jobs."""

import json

import pytest
import yaml
from e2e.clusters import installed_on
from e2e.other_groups import group_pods, leases_of, node_domains
from e2e.stack import CHIPS
from peers.managers import Manager

from lws_placement.localcluster.cluster import LocalCluster
from lws_placement.localcluster.install import MANIFESTS

pytestmark = pytest.mark.peers

EXAMPLES = MANIFESTS / "examples"
NODE_POOL = "cloud.google.com/gke-nodepool"
ROOM = {**CHIPS, "memory": "256Gi"}
SLICES = ("train-slice-0", "train-slice-1")


@pytest.fixture(scope="module")
def installation(binaries, peer, tmp_path_factory):
    """In place of the session's."""
    with LocalCluster(tmp_path_factory.mktemp("jobset") / "j", binaries) as cluster:
        Manager(cluster, peer("jobset")).run()
        with installed_on(cluster, "standalone") as installed:
            yield installed


@pytest.fixture
def pools(scene):
    """Node pools of 4, of which `broken` have a node taken. Names of all nodes."""

    def make(whole, broken):
        nodes = scene.pool(whole + broken, capacity=ROOM, key=NODE_POOL)
        taken = [n for n in nodes if n.endswith("-0")][:broken]
        scene.create(*[scene.filler(n) for n in taken])
        return nodes

    return make


def apply(scene, example, **spec):
    """The file as it is, but for members of `spec`."""
    text = (EXAMPLES / f"{example}.yaml").read_text()
    if spec:
        obj = yaml.safe_load(text)
        text = json.dumps(obj | {"spec": obj["spec"] | spec})
    scene.kubectl("apply", "--server-side", "-f", "-", stdin=text)


def domains_of(scene, groups):
    return [node_domains(scene, group_pods(scene, group)) for group in groups]


def wait_whole(scene, groups, *, none_of=frozenset()):
    """Each of 4 pods, none of which is one of these, in a domain of its own."""

    def whole():
        pods = [group_pods(scene, group) for group in groups]
        uids = {p["metadata"]["uid"] for ps in pods for p in ps}
        return all(len(ps) == 4 for ps in pods) and not uids & none_of and uids

    uids = scene.wait(whole, f"{', '.join(groups)} are bound")
    places = domains_of(scene, groups)
    assert all(len(place) == 1 for place in places)
    assert len(set.union(*places)) == len(groups)
    return uids


def end(scene, pod, phase):
    """As a kubelet reports that its container has ended."""
    body = json.dumps({"status": {"phase": phase}})
    name = pod["metadata"]["name"]
    scene.kubectl("patch", "pod", name, "--subresource=status", "--type=merge", f"-p={body}")


def end_all(scene):
    for pod in scene.get("pods", labels="jobset.sigs.k8s.io/jobset-name"):
        end(scene, pod, "Succeeded")


def jobset_is(scene, condition):
    found = json.loads(scene.kubectl("get", "jobset", "train", "-ojson")).get("status", {})
    return any(
        c["type"] == condition and c["status"] == "True" for c in found.get("conditions", [])
    )


def test_the_example_is_placed_whole_and_gives_its_slices_back_when_it_is_done(scene, pools):
    pools(whole=2, broken=2)
    apply(scene, "jobset")
    wait_whole(scene, SLICES)
    assert domains_of(scene, SLICES) in ([{"n02"}, {"n03"}], [{"n03"}, {"n02"}])
    scene.wait(lambda: jobset_pods(scene, "driver"), "the driver runs, too")
    end_all(scene)
    scene.wait(lambda: jobset_is(scene, "Completed"), "it is done")
    scene.wait(lambda: leases_of(scene) == [], "the slices are free")


def jobset_pods(scene, job):
    return scene.get("pods", labels=f"jobset.sigs.k8s.io/replicatedjob-name={job}")


def test_when_a_pod_fails_all_jobs_are_made_anew_and_placed_whole(scene, pools):
    """With one slice more than it needs: the old pods may still be on their way out."""
    pools(whole=3, broken=1)
    apply(scene, "jobset")
    before = wait_whole(scene, SLICES)
    end(scene, group_pods(scene, SLICES[0])[0], "Failed")
    wait_whole(scene, SLICES, none_of=before)
    scene.wait(lambda: len(leases_of(scene)) == 2, "no hold is left over")


def test_a_job_set_that_fails_for_good_leaves_nothing(scene, pools):
    pools(whole=2, broken=0)
    rules = [{"action": "FailJobSet", "targetReplicatedJobs": ["slice-0"], "name": "for_good"}]
    apply(scene, "jobset", failurePolicy={"maxRestarts": 3, "rules": rules})
    wait_whole(scene, SLICES)
    end(scene, group_pods(scene, SLICES[0])[0], "Failed")
    scene.wait(lambda: jobset_is(scene, "Failed"), "it has failed")
    scene.wait(lambda: leases_of(scene) == [], "the slices are free")


def test_a_suspended_job_set_holds_nothing_until_it_is_resumed(scene, pools):
    pools(whole=2, broken=0)
    apply(scene, "jobset")
    before = wait_whole(scene, SLICES)
    patch = '{"spec": {"suspend": %s}}'
    scene.kubectl("patch", "jobset", "train", "--type=merge", "-p", patch % "true")
    scene.wait(lambda: leases_of(scene) == [], "the slices are free")
    scene.kubectl("patch", "jobset", "train", "--type=merge", "-p", patch % "false")
    wait_whole(scene, SLICES, none_of=before)


def test_a_plain_job_takes_the_slice_that_is_left(scene, pools):
    pools(whole=3, broken=1)
    apply(scene, "jobset")
    wait_whole(scene, SLICES)
    apply(scene, "job")
    wait_whole(scene, (*SLICES, "evaluate"))


def test_the_example_of_a_job_is_placed_whole_or_waits(scene, pools):
    nodes = pools(whole=0, broken=1)
    apply(scene, "job")
    scene.wait(lambda: scene.events("WaitingForDomain"), "it waits")
    assert group_pods(scene, "evaluate") == []
    scene.kubectl("delete", "pod", f"filler-{nodes[0]}", "--wait=false")
    wait_whole(scene, ("evaluate",))
