"""Topology keys that are not on the list of the setting are refused by field."""

import pytest
from support.admission import OURS, P, a_review, call

from lws_placement.engine.objects.topology_policy import TopologyPolicy

SLICES = TopologyPolicy(keys=("example.com/slice", "*/nodepool"))


def an_lws(notes=None, **template):
    spec = {"leaderWorkerTemplate": {"size": 4, "workerTemplate": {}, **template}}
    return {"metadata": {"name": "llm", "annotations": notes or {}}, "spec": spec}


def typed(key):
    return {"placementPolicy": {"type": "ExclusiveTopology", "topology": key}}


FIELDS = [
    (lambda key: an_lws({f"{P}/exclusive-topology": key}), f"metadata.annotations[{P}/exclusive"),
    (
        lambda key: an_lws(
            {f"{P}/subgroup-exclusive-topology": key}, subGroupPolicy={"subGroupSize": 2}
        ),
        f"metadata.annotations[{P}/subgroup-exclusive",
    ),
    (lambda key: an_lws(**typed(key)), "spec.leaderWorkerTemplate.placementPolicy.topology"),
    (
        lambda key: an_lws(subGroupPolicy={"subGroupSize": 2, **typed(key)}),
        "spec.leaderWorkerTemplate.subGroupPolicy.placementPolicy.topology",
    ),
]


@pytest.mark.parametrize(("make", "path"), FIELDS)
async def test_a_key_that_is_not_on_the_list_is_refused_by_field(make, path):
    def verdict(obj, old=None, operation="CREATE"):
        review = a_review(obj, old=old, operation=operation)
        return call("/validate-placement", review, topology=SLICES)

    bad, good = make("kubernetes.io/os"), make("cloud.example.com/nodepool")
    _, refused = await verdict(bad)
    words = refused["response"]["status"]["message"]
    for part in (path, "kubernetes.io/os", "topology-keys", "example.com/slice, */nodepool"):
        assert part in words
    _, allowed = await verdict(good)
    assert allowed["response"]["allowed"]
    _, stored_before = await verdict(bad, old=bad, operation="UPDATE")
    assert stored_before["response"]["allowed"]
    _, changed = await verdict(bad, old=good, operation="UPDATE")
    assert not changed["response"]["allowed"]


@pytest.mark.parametrize("path", ["/validate-placement", "/validate-lws"])
async def test_without_a_list_any_key_will_do(path):
    _, answer = await call(path, a_review(an_lws({f"{P}/exclusive-topology": "kubernetes.io/os"})))
    assert answer["response"]["allowed"]


async def test_the_built_in_controllers_sets_are_held_to_it():
    review = a_review(an_lws({f"{P}/exclusive-topology": "kubernetes.io/os"}))
    _, answer = await call("/validate-lws", review, topology=SLICES)
    assert "topology-keys" in answer["response"]["status"]["message"]


async def test_so_are_groups_of_other_pods():
    notes = {f"{OURS}/group-size": "2", f"{OURS}/topology": "kubernetes.io/os"}
    meta = {"name": "x", "labels": {f"{OURS}/group": "train"}, "annotations": notes}
    pod = {"metadata": meta, "spec": {"containers": [{"name": "c"}]}}
    _, answer = await call("/mutate-pods", a_review(pod), topology=SLICES)
    words = answer["response"]["status"]["message"]
    assert f"metadata.annotations[{OURS}/topology]" in words
    assert "topology-keys" in words
