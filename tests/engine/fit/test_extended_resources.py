"""Tolerations that the API server adds for extended resources."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lws_placement.cluster.codec.pods.requirements import decode_demand
from lws_placement.cluster.codec.workloads import admitted_spec, decode_templates
from lws_placement.engine.admission.pod_gating import gate_or_pin
from lws_placement.engine.base import keys
from lws_placement.engine.base.json_copy import json_copy
from lws_placement.engine.fit.extended_resources import (
    depends_on_plugin,
    extended_resources,
    tolerating,
    with_tolerations,
)
from lws_placement.engine.objects.nodes import Taint

TPU = "google.com/tpu"


def a_container(requests=None, limits=None):
    return {"name": "c", "resources": {"requests": requests or {}, "limits": limits or {}}}


@pytest.mark.parametrize(
    ("requests", "want"),
    [
        pytest.param({TPU: "4"}, (TPU,), id="a device"),
        pytest.param({TPU: "0"}, (TPU,), id="none of a device"),
        pytest.param({"cpu": "1", "memory": "1Gi", "hugepages-2Mi": "4Mi"}, (), id="native"),
        pytest.param({"example.kubernetes.io/x": "1"}, (), id="Kubernetes' own"),
        pytest.param({"requests.example.com/x": "1"}, (), id="a quota's name"),
    ],
)
def test_names_of_extended_resources(requests, want):
    assert extended_resources({"containers": [a_container(requests)]}) == want
    assert extended_resources({"containers": [a_container(limits=requests)]}) == want
    spec = {"containers": [a_container()], "initContainers": [a_container(requests)]}
    assert extended_resources(spec) == want


TOLERATIONS = st.lists(
    st.sampled_from(
        [
            {"key": TPU, "operator": "Exists", "effect": "NoSchedule"},
            {"key": TPU, "operator": "Equal", "value": "present", "effect": "NoSchedule"},
            {"operator": "Exists"},
            {"key": "example.com/x", "operator": "Exists"},
        ]
    ),
    max_size=3,
)
AMOUNTS = st.dictionaries(st.sampled_from(["cpu", TPU, "nvidia.com/gpu"]), st.just("1"))


@given(AMOUNTS, AMOUNTS, TOLERATIONS)
def test_members_are_expected_as_the_api_server_makes_them(requests, at_start, tolerations):
    spec = {
        "containers": [a_container(requests)],
        "initContainers": [a_container(at_start)],
        "tolerations": tolerations,
    }
    notes = {keys.LWS_SIZE: "2", keys.LWS_EXCLUSIVE_TOPOLOGY: "example.com/slice"}
    pod = {"metadata": {"annotations": notes}, "spec": json_copy(spec)}
    gate_or_pin(pod, pin=None, keep_affinity=True)
    marked = pod["spec"]
    of_template = decode_templates({"size": 2, "workerTemplate": {"spec": spec}})
    assert tolerating(of_template).worker == decode_demand(with_tolerations(admitted_spec(marked)))
    assert of_template.worker == decode_demand(admitted_spec(marked)), "as it is without the plugin"


@pytest.mark.parametrize(
    ("taint", "tolerations", "want"),
    [
        pytest.param(Taint(TPU, "present", "NoSchedule"), [], True, id="it is for the plugin"),
        pytest.param(Taint(TPU, "present", "NoExecute"), [], False, id="another effect"),
        pytest.param(Taint("example.com/x", "", "NoSchedule"), [], False, id="no resource of it"),
        pytest.param(
            Taint(TPU, "present", "NoSchedule"), [{"operator": "Exists"}], False, id="tolerated"
        ),
    ],
)
def test_whether_it_matters(taint, tolerations, want):
    spec = {"containers": [a_container({TPU: "4"})], "tolerations": tolerations}
    templates = decode_templates({"workerTemplate": {"spec": spec}})
    assert depends_on_plugin(templates, [taint]) is want
