"""Groups of every shape on the real control plane: subgroups, scopes, regions, gangs, other kinds
of pods, and groups that are left alone.
"""

import json
import subprocess
import sys

import pytest
from e2e.group_facts import by_subgroup
from e2e.other_groups import OURS, a_group_job, group_pods, leases_of, node_domains
from e2e.stack import CHIPS, LWS


def with_subgroups(lws, size, kind="LeaderWorker"):
    policy = {"subGroupSize": size, "subGroupPolicyType": kind}
    lws["spec"]["leaderWorkerTemplate"]["subGroupPolicy"] = policy
    return lws


@pytest.mark.upstream_too
def test_each_subgroup_has_a_domain_of_its_own_all_or_none(scene):
    scene.pool(2, nodes_each=2)
    notes = {f"{LWS}/subgroup-exclusive-topology": scene.key}
    lws = scene.lws(size=6, exclusive=False, annotations=notes)
    scene.create(with_subgroups(lws, 2))
    (event,) = scene.wait(
        lambda: [
            e for e in scene.events("WaitingForDomain") if e["involvedObject"]["kind"] == "Pod"
        ],
        "it is said why it waits",
    )
    assert f"3 domains of {scene.key}, one for each subgroup" in event["message"]
    assert scene.bound() == [], "two subgroups fit, the third does not, so none is placed"
    scene.pool(1, nodes_each=2, prefix="late")
    scene.wait_bound(6)
    places = by_subgroup(scene)
    assert sorted(places) == ["0", "1", "2"]
    assert all(len(domains) == 1 for domains in places.values())
    assert len(set.union(*places.values())) == 3
    holds = leases_of(scene)
    assert len(holds) == 3
    assert len({h["holders"][0]["plan"] for h in holds}) == 1
    scene.kubectl("delete", "lws", "llm")
    scene.wait(lambda: leases_of(scene) == [], "no Lease is left over")


@pytest.mark.upstream_too
def test_a_leader_outside_of_the_subgroups_runs_on_a_machine_of_another_type(scene):
    scene.pool(2, nodes_each=2)
    (cpu_node,) = scene.pool(1, nodes_each=1, capacity={"cpu": "64"}, prefix="cpu")
    notes = {f"{LWS}/subgroup-exclusive-topology": scene.key}
    lws = scene.lws(size=5, exclusive=False, annotations=notes, leader={"cpu": "60"})
    scene.create(with_subgroups(lws, 2, "LeaderExcluded"))
    scene.wait_bound(5)
    leader = scene.one("pod", "llm-0")
    assert leader["spec"]["nodeName"] == cpu_node
    places = by_subgroup(scene)
    assert {i: len(places[i]) for i in places if i} == {"0": 1, "1": 1}
    assert places["0"] != places["1"]


@pytest.mark.upstream_too
def test_subgroups_lie_inside_the_groups_own_domain(scene):
    """The rack (exclusive) is the test's key; blocks of two nodes are the subgroups' domains."""
    nodes = scene.pool(2, nodes_each=4)
    block = f"{scene.key}-block"
    for i, node in enumerate(nodes):
        scene.cluster.kubectl("label", "node", node, f"{block}=b{i // 2}")
    # The first rack has room for four, but only one whole block.
    scene.create(scene.filler(nodes[1], CHIPS))
    notes = {f"{LWS}/subgroup-exclusive-topology": block}
    scene.create(with_subgroups(scene.lws(size=4, annotations=notes), 2))
    scene.wait_bound(4)
    assert scene.places() == {("llm", "0"): {"n01"}}
    blocks = {p["metadata"]["labels"][f"{LWS}/subgroup-index"]: set() for p in scene.bound()}
    for pod in scene.bound():
        node = scene.one("node", pod["spec"]["nodeName"])
        index = pod["metadata"]["labels"][f"{LWS}/subgroup-index"]
        blocks[index].add(node["metadata"]["labels"][block])
    assert sorted(map(sorted, blocks.values())) == [["b2"], ["b3"]]


@pytest.mark.upstream_too
def test_groups_of_other_sets_share_a_domain_where_the_scope_allows(scene):
    scene.pool(1, nodes_each=4)
    notes = {f"{OURS}/scope": "LeaderWorkerSet"}
    scene.create(scene.lws("one", size=2, annotations=notes))
    scene.create(scene.lws("two", size=2, annotations=notes))
    scene.wait_bound(4)
    assert scene.places() == {("one", "0"): {"n00"}, ("two", "0"): {"n00"}}
    (lease,) = leases_of(scene)
    assert [h["scope"] for h in lease["holders"]] == ["LeaderWorkerSet"] * 2
    scene.kubectl("delete", "lws", "one")
    scene.wait(lambda: len(leases_of(scene)[0]["holders"]) == 1, "the other holder stays")
    scene.create(scene.lws("alone", size=2))
    scene.wait(lambda: scene.events("WaitingForDomain"), "it does not share")
    assert scene.bound("alone") == []


@pytest.mark.upstream_too
def test_a_gang_is_all_or_nothing_anywhere(scene):
    nodes = scene.pool(2, nodes_each=2)
    scene.create(scene.filler(nodes[0], CHIPS))
    scene.create(scene.lws(size=4, exclusive=False, annotations={f"{OURS}/gang": "true"}))
    (event, *_) = scene.wait(lambda: scene.events("WaitingForDomain"), "it waits")
    assert "waits for room for 4 pods" in event["message"]
    assert scene.bound() == []
    scene.kubectl("delete", "pod", f"filler-{nodes[0]}")
    scene.wait_bound(4)
    (lease,) = leases_of(scene)
    assert lease["topologyKey"] == ""


