"""Pods that would not fit into an object once they are pinned are refused when they are created."""

import pytest
from support.admission import OURS, Lookup, a_pod, a_review, admit, call

from lws_placement.engine.admission.pod_gating import Owner

REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"


def with_terms(number):
    term = {"matchExpressions": [{"key": "a", "operator": "Exists"}]}
    affinity = {"nodeAffinity": {REQUIRED: {"nodeSelectorTerms": [term] * number}}}
    return a_pod(affinity=affinity)


class WithoutOwner(Lookup):
    async def owner_of_group_pod(self, pod, namespace):
        return Owner("")


async def words_for(pod, lookup=None):
    _, answer = await call("/mutate-pods", a_review(pod), lookup)
    return answer["response"].get("status", {}).get("message", "")


async def test_more_terms_than_can_be_pinned_are_refused_by_field():
    words = await words_for(with_terms(5000))
    assert f"spec.affinity.nodeAffinity.{REQUIRED}.nodeSelectorTerms" in words
    assert len(words) < 400


async def test_as_many_as_planning_looks_at_are_admitted():
    pod = await admit(with_terms(1000))
    assert pod["spec"]["schedulingGates"]


@pytest.mark.parametrize("topology", ["rack", ""])
async def test_annotations_without_room_for_ours_are_refused_by_field(topology):
    """Of members; others get hardly any."""
    words = await words_for(a_pod(topology=topology, notes={"x": "y" * 255 * 1024}))
    assert ("metadata.annotations" in words) is bool(topology)


async def test_a_large_pod_of_a_group_by_label_is_refused_as_well():
    notes = {f"{OURS}/group-size": "2", f"{OURS}/topology": "rack", "x": "y" * 250 * 1024}
    meta = {"name": "x", "labels": {f"{OURS}/group": "train"}, "annotations": notes}
    pod = {"metadata": meta, "spec": {"containers": [{"name": "c"}]}}
    assert "metadata.annotations" in await words_for(pod, WithoutOwner())
