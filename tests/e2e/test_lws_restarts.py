"""Restart policies, with the real StatefulSet controller, scheduler and garbage
collector. Names in brackets are the cases of LeaderWorkerSet's own tests that a test stands for
(`tests/lws_cases.md`).
"""

import pytest
from e2e.groups import (
    all_new,
    light,
    messages,
    of_group,
    replaced,
    restart_container,
    sets,
    start,
    uids,
    wait_available,
)
from e2e.stack import LWS


def test_policy_none_replaces_a_worker_alone(scene):
    """[ctl-18]"""
    start(scene, light(scene, size=3, restart="None"), 1)
    before = uids(scene)
    scene.kubectl("delete", "pod", "llm-0-1", "--wait=false")
    scene.wait(lambda: replaced(scene, "llm-0-1", before["llm-0-1"]), "a new worker")
    now = uids(scene)
    assert (now["llm-0"], now["llm-0-2"]) == (before["llm-0"], before["llm-0-2"])
    assert scene.events("RecreateGroup") == []


@pytest.mark.parametrize("how", ["deleted", "its container restarted"])
def test_trouble_of_one_worker_recreates_its_group(scene, how):
    """[e2e-16, ctl-19]: that group, and no other."""
    start(scene, light(scene, replicas=2, size=3), 2)
    before = uids(scene)
    if how == "deleted":
        scene.kubectl("delete", "pod", "llm-1-2", "--wait=false")
    else:
        restart_container(scene, "llm-1-2")
    scene.wait(lambda: all_new(of_group(uids(scene), 1), of_group(before, 1)), "group 1 is all new")
    assert of_group(uids(scene), 0) == of_group(before, 0)
    wait_available(scene, 2)
    words = "Worker pod llm-1-2 failed, deleted leader pod llm-1 to recreate group 1"
    assert words in messages(scene, "RecreateGroup")


AFTER_START = f"{LWS}/experimental-recreate-group-after-start"


@pytest.mark.parametrize(
    "how",
    [
        pytest.param({"annotations": {AFTER_START: ""}}, id="ctl-20"),
        pytest.param({"restart": "RecreateGroupAfterStart"}, id="ctl-21"),
    ],
)
def test_a_group_that_has_not_started_is_not_recreated(scene, how):
    """Two nodes with room for one pod each, so the third stays Pending."""
    scene.pool(1, 2)
    scene.create(light(scene, size=3, resources={"cpu": "40"}, **how))
    scene.wait(lambda: len(uids(scene)) == 3 and len(scene.bound()) == 2, "two of three run")
    victim = scene.wait(lambda: _running(scene), "a worker or leader runs")
    before = uids(scene)
    restart_container(scene, victim)
    scene.kubectl("annotate", "lws", "llm", "look=again")
    scene.wait(
        lambda: sets(scene)["llm"]["metadata"]["annotations"].get("look"), "it was looked at"
    )
    assert uids(scene) == before
    assert scene.events("RecreateGroup") == []


def _running(scene):
    found = [p["metadata"]["name"] for p in scene.members() if p["status"]["phase"] == "Running"]
    return next((name for name in sorted(found, reverse=True)), None)


def test_a_group_that_has_started_is_recreated_after_start(scene):
    """[ctl-22]"""
    start(scene, light(scene, size=3, restart="RecreateGroupAfterStart"), 1)
    before = uids(scene)
    restart_container(scene, "llm-0-1")
    scene.wait(lambda: all_new(uids(scene), before), "the group is all new")
    scene.wait_told("RecreateGroup")
