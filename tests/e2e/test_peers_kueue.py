"""Beside the real Kueue: what it has not admitted holds nothing, what it admits is placed whole,
and it is told whether there is a place.
"""

import json

import pytest
from e2e.kueue_queues import (
    a_queue,
    answered,
    beside_kueue,
    groups_that_run,
    is_behind_its_gate,
    queued,
    workload_of,
)
from e2e.servers import brains_with

from lws_placement.localcluster.install import BRAIN, NAMESPACE

pytestmark = pytest.mark.peers

AS_US = f"--as=system:serviceaccount:{NAMESPACE}:{BRAIN}"


@pytest.fixture(scope="module", params=["standalone", "beside-upstream"])
def installation(binaries, peer, tmp_path_factory, request):
    """In place of the session's."""
    folder = tmp_path_factory.mktemp("kueue") / "k"
    with beside_kueue(binaries, peer, folder, request.param) as installed:
        yield installed


def test_a_quota_for_one_group_of_two_leaves_the_other_domain_to_others(scene):
    """Kueue admits in its own order, not by the group's index."""
    scene.pool(2, nodes_each=2)
    a_queue(scene, tpus=8)
    scene.create(queued(scene, scene.lws(replicas=2, size=2)))
    scene.wait(lambda: len(scene.bound("llm")) == 2, "one group runs")
    (first,) = groups_that_run(scene)
    behind = "llm-1" if first == "0" else "llm-0"
    assert is_behind_its_gate(scene, behind)
    scene.wait(lambda: len(scene.holds()) == 1, "the other holds nothing")
    scene.create(scene.lws("unqueued", size=2))
    scene.wait_bound(2, "unqueued")
    assert is_behind_its_gate(scene, behind)
    assert scene.broken_promises() == []
    a_queue(scene, tpus=16)
    scene.wait(lambda: not is_behind_its_gate(scene, behind), "it is admitted")
    scene.wait(lambda: scene.events("WaitingForDomain"), "now it waits for a domain")
    scene.kubectl("delete", "lws", "unqueued", "--wait=false")
    scene.wait_bound(4, "llm")
    assert groups_that_run(scene) == {"0", "1"}
    assert scene.broken_promises() == []


def test_a_queued_group_that_restarts_comes_back_whole(scene):
    scene.pool(2, nodes_each=2)
    a_queue(scene, tpus=8)
    scene.create(queued(scene, scene.lws(size=2)))
    scene.wait_bound(2, "llm")
    before, places = scene.uids("llm"), scene.places("llm")
    scene.kubectl("delete", "pod", "llm-0-1", "--wait=false")
    scene.wait(lambda: not before & scene.uids("llm"), "all its pods are new")
    scene.wait_bound(2, "llm")
    assert scene.places("llm") == places


def test_whom_kueue_preempts_loses_its_domain_at_once(scene):
    scene.pool(1, nodes_each=2)
    preemption = {"withinClusterQueue": "LowerPriority"}
    a_queue(scene, tpus=8, preemption=preemption)
    high = f"{scene.namespace}-high"
    priority = {
        "apiVersion": "kueue.x-k8s.io/v1beta2",
        "kind": "WorkloadPriorityClass",
        "metadata": {"name": high},
        "value": 1000,
    }
    scene.kubectl("apply", "-f", "-", stdin=json.dumps(priority))
    scene.create(queued(scene, scene.lws("low", size=2)))
    scene.wait_bound(2, "low")
    urgent = queued(scene, scene.lws("urgent", size=2))
    urgent["metadata"]["labels"]["kueue.x-k8s.io/priority-class"] = high
    scene.create(urgent)
    scene.wait(lambda: len(scene.bound("urgent")) == 2, "it has the domain")
    scene.wait(lambda: is_behind_its_gate(scene, "low-0"), "the other waits for quota")
    assert len(scene.holds()) == 1
    assert scene.broken_promises() == []


# -- our admission check ---------------------------------------------------------------------------


