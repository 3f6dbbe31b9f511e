"""Preemption by the planner: whole groups, and nobody in vain."""

import pytest
from support.evictions import HIGH, forbid_evictions, low_has_the_only_slice, states, told


def test_the_victim_waits_and_has_no_right_of_return():
    async def story(cluster):
        await low_has_the_only_slice(cluster)
        cluster.add_lws("high", priority=HIGH)
        await cluster.rest()
        assert states(cluster) == {"a": {"high": "active"}}
        assert set(cluster.places()) == {"high-0", "high-0-1"}

    cluster = told(story)
    (preempting,) = set(cluster.said("Preempting"))
    assert preempting.startswith("group 0 takes example.com/slice=a over from group ns/low-0 ")
    assert preempting.endswith(" (priority 0, 2 pods)")
    (preempted,) = set(cluster.said("Preempted"))
    assert preempted == ("evicted from example.com/slice=a for group ns/high-0, which outranks it")


def test_while_victims_go_the_domain_is_nobodys_but_the_preemptors():
    async def story(cluster):
        await low_has_the_only_slice(cluster)
        cluster.kubelets = False
        cluster.add_lws("high", priority=HIGH)
        cluster.add_lws("other", priority=HIGH)
        await cluster.rest()
        assert states(cluster) == {"a": {"low": "leaving", "high": "coming"}}
        cluster.kubelets = True
        await cluster.rest()
        assert set(cluster.places()) == {"high-0", "high-0-1"}

    told(story)


@pytest.mark.parametrize(
    "spec",
    [
        pytest.param({"priority": 0}, id="of the same priority"),
        pytest.param({"priority": HIGH, "preemptionPolicy": "Never"}, id="preemptionPolicy Never"),
    ],
)
def test_who_may_not_preempt_waits(spec):
    async def story(cluster):
        await low_has_the_only_slice(cluster)
        cluster.add_lws("high", **spec)
        await cluster.rest()
        assert set(cluster.places()) == {"low-0", "low-0-1"}

    told(story)


@pytest.mark.parametrize(
    ("of_workers", "preempts"), [("high", True), ("low", False), (None, False)]
)
def test_a_group_preempts_by_what_its_workers_to_come_will_have(of_workers, preempts):
    """A leader of a high class, with workers of another, would have all of its workers' room
    cleared for them.
    """

    def classes(lws):
        template = lws["spec"]["leaderWorkerTemplate"]
        spec = template["workerTemplate"]["spec"]
        template["leaderTemplate"] = {"spec": {**spec, "priorityClassName": "high"}}
        if of_workers is not None:
            template["workerTemplate"] = {"spec": {**spec, "priorityClassName": of_workers}}

    async def story(cluster):
        await low_has_the_only_slice(cluster)
        cluster.add_lws("high", priority=HIGH)
        cluster.change("leaderworkersets", "high", classes)
        await cluster.rest()
        winner = "high" if preempts else "low"
        assert set(cluster.places()) == {f"{winner}-0", f"{winner}-0-1"}

    told(story)


def test_what_a_budget_protects_is_preempted_when_the_budget_allows_it():
    async def story(cluster):
        await low_has_the_only_slice(cluster)
        forbid_evictions(cluster, "low")
        cluster.add_lws("high", priority=HIGH)
        await cluster.rest()
        assert set(cluster.places()) == {"low-0", "low-0-1"}
        assert states(cluster) == {"a": {"low": "active"}}
        assert (
            "PodDisruptionBudget ns/keep allows 0 of 2 evictions"
            in cluster.said("WaitingForDomain")[-1]
        )
        cluster.change(
            "poddisruptionbudgets", "keep", lambda b: b["status"].update(disruptionsAllowed=2)
        )
        await cluster.rest()
        assert set(cluster.places()) == {"high-0", "high-0-1"}

    told(story)


def test_a_domain_that_is_free_in_time_is_taken_instead():
    async def story(cluster):
        await low_has_the_only_slice(cluster)
        cluster.add_slice("b")
        cluster.add_lws("high", priority=HIGH)
        await cluster.rest()
        assert set(cluster.places()) == {"low-0", "low-0-1", "high-0", "high-0-1"}
        assert cluster.said("Preempted") == []

    told(story)


def test_nobody_is_evicted_for_a_group_that_is_deleted_at_once():
    async def story(cluster):
        await low_has_the_only_slice(cluster)
        cluster.add_lws("high", priority=HIGH)
        cluster.delete("leaderworkersets", "high")
        await cluster.rest()
        assert set(cluster.places()) == {"low-0", "low-0-1"}
        assert states(cluster) == {"a": {"low": "active"}}

    told(story)