@pytest.mark.upstream_too
def test_a_gang_stays_within_one_region(scene):
    nodes = scene.pool(2, nodes_each=2)
    scene.create(scene.filler(nodes[0], CHIPS))
    notes = {f"{OURS}/gang": "true", f"{OURS}/within-topology": scene.key}
    scene.create(scene.lws(size=2, exclusive=False, annotations=notes))
    scene.wait_bound(2)
    assert node_domains(scene, scene.bound()) == {"n01"}


def test_the_pods_of_a_job_are_placed_when_all_are_there(scene):
    nodes = scene.pool(2, nodes_each=2)
    scene.create(scene.filler(nodes[0], CHIPS))
    job = a_group_job(scene, "train", 2, group_size="2", topology=scene.key)
    scene.create(job)
    scene.wait(lambda: len(group_pods(scene, "train")) == 2, "both are bound")
    assert node_domains(scene, group_pods(scene, "train")) == {"n01"}
    slots = {p["metadata"]["annotations"][f"{OURS}/slot"] for p in group_pods(scene, "train")}
    assert slots == {"0", "1"}
    before = group_pods(scene, "train")
    scene.kubectl("delete", "pod", before[0]["metadata"]["name"])

    def replaced():
        pods = group_pods(scene, "train")
        names = {p["metadata"]["name"] for p in pods}
        return len(pods) == 2 and before[0]["metadata"]["name"] not in names

    scene.wait(replaced, "the successor takes the free slot")
    assert node_domains(scene, group_pods(scene, "train")) == {"n01"}
    scene.create(a_group_job(scene, "late", 1, group_size="2", topology=scene.key))
    notes = scene.wait(lambda: scene.events("CannotPlan"), "an incomplete group is explained")
    assert "1 of 2 pods" in notes[0]["message"]
    scene.kubectl("delete", "job", "train", "late")
    scene.wait(lambda: leases_of(scene) == [], "its Lease ends with it")


def test_pods_of_a_set_and_bare_pods_are_groups_by_their_label(scene):
    """Whoever made them: the label and the annotations say it all."""
    scene.pool(2, nodes_each=2)
    template = a_group_job(scene, "set", 2, group_size="2", topology=scene.key)["spec"]["template"]
    del template["spec"]["restartPolicy"]
    template["metadata"]["labels"]["app"] = "set"
    scene.create(
        {
            "apiVersion": "apps/v1",
            "kind": "StatefulSet",
            "metadata": {"name": "set", "namespace": scene.namespace},
            "spec": {
                "replicas": 2,
                "serviceName": "set",
                "podManagementPolicy": "Parallel",
                "selector": {"matchLabels": {"app": "set"}},
                "template": template,
            },
        }
    )
    scene.wait(lambda: len(group_pods(scene, "set")) == 2, "the set's pods are bound")
    template = a_group_job(scene, "bare", 2, group_size="2", topology=scene.key)["spec"]["template"]
    pods = [
        {"apiVersion": "v1", "kind": "Pod", "spec": template["spec"]}
        | {"metadata": template["metadata"] | {"name": f"bare-{i}", "namespace": scene.namespace}}
        for i in range(2)
    ]
    scene.create(pods[0])
    scene.wait(lambda: scene.events("CannotPlan"), "one alone waits for the other")
    scene.create(pods[1])
    scene.wait(lambda: len(group_pods(scene, "bare")) == 2, "then both are bound")
    places = [node_domains(scene, group_pods(scene, name)) for name in ("set", "bare")]
    assert sorted(map(sorted, places)) == [["n00"], ["n01"]]


@pytest.mark.upstream_too
def test_bad_annotations_are_refused_with_the_reason(scene):
    scene.pool(1, nodes_each=1)
    for notes, text in (
        ({f"{OURS}/scope": "Galaxy"}, "'Galaxy' is none of Cluster, Namespace, LeaderWorkerSet"),
        ({f"{OURS}/gang": "true"}, "not together with an exclusive topology"),
        ({f"{OURS}/within-topology": "a b"}, "must be the key of a node label"),
        ({f"{OURS}/managed": "no"}, "'no' is none of true, false"),
    ):
        manifest = json.dumps(scene.lws("bad", annotations=notes))
        answer = scene.kubectl("create", "-f", "-", stdin=manifest, check=False)
        assert text in answer
    assert scene.get("lws") == []
    pod = scene.filler("nowhere")
    pod["metadata"]["labels"] = {f"{OURS}/group": "g"}
    answer = scene.kubectl("create", "-f", "-", stdin=json.dumps(pod), check=False)
    assert f"metadata.annotations[{OURS}/group-size] is missing" in answer


@pytest.mark.upstream_too
@pytest.mark.parametrize("way", ["managed: false", "release", "release --all"])
def test_a_group_is_let_go_on_request(scene, way):
    """Nothing fits the whole group; its leader may run all the same."""
    scene.pool(1, nodes_each=2)
    scene.create(scene.lws(size=4))
    scene.wait(lambda: scene.events("WaitingForDomain"), "it waits")
    if way.startswith("release"):
        which = ("--all",) if "--all" in way else ("lws/llm", "-n", scene.namespace)
        command = [sys.executable, "-m", "lws_placement.cli.main", "release", *which, "--yes"]
        subprocess.run([*command, f"--kubeconfig={scene.cluster.kubeconfig}"], check=True)
    else:
        scene.kubectl("annotate", "lws", "llm", f"{OURS}/managed=false")
    scene.wait(lambda: len(scene.bound()) == 2, "the two that fit run")
    assert leases_of(scene) == []
