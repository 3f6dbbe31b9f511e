"""Templates are decoded to what their pods will demand (`cluster/decode_workload.py`)."""

import pytest

from lws_placement.cluster.decode_demand import decode_demand
from lws_placement.cluster.decode_workload import decode_templates

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
