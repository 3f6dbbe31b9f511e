"""Repairs that depend on time and on what happened before, on a virtual clock."""

import asyncio
from dataclasses import replace

import pytest
from support import replicas
from support.fake_cluster import KEY, a_cluster
from support.mishaps import OUT_OF_REACH, fail_a_node, fail_a_worker, refuse
from support.replicas import POLICY, Brain
from support.virtual_time import run


def test_a_domain_where_kube_scheduler_refuses_a_member_is_left_for_another():
    async def story():
        cluster = await a_cluster("a", "b")
        refuse(cluster, "a")
        cluster.add_lws()
        await cluster.rest()
        assert set(cluster.places().values()) == {"b-0", "b-1"}
        assert OUT_OF_REACH in cluster.said("Moving")[0]
        assert cluster.not_whole() == []
        await cluster.stop()

    run(story())


def test_a_group_refused_everywhere_holds_nothing_and_is_tried_again_less_and_less_often():
    async def story():
        cluster = await a_cluster("a")
        refuse(cluster, "a")
        cluster.add_lws()
        holding = []
        for _ in range(120):
            await cluster.round()
            holding.append(bool(cluster.holds()))
        tries = sum(not one and two for one, two in zip([False, *holding], holding, strict=False))
        assert 2 <= tries <= 5, "5, 10, 20, 40 s apart and more"
        assert sum(holding) < 40, "others may have the domain meanwhile"
        notes = cluster.said("WaitingForDomain")
        assert any("1 domain was refused by kube-scheduler lately" in note for note in notes)
        assert any("kube-scheduler refused it lately" in note for note in notes)
        cluster.binds = lambda name: True
        await cluster.rest(quiet=100)
        assert cluster.not_whole() == []
        await cluster.stop()

    run(story())


def test_a_node_that_refuses_a_member_is_left_and_the_domain_is_not():
    async def story():
        cluster = await a_cluster()
        cluster.add_slice("a", nodes=3)
        refuse(cluster, "a-0")
        cluster.add_lws()
        await cluster.rest(quiet=100)
        assert set(cluster.places().values()) == {"a-1", "a-2"}
        assert cluster.not_whole() == []
        await cluster.stop()

    run(story())


@pytest.mark.parametrize(
    "message",
    [
        "0/4 nodes are available: pod has unbound immediate PersistentVolumeClaims.",
        "0/4 nodes are available: claim gone. preemption: 0/4 nodes are available: 1 No "
        "preemption victims found for incoming pod, 3 Preemption is not helpful for scheduling.",
    ],
)
def test_a_refusal_that_is_about_no_node_closes_none(message):
    async def story():
        cluster = await a_cluster("a", "b")
        refuse(cluster, "a", "b", message=message)
        cluster.add_lws()
        places = set()
        for _ in range(120):
            await cluster.round()
            places |= set(cluster.holds())
        assert places == {"a"}, "it would be refused in the other domain, too"
        notes = cluster.said("CannotPlan")
        assert notes[0] == f"kube-scheduler refuses llm-0 wherever it is: {message}"
        cluster.binds = lambda name: True
        await cluster.rest(quiet=100)
        assert cluster.not_whole() == []
        await cluster.stop()

    run(story())


def test_a_member_that_is_refused_for_a_moment_only_stays():
    async def story():
        cluster = await a_cluster("a", "b")
        refuse(cluster, "a")
        cluster.add_lws()
        await cluster.round()
        cluster.binds = lambda name: True
        await cluster.rest()
        assert set(cluster.places().values()) == {"a-0", "a-1"}
        assert cluster.said("Moving") == []
        await cluster.stop()

    run(story())


def test_a_domain_whose_nodes_failed_twice_is_the_last_choice():
    async def story():
        cluster = await a_cluster("a", "b")
        cluster.add_lws()
        await cluster.rest()
        await fail_a_node(cluster)
        assert set(cluster.places().values()) == {"a-0", "a-1"}
        await fail_a_node(cluster)
        assert set(cluster.places().values()) == {"b-0", "b-1"}
        assert cluster.not_whole() == []
        assert cluster.broken == []
        await cluster.stop()

    run(story())


