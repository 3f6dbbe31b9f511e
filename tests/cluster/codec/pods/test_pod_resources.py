"""What kube-scheduler counts for a pod, by cases of `PodRequests` (component-helpers 1.37)."""

import pytest

from lws_placement.cluster.codec.pods.resources import decode_requests
from lws_placement.engine.admission.limit_ranges import LimitRange
from lws_placement.engine.admission.pod_defaults import PodDefaults, admitted_spec


def a_container(name="c", cpu="1", **more):
    return {"name": name, "resources": {"requests": {"cpu": cpu}}, **more}


def a_report(name="c", *, allocated=None, in_force=None):
    """A container's status, with amounts of CPU."""
    report = {"name": name}
    if allocated is not None:
        report["allocatedResources"] = {"cpu": allocated}
    if in_force is not None:
        report["resources"] = {"requests": {"cpu": in_force}}
    return report


INFEASIBLE = [{"type": "PodResizePending", "status": "True", "reason": "Infeasible"}]
DEFERRED = [{"type": "PodResizePending", "status": "True", "reason": "Deferred"}]

RESIZES = {
    "nothing is reported": ([], 1000),
    "as it asks": ([a_report(allocated="1", in_force="1")], 1000),
    "the same in other words": ([a_report(allocated="1000m", in_force="1.0")], 1000),
    "it shrinks": ([a_report(allocated="4", in_force="4")], 4000),
    "it shrinks, and is not in force": ([a_report(allocated="1", in_force="4")], 4000),
    "only what is allocated is known": ([a_report(allocated="3")], 3000),
    "it grows": ([a_report(allocated="500m", in_force="500m")], 1000),
    "another container's": ([a_report("other", allocated="4", in_force="4")], 1000),
}


@pytest.mark.parametrize(("reports", "cpu"), RESIZES.values(), ids=RESIZES)
def test_the_largest_of_asked_allocated_and_in_force_counts(reports, cpu):
    spec = {"containers": [a_container()]}
    assert decode_requests(spec, {"containerStatuses": reports}) == {"cpu": cpu}
    assert decode_requests(
        {"containers": [], "initContainers": [a_container(restartPolicy="Always")]},
        {"initContainerStatuses": reports},
    ) == {"cpu": cpu}


@pytest.mark.parametrize(("conditions", "cpu"), [(INFEASIBLE, 1500), (DEFERRED, 9000), ([], 9000)])
def test_what_the_kubelet_calls_infeasible_is_asked_in_vain(conditions, cpu):
    spec = {"containers": [a_container(cpu="9")]}
    reports = [a_report(allocated="1", in_force="1500m")]
    status = {"containerStatuses": reports, "conditions": conditions}
    assert decode_requests(spec, status) == {"cpu": cpu}


def test_sums_are_compared_and_not_containers():
    spec = {"containers": [a_container("a", "1"), a_container("b", "4")]}
    reports = [a_report("a", allocated="3"), a_report("b", allocated="2")]
    assert decode_requests(spec, {"containerStatuses": reports}) == {"cpu": 5000}


def test_resources_of_the_whole_pod_stand_in_place_of_the_sum_and_are_resized_as_well():
    whole = {"resources": {"requests": {"cpu": "2"}}, "overhead": {"cpu": "100m"}}
    spec = {"containers": [a_container(cpu="500m")], **whole}
    assert decode_requests(spec, {}) == {"cpu": 2100}
    status = {
        "containerStatuses": [a_report(allocated="500m")],
        "allocatedResources": {"cpu": "3"},
        "resources": {"requests": {"cpu": "2500m"}},
    }
    assert decode_requests(spec, status) == {"cpu": 3100}
    assert decode_requests(spec, {**status, "conditions": INFEASIBLE}) == {"cpu": 3100}


INIT = {"name": "i", "resources": {"requests": {"cpu": "6"}}}
SIDECAR = {"name": "s", "restartPolicy": "Always", "resources": {"requests": {"cpu": "3"}}}
CPU, CPU_AND_MEMORY = {"limits": {"cpu": "12"}}, {"limits": {"cpu": "12", "memory": "8Gi"}}
HUGE = {"limits": {"cpu": "9", "hugepages-2Mi": "8Mi"}}
A_HUGE = {"limits": {"hugepages-2Mi": "4Mi"}, "requests": {"cpu": "1"}}
LITTLE_MEMORY = {**CPU_AND_MEMORY, "requests": {"memory": "1Gi"}}
MI = 2**20


@pytest.mark.parametrize(
    ("whole", "container", "init", "requests"),
    [
        (CPU, {}, (), {"cpu": 12000}),
        (CPU, {"requests": {"cpu": "4"}}, (), {"cpu": 4000}),
        (CPU, {"limits": {"cpu": "5"}}, (SIDECAR,), {"cpu": 8000}),
        (CPU, {"requests": {"cpu": "4"}}, (INIT,), {"cpu": 6000}),
        (CPU, {}, (INIT,), {"cpu": 6000}),
        (CPU_AND_MEMORY, {"requests": {"cpu": "4"}}, (), {"cpu": 4000, "memory": 8192 * MI}),
        (LITTLE_MEMORY, {"requests": {"cpu": "4"}}, (), {"cpu": 4000, "memory": 1024 * MI}),
        (HUGE, A_HUGE, (), {"cpu": 1000, "hugepages-2Mi": 8 * MI}),
        (CPU, A_HUGE, (), {"cpu": 1000, "hugepages-2Mi": 4 * MI}),
    ],
)
def test_limits_of_the_whole_pod_stand_for_what_no_container_asks_for(
    whole, container, init, requests
):
    """As the API server of Kubernetes 1.37 stores such pods."""
    spec = {"containers": [{"name": "c", "resources": container}], "resources": whole}
    assert decode_requests({**spec, "initContainers": list(init)}, {}) == requests


def test_what_a_limit_range_gives_to_containers_counts_as_what_they_ask_for():
    """As the API server of Kubernetes 1.37 stores it."""
    ranges = (LimitRange("r", {}, {"cpu": "700m"}, ()),)
    spec = {"containers": [{"name": "c"}], "resources": {"limits": {"cpu": "12", "memory": "8Gi"}}}
    admitted = admitted_spec(spec, PodDefaults(ranges))
    assert decode_requests(admitted, {}) == {"cpu": 700, "memory": 8192 * MI}