def test_quota_is_spent_only_where_there_is_a_domain(scene):
    scene.pool(2, nodes_each=2)
    a_queue(scene, tpus=16, checked=True)
    scene.create(scene.lws("unqueued", size=2))
    scene.wait_bound(2, "unqueued")
    scene.create(queued(scene, scene.lws(replicas=2, size=2)))
    scene.wait(lambda: len(scene.bound("llm")) == 2, "one group runs")
    (first,) = groups_that_run(scene)
    second = "1" if first == "0" else "0"
    assert answered(scene, first)[0] == "Ready"
    words = "waits for a whole domain"
    scene.wait(lambda: words in answered(scene, second)[1], "Kueue is told why not")
    assert answered(scene, second)[0] == "Pending"
    assert is_behind_its_gate(scene, f"llm-{second}")
    assert len(scene.holds()) == 2
    scene.kubectl("delete", "lws", "unqueued", "--wait=false")
    scene.wait_bound(4, "llm")
    assert groups_that_run(scene) == {"0", "1"}
    assert scene.broken_promises() == []


def test_while_a_large_one_waits_for_a_domain_a_smaller_one_goes_first(scene):
    scene.pool(1, nodes_each=2)
    a_queue(scene, tpus=100, checked=True)
    scene.create(queued(scene, scene.lws("large", size=4)))
    scene.wait(lambda: answered(scene, "0", "large")[1], "the large one is told why not")
    scene.create(queued(scene, scene.lws("small", size=2)))
    scene.wait_bound(2, "small")
    assert answered(scene, "0", "large")[0] == "Pending"
    assert answered(scene, "0", "small")[0] == "Ready"
    assert is_behind_its_gate(scene, "large-0")


@pytest.fixture
def impatient(installation):
    brains_with(installation, "--admission-check-patience-seconds=3")
    yield
    brains_with(installation)


def test_after_a_patience_the_quota_is_given_back(impatient, scene):
    """Whom Kueue gives it next is its own affair: 0.17 tries the same Workload first."""
    scene.pool(1, nodes_each=2)
    a_queue(scene, tpus=16, checked=True)
    scene.create(queued(scene, scene.lws(size=4)))
    given_back = "EvictedDueToAdmissionCheck"
    scene.wait(
        lambda: any(e["reason"] == given_back for e in scene.get("events")), "it is given back"
    )
    assert is_behind_its_gate(scene, "llm-0")
    assert scene.holds() == []


def test_a_flavor_of_other_nodes_is_no_place(scene):
    """Kueue adds the flavor's node labels to the pods when it admits them, not before."""
    scene.pool(1, nodes_each=2)
    a_queue(scene, tpus=8, checked=True)
    label = {"spec": {"nodeLabels": {"example.com/pool": "other"}}}
    patch = ("patch", "resourceflavor", scene.namespace, "--type=merge")
    scene.kubectl(*patch, "-p", json.dumps(label))
    scene.create(queued(scene, scene.lws(size=2)))
    scene.wait(lambda: answered(scene, "0")[1], "Kueue is told why not")
    assert answered(scene, "0")[0] == "Pending"
    assert scene.holds() == []
    for node in scene.nodes:
        scene.kubectl("label", "node", node, "example.com/pool=other")
    scene.wait_bound(2, "llm")


def test_of_a_workload_our_account_answers_checks_alone(scene):
    a_queue(scene, tpus=8, checked=True)
    scene.create(queued(scene, scene.lws(size=2)))
    scene.wait(lambda: workload_of(scene, "0"), "Kueue has a Workload for it")
    name = workload_of(scene, "0")["metadata"]["name"]
    condition = {
        "type": "Admitted",
        "status": "True",
        "reason": "x",
        "message": "",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }
    patch = json.dumps({"status": {"conditions": [condition]}})
    how = ("patch", "workload", name, "--subresource=status", "--type=merge", "-p", patch, AS_US)
    account = f"--serviceaccount={NAMESPACE}:{BRAIN}"
    role = ("--verb=get", "--resource=workloads.kueue.x-k8s.io/status")
    scene.kubectl("create", "role", "kubectl-reads", *role)
    scene.kubectl("create", "rolebinding", "kubectl-reads", "--role=kubectl-reads", account)
    refused = "lws-placement answers admission checks alone"
    scene.wait(lambda: refused in scene.kubectl(*how, check=False), "it is refused")
