"""Which pods are in trouble, and when that restarts their group."""

import pytest
from support.lws_objects import an_lws

from lws_placement.engine.lws.restart import PodState, calls_for_restart, why_no_restart


def a_pod(name, **fields):
    index = "0" if name.count("-") == 1 else name.rsplit("-", 1)[1]
    made = {
        "namespace": "default",
        "name": name,
        "uid": f"uid-{name}",
        "lws": "lws",
        "worker_index": index,
        "group_index": "0",
        "revision": "r",
        "phase": "Running",
        "ready": True,
        "node": "n",
        "restarted": False,
        "terminating": False,
        "owner_uid": "sts",
        "leader_name": "lws-0",
        "has_leader_annotation": False,
    }
    return PodState(**(made | fields))


@pytest.mark.parametrize(
    ("pod", "is_trouble"),
    [
        (a_pod("lws-0-1"), False),
        (a_pod("lws-0-1", restarted=True), True),
        (a_pod("lws-0-1", terminating=True), True),
        (a_pod("lws-0-1", terminating=True, node="", phase="Pending"), False),
        (a_pod("lws-0-1", terminating=True, node="", phase="Running"), True),
        (a_pod("lws-0-1", restarted=True, node="", phase="Pending"), True),
        (a_pod("lws-0-1", phase="Failed"), True),
        (a_pod("lws-0-1", phase="Succeeded"), False),
    ],
)
def test_what_counts_as_trouble(pod, is_trouble):
    assert calls_for_restart(pod) == is_trouble


@pytest.mark.parametrize(
    ("policy", "leader", "owner", "group", "restarts"),
    [
        ("RecreateGroupOnPodRestart", a_pod("lws-0"), "uid-lws-0", 2, True),
        ("None", a_pod("lws-0"), "uid-lws-0", 2, False),
        ("RecreateGroupOnPodRestart", None, "uid-lws-0", 2, False),
        ("RecreateGroupOnPodRestart", a_pod("lws-0", terminating=True), "uid-lws-0", 2, False),
        ("RecreateGroupOnPodRestart", a_pod("lws-0", revision="x"), "uid-lws-0", 2, False),
        ("RecreateGroupOnPodRestart", a_pod("lws-0"), "an earlier leader", 2, False),
        ("RecreateGroupOnPodRestart", a_pod("lws-0"), None, 2, False),
        ("RecreateGroupAfterStart", a_pod("lws-0"), "uid-lws-0", 1, False),
        ("RecreateGroupAfterStart", a_pod("lws-0"), "uid-lws-0", 2, True),
    ],
)
def test_when_a_worker_restarts_its_group(policy, leader, owner, group, restarts):
    pods = [a_pod("lws-0"), a_pod("lws-0-1")][:group]
    why_not = why_no_restart(
        an_lws(template={"restartPolicy": policy}),
        a_pod("lws-0-1", restarted=True),
        leader=leader,
        workers_owner=owner,
        group=pods,
    )
    assert (why_not is None) == restarts
