"""Numbers that went past admission, or that somebody wrote into our StatefulSet: nothing is made of
them, and nothing as large as they say.
"""

import pytest
from support.rollout_cluster import RolloutCluster
from support.virtual_time import run

from lws_placement.controller.group_states import progress_of
from lws_placement.engine.lws.rollout import Asked, Progress, Step, Strategy, next_step


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ({"size": 2_000_000_000}, "spec.leaderWorkerTemplate.size: Invalid value: 2000000000"),
        ({"replicas": 2_000_000_000}, "spec.replicas: Invalid value: 2000000000"),
        ({"rolling": {"maxSurge": "lots"}}, "maxSurge: Invalid value"),
    ],
)
def test_a_set_of_impossible_numbers_is_blocked_and_has_no_children(spec, says):
    async def story():
        cluster = RolloutCluster()
        await cluster.start()
        cluster.add_lws("huge", **spec)
        cluster.add_lws("llm")
        await cluster.rest()
        assert [s["metadata"]["name"] for s in cluster.server.all("statefulsets")] == [
            "llm",
            "llm-0",
            "llm-1",
        ]
        conditions = cluster.server.find("leaderworkersets", "huge")["status"]["conditions"]
        blocked = next(c for c in conditions if c["type"] == "Blocked")
        assert blocked["reason"] == "InvalidSpec"
        assert says in blocked["message"]
        await cluster.stop()

    run(story())


def test_a_set_that_is_put_right_is_carried_out():
    async def story():
        cluster = RolloutCluster()
        await cluster.start()
        cluster.add_lws(replicas=2_000_000_000)
        await cluster.rest()
        assert cluster.conditions()["Blocked"] == "True"
        cluster.edit(replicas=2)
        await cluster.rest()
        assert cluster.ready_groups() == 2
        assert cluster.conditions()["Blocked"] == "False"
        await cluster.stop()

    run(story())


def test_a_stateful_set_that_was_scaled_by_hand_to_any_number_is_scaled_back():
    progress = progress_of((), replicas=2_000_000_000, revision="r", annotations=())
    assert len(progress) <= 2_000_000
    asked = Asked(partition=0, replicas=2_000_000_000, for_replicas=2)
    assert next_step(Strategy(replicas=2), asked, progress, changed=False) == Step(0, 2)


def test_a_step_among_a_million_groups_looks_at_each_of_them_a_few_times():
    number, half = 1_000_000, 500_000
    groups = [Progress(old=True)] * half + [Progress(ready=True, old=True)] * half
    strategy = Strategy(replicas=number, unavailable=600_000)
    asked = Asked(partition=number, replicas=number, for_replicas=number)
    step = next_step(strategy, asked, groups, changed=False)
    assert step == Step(900_000, number), "400 000 ready ones are left below"
