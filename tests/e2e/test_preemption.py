"""Whole groups preempted for groups that outrank them, on the real control plane."""

import json

import pytest
from e2e.leaders import leader_of, make_lead
from e2e.servers import start
from e2e.stack import LWS

GPUS = {"nvidia.com/gpu": "8"}


@pytest.fixture
def classes(scene):
    """low 0, middle 100, high 1000, and polite: as high, but it preempts nobody."""
    made = {
        "low": {"value": 0},
        "middle": {"value": 100},
        "high": {"value": 1000},
        "polite": {"value": 1000, "preemptionPolicy": "Never"},
    }
    names = {short: f"{scene.namespace}-{short}" for short in made}
    scene.create(
        *(
            {
                "apiVersion": "scheduling.k8s.io/v1",
                "kind": "PriorityClass",
                "metadata": {"name": names[short]},
                **fields,
            }
            for short, fields in made.items()
        )
    )
    yield names
    scene.kubectl("delete", "priorityclass", *names.values(), "--wait=false")


def a_set(scene, name, priority_class, **more):
    lws = scene.lws(name, **more)
    template = lws["spec"]["leaderWorkerTemplate"]["workerTemplate"]
    template["spec"]["priorityClassName"] = priority_class
    return lws


def a_foreign_pod(scene, name, node, priority_class, resources):
    pod = scene.filler(node, resources, name=name)
    pod["spec"]["priorityClassName"] = priority_class
    return pod


def a_budget(scene, lws):
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": "keep", "namespace": scene.namespace},
        "spec": {"maxUnavailable": 0, "selector": {"matchLabels": {f"{LWS}/name": lws}}},
    }


def uids(pods):
    return {p["metadata"]["uid"] for p in pods}


def waits(scene, lws):
    """The group has been told that it waits."""
    return any(
        e["reason"] == "WaitingForDomain" and e["regarding"]["name"] == lws
        for e in scene.get("events.events.k8s.io")
    )


def low_has_the_only_slice(scene, classes):
    scene.pool(1)
    scene.create(a_set(scene, "low", classes["low"]))
    scene.wait_bound(4, "low")


@pytest.mark.upstream_too
def test_a_group_spread_over_a_slice_goes_whole_for_a_leader_that_outranks_it(scene, classes):
    low_has_the_only_slice(scene, classes)
    before = uids(scene.bound("low"))
    scene.create(a_set(scene, "high", classes["high"]))
    scene.wait_bound(4, "high")
    assert scene.bound("low") == []
    assert not before & uids(scene.members("low"))
    assert scene.broken_promises() == []
    (hold,) = scene.holds()
    assert [h["lws"] for h in hold["holders"]] == ["high"]
    (said,) = scene.wait(lambda: {e["note"] for e in events(scene, "Preempting")}, "it is told")
    assert "over from group" in said
    assert "(priority 0, 4 pods)" in said
    scene.wait(
        lambda: any("for group" in e["note"] for e in events(scene, "Preempted")), "it is told"
    )
    scene.kubectl("delete", "lws", "high")
    scene.wait_bound(4, "low")


def events(scene, reason):
    return [e for e in scene.get("events.events.k8s.io") if e["reason"] == reason]


def test_no_eviction_that_does_not_help(scene, classes):
    """4 nodes of 8 GPUs, on each a pod of higher priority with 6 and one of lower with 2."""
    nodes = scene.pool(1, capacity=GPUS)
    foreign = [
        a_foreign_pod(scene, f"{name}-{i}", node, classes[name], {"nvidia.com/gpu": number})
        for i, node in enumerate(nodes)
        for name, number in (("high", "6"), ("low", "2"))
    ]
    scene.create(*foreign)
    before = uids(scene.get("pods"))
    scene.create(a_set(scene, "llm", classes["middle"], resources=GPUS | {"cpu": "1"}))
    scene.wait(lambda: waits(scene, "llm"), "the group waits")
    left = [p for p in scene.get("pods") if p["metadata"]["uid"] in before]
    assert uids(left) == before
    assert not any(p["metadata"].get("deletionTimestamp") for p in left)
    assert scene.holds() == []


def test_foreign_pods_go_only_as_far_as_their_room_is_needed(scene, classes):
    nodes = scene.pool(1, 2, capacity=GPUS)
    scene.create(
        *(
            a_foreign_pod(scene, f"x-{i}{k}", node, classes["low"], {"nvidia.com/gpu": "2"})
            for i, node in enumerate(nodes)
            for k in range(4)
        )
    )
    four = {"nvidia.com/gpu": "4", "cpu": "1"}
    scene.create(a_set(scene, "llm", classes["high"], size=2, resources=four))
    scene.wait_bound(2, "llm")
    left = [p for p in scene.get("pods") if p["metadata"]["name"].startswith("x-")]
    assert len(left) == 4
    scene.wait(lambda: len(events(scene, "Preempted")) == 4, "four are told of")


@pytest.mark.parametrize("who", ["low", "polite"])
def test_an_equal_or_a_polite_group_waits(scene, classes, who):
    low_has_the_only_slice(scene, classes)
    before = uids(scene.bound("low"))
    scene.create(a_set(scene, "other", classes[who]))
    scene.wait(lambda: waits(scene, "other"), "the other group waits")
    assert uids(scene.bound("low")) == before


