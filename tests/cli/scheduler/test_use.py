"""Whether kube-scheduler calls us, from what the API server shows."""

import pytest
import yaml

from lws_placement.cli.scheduler.use import Use, judge, member_scheduler
from lws_placement.kube_scheduler.kubeadm import as_patch

PLAIN = {
    "metadata": {"name": "kube-scheduler-a"},
    "spec": {"containers": [{"name": "kube-scheduler", "command": ["kube-scheduler"]}]},
}


def with_us(name="kube-scheduler-b", folder="/etc/kubernetes/lws-placement"):
    """As kubelet shows it where kubeadm took our patch."""
    return yaml.safe_load(as_patch(folder)) | {"metadata": {"name": name}}


def deployment(*args, **env):
    variables = [{"name": name, "value": value} for name, value in env.items()]
    by_field = {"name": "LWS_PLACEMENT_IDENTITY", "valueFrom": {"fieldRef": {}}}
    gate = {"name": "gate", "args": ["serve", *args], "env": [by_field, *variables]}
    return {"spec": {"template": {"spec": {"containers": [gate, {"name": "brain"}]}}}}


NOT_CONFIGURED = deployment(LWS_PLACEMENT_EXTENDER_CONFIGURED="False")
SECOND = deployment(LWS_PLACEMENT_MEMBER_SCHEDULER="second")


@pytest.mark.parametrize(
    ("schedulers", "ours", "use", "words"),
    [
        pytest.param([], {}, Use.UNKNOWN, "cannot be seen", id="nothing to see"),
        pytest.param([], deployment(), Use.UNKNOWN, "cannot be seen", id="no pod of it"),
        pytest.param([PLAIN], deployment(), Use.NO, "without our", id="its own"),
        pytest.param([PLAIN, with_us()], {}, Use.YES, "kube-system/kube-scheduler-b", id="one"),
        pytest.param([with_us(folder="/srv/x")], {}, Use.YES, "has our", id="another folder"),
        pytest.param([], NOT_CONFIGURED, Use.NO, "extender-configured is false", id="variable"),
        pytest.param([], deployment("--extender-configured=false"), Use.NO, "is false", id="flag"),
        pytest.param(
            [], deployment("--extender-configured=true"), Use.UNKNOWN, "seen", id="flag is on"
        ),
        pytest.param([], SECOND, Use.NO, "left to second", id="second scheduler"),
        pytest.param([with_us()], SECOND, Use.YES, "has our", id="what is seen counts more"),
    ],
)
def test_judge(schedulers, ours, use, words):
    found = judge(schedulers, ours)
    assert found.use is use
    assert words in found.words
    assert found.installed == bool(ours)


def test_the_member_scheduler_is_read_from_whichever_container_has_it():
    assert member_scheduler(SECOND) == "second"
    assert member_scheduler(deployment("--member-scheduler=other")) == "other"
    assert member_scheduler(NOT_CONFIGURED) == member_scheduler({}) == ""
