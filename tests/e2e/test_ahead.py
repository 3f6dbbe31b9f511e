"""Groups that are held before they have a pod: all of them pinned at admission, none gated."""

import pytest
from e2e.group_facts import no_pods


@pytest.mark.upstream_too
def test_pods_of_a_group_that_was_planned_ahead_never_carry_a_gate(scene):
    scene.pool(2)
    scene.create(no_pods(scene))
    scene.create(scene.lws(replicas=2))
    scene.wait(lambda: len(scene.holds()) == 2, "both groups hold a domain without a pod")
    scene.kubectl("delete", "resourcequota", "no-pods")
    scene.kubectl("annotate", "statefulset", "llm", "quota=gone")  # is looked at again at once
    scene.wait_bound(8)
    assert {admitted(pod) for pod in scene.members()} == {"pinned"}
    assert scene.broken_promises() == []


@pytest.mark.upstream_too
def test_a_group_without_pods_yields_its_domain_to_one_that_waits(scene, other_scene):
    scene.pool(1)
    scene.create(no_pods(scene))
    scene.create(scene.lws())
    scene.wait(lambda: scene.holds(), "the group holds the domain without a pod")
    waits = scene.lws("waits")
    waits["metadata"]["namespace"] = other_scene.namespace
    other_scene.create(waits)
    other_scene.wait(lambda: other_scene.notes("WaitingForDomain"), "the other one waits")
    other_scene.wait_bound(4)
    assert [h["lws"] for hold in scene.holds() for h in hold["holders"]] == ["waits"]


def admitted(pod):
    return pod["metadata"]["annotations"]["lws-placement.dev/admitted"]