@pytest.mark.upstream_too
def test_a_budget_is_respected_and_then_gone(scene, classes):
    low_has_the_only_slice(scene, classes)
    scene.create(a_budget(scene, "low"))
    scene.wait(
        lambda: scene.one("pdb", "keep").get("status", {}).get("expectedPods") == 4,
        "the budget counts the group",
    )
    before = uids(scene.bound("low"))
    scene.create(a_set(scene, "high", classes["high"]))
    scene.wait(lambda: waits(scene, "high"), "the high group waits")
    assert uids(scene.bound("low")) == before
    scene.kubectl("delete", "pdb", "keep")
    scene.wait_bound(4, "high")
    assert scene.bound("low") == []


def test_the_next_planner_finishes_what_a_killed_one_began(scene, classes):
    """The victims' pods hang on a finalizer while the leading planner is killed."""
    low_has_the_only_slice(scene, classes)
    make_lead(scene, "brain-b")
    victims = [p["metadata"]["name"] for p in scene.bound("low")]
    finalizer = {"metadata": {"finalizers": ["example.com/slow"]}}
    scene.kubectl("patch", "pod", *victims, "--type=merge", "-p", json.dumps(finalizer))
    scene.create(a_set(scene, "high", classes["high"]))
    scene.wait(
        lambda: [h["state"] for h in holders(scene)] == ["coming", "leaving"],
        "the victim gives way",
    )
    scene.installation.kill_server("brain-b")
    try:
        scene.wait(lambda: leader_of(scene) == "brain-a", "brain-a leads")
        release = {"metadata": {"finalizers": None}}
        scene.kubectl("patch", "pod", *victims, "--type=merge", "-p", json.dumps(release))
        scene.wait_bound(4, "high")
        assert scene.bound("low") == []
        assert scene.broken_promises() == []
    finally:
        start(scene.installation, "brain-b")


@pytest.mark.upstream_too
def test_a_group_goes_whole_for_one_foreign_pod_that_outranks_it(scene, classes):
    """kube-scheduler alone would evict one worker, and the group would be back on three nodes."""
    low_has_the_only_slice(scene, classes)
    before = uids(scene.bound("low"))
    urgent = scene.filler("", name="urgent")
    del urgent["spec"]["nodeName"]
    urgent["spec"] |= {
        "nodeSelector": {"pool": scene.namespace},
        "priorityClassName": classes["high"],
    }
    scene.create(urgent)
    scene.wait(lambda: scene.one("pod", "urgent")["spec"].get("nodeName"), "the pod is bound")
    scene.wait(lambda: scene.holds() == [], "its room is its own")
    assert scene.bound("low") == []
    scene.wait(
        lambda: any("for pod" in e["note"] for e in events(scene, "Preempted")), "it is told"
    )
    scene.kubectl("delete", "pod", "urgent", "--wait=false")
    scene.wait_bound(4, "low")
    assert not before & uids(scene.bound("low"))


def with_subgroups(scene, lws, size):
    """Each alone in a slice, instead of the group in one."""
    notes = lws["metadata"]["annotations"]
    del notes[f"{LWS}/exclusive-topology"]
    notes[f"{LWS}/subgroup-exclusive-topology"] = scene.key
    lws["spec"]["leaderWorkerTemplate"]["subGroupPolicy"] = {"subGroupSize": size}
    return lws


@pytest.mark.upstream_too
def test_two_groups_go_whole_for_one_that_needs_a_slice_for_each_subgroup(scene, classes):
    """Of three slices the one of the highest priority is left alone."""
    scene.pool(3, 2)
    scene.create(a_set(scene, "middle", classes["middle"], size=2))
    scene.wait_bound(2, "middle")
    scene.create(a_set(scene, "low", classes["low"], size=2, replicas=2))
    scene.wait_bound(4, "low")
    before = uids(scene.bound("middle"))
    scene.create(with_subgroups(scene, a_set(scene, "high", classes["high"], size=4), 2))
    scene.wait_bound(4, "high")
    assert scene.bound("low") == []
    assert uids(scene.bound("middle")) == before
    found = holders(scene)
    assert sorted(h["lws"] for h in found) == ["high", "high", "middle"]
    assert {h["state"] for h in found} == {"active"}
    assert len({h["plan"] for h in found if h["lws"] == "high"}) == 1
    (said,) = scene.wait(lambda: {e["note"] for e in events(scene, "Preempting")}, "it is told")
    assert said.count("(priority 0, 2 pods)") == 2
    scene.kubectl("delete", "lws", "high")
    scene.wait_bound(4, "low")


@pytest.mark.upstream_too
def test_a_gang_takes_the_room_of_a_group_that_it_outranks(scene, classes):
    scene.pool(1, 2)
    scene.create(a_set(scene, "low", classes["low"], size=2))
    scene.wait_bound(2, "low")
    gang = a_set(scene, "high", classes["high"], size=2)
    gang["metadata"]["annotations"] = {"lws-placement.dev/gang": "true"}
    template = gang["spec"]["leaderWorkerTemplate"]["workerTemplate"]["spec"]
    template["nodeSelector"] = {"pool": scene.namespace}
    scene.create(gang)
    scene.wait_bound(2, "high")
    assert scene.bound("low") == []


def holders(scene):
    """Of all domains, by state."""
    found = [h for hold in scene.holds() for h in hold["holders"]]
    return sorted(found, key=lambda h: h["state"])
