"""A foreign pod that outranks a group has it evicted, whole."""

import pytest
from support.evictions import HIGH, a_foreign_pod, low_has_the_only_slice, states, told
from support.killing import kill_at_every_write


def add_an_urgent_pod(cluster):
    pod = a_foreign_pod("urgent", None, priority=HIGH)
    refused = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}
    refused["message"] = "0/2 nodes are available: 2 Insufficient google.com/tpu."
    pod["status"] = {"phase": "Pending", "conditions": [refused]}
    cluster.server.create("pods", pod, namespace="ns")


def bind_it(cluster):
    """As kube-scheduler does when there is room for it."""

    def bound(pod):
        pod["spec"]["nodeName"] = "a-0"
        pod["status"] = {"phase": "Running"}

    if cluster.server.find("pods", "urgent") and "a-0" not in cluster.places().values():
        cluster.change("pods", "urgent", bound)


async def a_foreign_pod_preempts_a_group(cluster):
    await low_has_the_only_slice(cluster)
    add_an_urgent_pod(cluster)
    await cluster.rest(quiet=1)  # less than its room is kept
    bind_it(cluster)
    await cluster.rest()
    cluster.delete("pods", "urgent")
    await cluster.rest()


async def a_foreign_pod_that_is_never_bound(cluster):
    await low_has_the_only_slice(cluster)
    add_an_urgent_pod(cluster)
    await cluster.rest()
    cluster.delete("pods", "urgent")
    await cluster.rest()


FOREIGN_STORIES = [a_foreign_pod_preempts_a_group, a_foreign_pod_that_is_never_bound]


@pytest.mark.parametrize("story", FOREIGN_STORIES, ids=lambda s: s.__name__)
@pytest.mark.parametrize("brain_away", [0, 3], ids=["at once", "later"])
def test_the_promises_hold_wherever_the_planner_is_killed_for_a_pod(story, brain_away):
    assert kill_at_every_write(story, brain_away=brain_away) >= 4


def test_a_group_goes_whole_for_a_foreign_pod_and_its_room_is_kept():
    async def story(cluster):
        await low_has_the_only_slice(cluster)
        add_an_urgent_pod(cluster)
        await cluster.rest(quiet=1)
        assert cluster.places() == {}
        assert states(cluster) == {"a": {"urgent": "coming"}}
        bind_it(cluster)
        await cluster.rest()
        assert cluster.places() == {"urgent": "a-0"}
        assert states(cluster) == {}
        assert any("for pod ns/urgent" in note for note in cluster.said("Preempted"))

    told(story)


def test_a_pod_that_is_not_bound_all_the_same_is_helped_once():
    async def story(cluster):
        await low_has_the_only_slice(cluster)
        add_an_urgent_pod(cluster)
        await cluster.rest()
        await cluster.rest()
        assert set(cluster.places()) == {"low-0", "low-0-1"}

    assert len(set(told(story).said("Preempting"))) == 1
