"""A user may remove LeaderWorkerSet's labels from a leader: its workers are not made, and why."""

import pytest
from support.rollout_cluster import RolloutCluster
from support.virtual_time import run

from lws_placement.engine.base import keys


@pytest.mark.parametrize("label", [keys.LWS_GROUP_INDEX, keys.LWS_GROUP_KEY])
def test_a_leader_without_a_label_of_its_group_gets_no_workers_and_an_event(label, caplog):
    async def story():
        cluster = RolloutCluster()
        await cluster.start()
        relabelled = []

        def relabel():
            """The moment the leader is there."""
            there = any(p["metadata"]["name"] == "llm-0" for p in cluster.pods())
            if there and not relabelled:
                relabelled.append(True)
                cluster.change("pods", "llm-0", lambda pod: pod["metadata"]["labels"].pop(label))

        cluster.server.after_write.append(relabel)
        cluster.add_lws(replicas=1)
        await cluster.rest()
        assert [p["metadata"]["name"] for p in cluster.pods()] == ["llm-0"]
        assert any(label in note for note in cluster.said("FailedCreate"))
        await cluster.stop()

    run(story())
    assert [r for r in caplog.records if r.exc_info] == []
