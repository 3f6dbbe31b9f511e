"""A leader that waits carries the reason, until its gate is taken off
(`planner/leader_annotations.py`).
"""

import asyncio
import json
from types import SimpleNamespace

from support.fake_cluster import FakeCluster
from support.virtual_time import run

from lws_placement.engine.base import keys
from lws_placement.planner.leader_annotations import LeaderAnnotations


def story(tell):
    async def told():
        cluster = FakeCluster()
        await cluster.start()
        await tell(cluster)
        await cluster.stop()

    run(told())


def condition(cluster, pod="llm-0"):
    text = cluster.server.find("pods", pod)["metadata"]["annotations"].get(keys.CONDITION)
    return json.loads(text) if text is not None else None


def patches(cluster):
    return sum(
        resource == "pods" and verb == "patch" for verb, resource in cluster.brain.api.writes
    )


def test_a_leader_that_waits_says_why_until_it_is_placed():
    async def tell(cluster):
        cluster.add_slice("a", nodes=1)
        cluster.add_lws()
        await cluster.rest()
        said = condition(cluster)
        assert (said["type"], said["status"], said["reason"]) == (
            "Placed",
            "False",
            "WaitingForDomain",
        )
        assert said["message"] == cluster.said("WaitingForDomain")[-1]
        cluster.add_slice("b")
        await cluster.rest()
        assert cluster.not_whole() == []
        assert condition(cluster) is None

    story(tell)


def test_a_leader_is_not_patched_anew_for_numbers():
    async def tell(cluster):
        cluster.add_slice("a", nodes=1)
        cluster.add_lws()
        await cluster.rest()
        before = patches(cluster)
        for name in ("b", "c"):
            cluster.add_slice(name, nodes=1)
            await cluster.rest()
        assert patches(cluster) == before == 1

    story(tell)


def test_a_group_that_is_placed_at_once_costs_no_patch_but_the_pins():
    async def tell(cluster):
        cluster.add_lws()
        await asyncio.sleep(0.1)
        cluster.add_slice("a")
        await cluster.rest()
        assert cluster.not_whole() == []
        assert patches(cluster) == 1, "the leader's pin; its worker is pinned at admission"

    story(tell)


class Leaders:
    """API and cache in one, of gated leaders named as their groups; notes who is told."""

    def __init__(self):
        self.told = []
        self.meanwhile = lambda: None

    async def patch(self, path, body):
        self.told.append(path.rpartition("/")[2])
        self.meanwhile()
        return body

    def group_pods(self, group):
        return [
            SimpleNamespace(
                namespace="ns",
                name=group,
                uid=group,
                resource_version="1",
                gated=True,
                terminating=False,
                member=SimpleNamespace(rank=0),
            )
        ]

    def put_written_pod(self, raw):
        pass


def test_who_is_placed_while_another_is_told_keeps_nobody_from_being_told():
    async def tell():
        leaders = Leaders()
        annotations = LeaderAnnotations(leaders, leaders)
        leaders.meanwhile = lambda: annotations.placed("b")
        for group in ("a", "b", "c"):
            annotations.waits(group, reason="WaitingForDomain", message="why", gist="")
        await asyncio.sleep(60)
        assert leaders.told == ["a", "c"]

    run(tell())
