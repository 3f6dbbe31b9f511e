"""Pods that only have a group's labels, or that never run, keep no domain held."""

import pytest
from support.fake_cluster import a_cluster
from support.virtual_time import run

from lws_placement.engine.base import keys

GROUP_KEY = {keys.LWS_GROUP_KEY}


def bare(pod):
    """Its labels alone, and no owner."""
    meta = {"name": "fake", "labels": pod["metadata"]["labels"], "annotations": {}}
    return {"metadata": meta, "spec": {**pod["spec"]}, "status": {"phase": "Pending"}}


def only_the_key(pod):
    fake = bare(pod)
    labels = fake["metadata"]["labels"]
    fake["metadata"]["labels"] = {k: v for k, v in labels.items() if k in GROUP_KEY}
    return fake


def a_member_by_its_notes(pod):
    fake = bare(pod)
    notes = {keys.LWS_SIZE: "2", keys.LWS_EXCLUSIVE_TOPOLOGY: "example.com/slice"}
    fake["metadata"]["annotations"] = notes
    return fake


def found_foreign(pod):
    fake = a_member_by_its_notes(pod)
    fake["metadata"]["annotations"][keys.ADMITTED] = keys.FOREIGN
    return fake


def of_another_set(pod):
    """As a recreated LeaderWorkerSet's, which is not there either."""
    fake = a_member_by_its_notes(pod)
    fake["metadata"]["annotations"][keys.LWS_UID] = "uid-of-another"
    return fake


@pytest.mark.parametrize("bound", [False, True], ids=["never scheduled", "bound in the domain"])
@pytest.mark.parametrize(
    "fake", [bare, only_the_key, a_member_by_its_notes, found_foreign, of_another_set]
)
def test_a_pod_with_the_labels_of_a_group_that_is_gone_keeps_no_hold(fake, bound):
    async def story():
        cluster = await a_cluster("a")
        cluster.add_lws()
        await cluster.rest()
        pod = fake(cluster.server.find("pods", "llm-0"))
        pod["spec"]["nodeName"] = "a-0" if bound else None
        pod["spec"]["nodeSelector"] = {"example.com/no": "where"}
        cluster.server.create("pods", pod, namespace="ns")
        cluster.delete("leaderworkersets", "llm")
        await cluster.rest()
        assert "fake" in {p["metadata"]["name"] for p in cluster.pods()}
        assert cluster.holds() == {}
        await cluster.stop()

    run(story())


def test_a_member_that_was_deleted_before_it_was_bound_keeps_no_hold():
    """Whatever finalizer keeps it: the API server binds no such pod."""

    async def story():
        cluster = await a_cluster("a")
        cluster.binds = lambda name: False
        cluster.add_lws()
        await cluster.rest()
        assert list(cluster.holds()) == ["a"]
        cluster.change(
            "pods", "llm-0", lambda pod: pod["metadata"].update(finalizers=["example.com/mine"])
        )
        cluster.delete("leaderworkersets", "llm")
        await cluster.rest()
        (pod,) = cluster.pods()
        assert pod["metadata"]["deletionTimestamp"]
        assert cluster.holds() == {}
        await cluster.stop()

    run(story())


def test_a_bound_member_that_a_finalizer_keeps_keeps_the_hold():
    """Nobody knows whether it runs."""

    async def story():
        cluster = await a_cluster("a")
        cluster.add_lws()
        await cluster.rest()
        cluster.kubelets = False
        cluster.change(
            "pods", "llm-0-1", lambda pod: pod["metadata"].update(finalizers=["example.com/mine"])
        )
        cluster.delete("leaderworkersets", "llm")
        await cluster.rest()
        assert list(cluster.holds()) == ["a"]
        await cluster.stop()

    run(story())
