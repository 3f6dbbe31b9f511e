"""Templates are decoded to what their pods will demand (`cluster/codec/workloads.py`)."""

import pytest

from lws_placement.cluster.codec.pods.requirements import decode_demand
from lws_placement.cluster.codec.workloads import decode_lws, decode_templates
from lws_placement.engine.base import keys

CONTAINERS = [{"name": "model", "resources": {"limits": {"google.com/tpu": "4"}}}]
NOT_READY = {"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute"}
UNREACHABLE = {**NOT_READY, "key": "node.kubernetes.io/unreachable"}


@pytest.mark.parametrize(
    ("given", "admitted"),
    [
        ([], [NOT_READY, UNREACHABLE]),
        ([{"key": "tpu", "operator": "Exists"}], [{"key": "tpu", "operator": "Exists"}, NOT_READY,
                                                  UNREACHABLE]),
        ([UNREACHABLE], [UNREACHABLE, NOT_READY]),
        ([{"operator": "Exists"}], [{"operator": "Exists"}]),
    ],
)  # fmt: skip
def test_a_template_demands_what_its_admitted_pod_does(given, admitted):
    spec = {"containers": CONTAINERS, "tolerations": given}
    templates = decode_templates({"size": 2, "workerTemplate": {"spec": spec}})
    pod = decode_demand({"containers": CONTAINERS, "tolerations": admitted})
    assert templates.leader == templates.worker == pod


EXCLUSIVE = {"type": "ExclusiveTopology", "topology": "rack"}


def an_lws(notes=None, *, subgroups=None, **template):
    parts = {"size": 4, "workerTemplate": {"spec": {"containers": CONTAINERS}}, **template}
    if subgroups is not None:
        parts["subGroupPolicy"] = {"subGroupSize": 2, "placementPolicy": subgroups}
    meta = {"namespace": "ns", "name": "llm", "uid": "u", "annotations": notes or {}}
    return {"metadata": meta, "spec": {"leaderWorkerTemplate": parts}}


@pytest.mark.parametrize(
    ("lws", "topology", "subgroup_topology"),
    [
        (an_lws(placementPolicy=EXCLUSIVE), "rack", ""),
        (an_lws(subgroups=EXCLUSIVE), "", "rack"),
        (an_lws(placementPolicy={"type": "None"}), "", ""),
        (an_lws(placementPolicy={"type": "None", "topology": "rack"}), "", ""),
        (an_lws(placementPolicy={"type": "ExclusiveTopology"}), "", ""),
        (an_lws({keys.LWS_EXCLUSIVE_TOPOLOGY: "slice"}, placementPolicy=EXCLUSIVE), "slice", ""),
    ],
)
def test_a_typed_placement_is_read_as_the_annotation_that_means_the_same(
    lws, topology, subgroup_topology
):
    info = decode_lws(lws)
    assert (info.request.topology, info.request.subgroup_topology) == (topology, subgroup_topology)
    given = {
        keys.LWS_EXCLUSIVE_TOPOLOGY: topology,
        keys.LWS_SUBGROUP_EXCLUSIVE_TOPOLOGY: subgroup_topology,
    }
    annotated = lws["metadata"]["annotations"]
    assert info.annotations == {k: v for k, v in given.items() if v and k not in annotated}


def test_groups_have_ordinals_unless_it_is_said_that_they_have_keys():
    lws = an_lws()
    assert not decode_lws(lws).keyed
    lws["spec"]["groupIdentity"] = "Hash"
    assert decode_lws(lws).keyed


@pytest.mark.parametrize(
    ("marked", "gates"),
    [
        ({}, ()),
        ({"kueue.x-k8s.io/pod-suspending-parent": "lws"}, ("kueue.x-k8s.io/admission",)),
    ],
)
def test_pods_of_a_set_that_kueue_queues_will_carry_its_gate(marked, gates):
    """Its pod webhook adds it; the templates, as stored, show that it will."""
    worker = {"metadata": {"annotations": marked}, "spec": {"containers": CONTAINERS}}
    assert decode_templates({"size": 2, "workerTemplate": worker}).gates == gates