def test_failures_count_though_the_failed_pod_is_gone_before_anybody_looks():
    async def story():
        cluster = await a_cluster("a", "b")
        cluster.add_lws()
        for _ in range(2):
            await cluster.rest()
            assert set(cluster.places().values()) == {"a-0", "a-1"}
            reason = {"phase": "Failed", "reason": "UnexpectedAdmissionError"}
            cluster.change("pods", "llm-0-1", lambda pod, said=reason: pod["status"].update(said))
            cluster.delete("pods", "llm-0-1", gracePeriodSeconds=0)
        await cluster.rest()
        assert set(cluster.places().values()) == {"b-0", "b-1"}
        assert cluster.not_whole() == []
        await cluster.stop()

    run(story())


def test_the_last_choice_is_a_choice():
    async def story():
        cluster = await a_cluster("a")
        cluster.add_lws()
        await cluster.rest()
        for _ in range(3):
            await fail_a_node(cluster)
            assert cluster.not_whole() == []
        await cluster.stop()

    run(story())


def test_pods_that_fail_by_themselves_never_drive_a_group_away():
    async def story():
        cluster = await a_cluster("a", "b")
        cluster.add_lws()
        await cluster.rest()
        for _ in range(4):
            await fail_a_worker(cluster)
            assert set(cluster.places().values()) == {"a-0", "a-1"}
        await cluster.stop()

    run(story())


async def a_dead_node(cluster):
    """A worker is deleted on a node whose kubelet is gone."""
    cluster.add_lws()
    await cluster.rest()
    cluster.kubelets = False
    cluster.change("nodes", "a-1", _not_ready, "")
    cluster.delete("pods", "llm-0-1")
    await cluster.rest()


def _not_ready(node):
    node["status"]["conditions"] = [{"type": "Ready", "status": "Unknown"}]


def test_a_pod_on_a_dead_node_is_not_forced_but_a_person_is_told_how():
    async def story():
        cluster = await a_cluster("a", "b")
        await a_dead_node(cluster)
        assert "llm-0-1" in cluster.places()
        assert list(cluster.holds()) == ["a"]
        (note,) = set(cluster.said("StuckTerminating"))
        assert "kubectl taint node a-1 node.kubernetes.io/out-of-service" in note
        await cluster.stop()

    run(story())


def test_a_node_that_dies_after_the_deletion_is_noticed_as_well():
    async def story():
        cluster = await a_cluster("a", "b")
        cluster.add_lws()
        await cluster.rest()
        cluster.kubelets = False
        cluster.delete("pods", "llm-0-1")
        await cluster.rest()
        assert cluster.said("StuckTerminating") == []
        cluster.change("nodes", "a-1", _not_ready, "")
        await cluster.rest()
        assert cluster.said("StuckTerminating")
        await cluster.stop()

    run(story())


class Forceful(Brain):
    policy = replace(POLICY, force_after_s=20.0)


def test_with_the_opt_in_a_pod_on_a_dead_node_is_forced_after_its_time():
    async def story():
        cluster = await a_cluster("a", "b", new_brain=Forceful)
        await a_dead_node(cluster)
        assert "llm-0-1" in cluster.places(), "not yet"
        await cluster.rest(quiet=30)
        assert cluster.server.find("pods", "llm-0-1") is None
        cluster.kubelets = True
        await cluster.rest()
        assert set(cluster.places().values()) == {"b-0", "b-1"}
        assert cluster.not_whole() == []
        assert cluster.broken == []
        await cluster.stop()

    run(story())


def relabel(cluster, node, value):
    cluster.change("nodes", node, lambda n: n["metadata"]["labels"].update({KEY: value}), "")


def test_a_whole_group_runs_on_when_a_node_is_relabelled_and_is_planned_anew_when_it_restarts():
    async def story():
        cluster = await a_cluster("a", "b")
        cluster.add_lws()
        await cluster.rest()
        relabel(cluster, "a-1", "other")
        await cluster.rest()
        assert set(cluster.places().values()) == {"a-0", "a-1"}
        assert set(cluster.said("OutsideDomain"))
        cluster.delete("pods", "llm-0-1")
        await cluster.rest()
        assert set(cluster.places().values()) == {"b-0", "b-1"}
        assert cluster.not_whole() == []
        await cluster.stop()

    run(story())


def test_a_half_bound_group_moves_when_the_node_of_its_bound_half_is_relabelled():
    async def story():
        cluster = await a_cluster("a", "b")
        cluster.binds = lambda name: name == "llm-0"
        cluster.add_lws()
        await cluster.rest()
        relabel(cluster, "a-0", "other")
        cluster.binds = lambda name: True
        await cluster.rest()
        assert set(cluster.places().values()) == {"b-0", "b-1"}
        assert cluster.not_whole() == []
        await cluster.stop()

    run(story())


def test_a_failed_pod_that_nobody_deletes_keeps_no_domain_shut():
    async def story():
        cluster = await a_cluster("a")
        cluster.add_lws()
        await cluster.rest()
        cluster.change("pods", "llm-0-1", _kept_failed)
        cluster.delete("leaderworkersets", "llm")
        for _ in range(8):
            await cluster.round()
        assert "llm-0-1" in cluster.places()
        assert cluster.holds() == {}
        await cluster.stop()

    run(story())


def _kept_failed(pod):
    pod["metadata"]["finalizers"] = ["example.com/keep"]
    pod["status"]["phase"] = "Failed"


def test_gated_pods_whose_set_vanished_are_not_placed_in_part():
    async def story():
        cluster = await a_cluster()
        cluster.add_lws()
        await cluster.rest()
        leader = cluster.server.find("pods", "llm-0")
        cluster.delete("leaderworkersets", "llm")
        await cluster.rest()
        orphan = {k: leader["metadata"][k] for k in ("name", "labels", "annotations")}
        owners = leader["metadata"]["ownerReferences"]
        pod = {"metadata": orphan, "spec": leader["spec"], "status": {"phase": "Pending"}}
        cluster.server.create("pods", pod, namespace="ns")
        cluster.change("pods", "llm-0", lambda p: p["metadata"].update(ownerReferences=owners))
        cluster.add_slice("a")
        await asyncio.sleep(1)
        assert "delete the pods" in cluster.said("CannotPlan")[0]
        assert cluster.holds() == {}
        await cluster.stop()

    run(story())


def test_nodes_that_are_cordoned_one_after_another_leave_no_group_bound_in_part(monkeypatch):
    """Between hold and bind, in each domain that the group comes to; moves are a minute apart if it
    goes on so.
    """
    monkeypatch.setattr(replicas, "MOVE_EVERY_S", 60)

    async def story():
        cluster = await a_cluster("a", "b", "c", "d")
        cluster.binds = lambda name: name == "llm-0"
        cluster.add_lws()
        began = asyncio.get_running_loop().time()
        for domain in "abc":
            while cluster.places() != {"llm-0": f"{domain}-0"}:
                await cluster.round()
            cluster.change("nodes", f"{domain}-1", cordon, "")
        cluster.binds = lambda name: True
        while cluster.not_whole():
            await cluster.round()
        assert set(cluster.places().values()) == {"d-0", "d-1"}
        assert asyncio.get_running_loop().time() - began < 30, "in virtual time"
        assert cluster.broken == []
        await cluster.stop()

    run(story())


def cordon(node):
    node["spec"]["unschedulable"] = True


def test_a_node_that_gets_smaller_between_hold_and_bind_is_left_whole():
    async def story():
        cluster = await a_cluster("a", "b")
        cluster.binds = lambda name: name == "llm-0"
        cluster.add_lws()
        await cluster.rest()
        assert cluster.places() == {"llm-0": "a-0"}
        cluster.change("nodes", "a-1", lambda n: n["status"]["allocatable"].update(cpu="500m"), "")
        cluster.binds = lambda name: True
        await cluster.rest()
        assert set(cluster.places().values()) == {"b-0", "b-1"}
        assert cluster.not_whole() == []
        await cluster.stop()

    run(story())


def test_a_group_that_runs_on_a_node_that_gets_smaller_runs_on():
    async def story():
        cluster = await a_cluster("a", "b")
        cluster.add_lws()
        await cluster.rest()
        before = cluster.places()
        cluster.change("nodes", "a-1", lambda n: n["status"]["allocatable"].update(cpu="500m"), "")
        await cluster.rest()
        assert cluster.places() == before
        assert cluster.said("Moving") == cluster.said("Repairing") == []
        await cluster.stop()

    run(story())
