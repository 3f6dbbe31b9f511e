"""Where the API server adds tolerations for extended resources, members that do not exist yet are
planned with them, and others are not deceived by it.
"""

import asyncio

from support import replicas
from support.fake_cluster import a_cluster
from support.virtual_time import run

from lws_placement.engine.base import keys

TAINT = {"key": "google.com/tpu", "value": "present", "effect": "NoSchedule"}
LIE = {"key": keys.MEMBER_MARKER, "operator": "Exists", "effect": "NoSchedule"}
CPU = {"containers": [{"name": "router", "resources": {"requests": {"cpu": "1"}}}]}


async def tainted(*, on, **slices):
    cluster = await a_cluster()
    cluster.gate.adds_tolerations = on
    for name, nodes in (slices or {"a": 2}).items():
        cluster.add_slice(name, nodes=nodes, taints=[TAINT])
    return cluster


def test_a_group_is_placed_whole_on_nodes_that_its_template_does_not_tolerate():
    async def story():
        cluster = await tainted(on=True)
        cluster.add_lws()
        await cluster.rest()
        assert cluster.not_whole() == []
        assert cluster.broken == []
        await cluster.stop()

    run(story())


def test_without_the_plugin_it_waits_and_is_told_of_the_taint():
    async def story():
        cluster = await tainted(on=False)
        cluster.add_lws()
        await cluster.rest()
        assert cluster.holds() == {}
        assert "taint google.com/tpu=present:NoSchedule" in cluster.said("WaitingForDomain")[-1]
        await cluster.stop()

    run(story())


def test_once_it_was_seen_groups_are_planned_ahead_of_their_pods():
    async def story():
        cluster = await tainted(on=True, a=2, b=2)
        cluster.add_lws()
        await cluster.rest()
        cluster.controllers.without_pods = {"next"}
        cluster.add_lws("next")
        await cluster.rest()
        assert {h["lws"] for h in cluster.holds().values()} == {"llm", "next"}
        cluster.controllers.without_pods = set()
        await cluster.rest()
        assert cluster.not_whole() == []
        await cluster.stop()

    run(story())


def test_before_it_was_seen_nothing_is_planned_ahead_on_tainted_nodes():
    async def story():
        cluster = await tainted(on=True)
        cluster.controllers.without_pods = {"llm"}
        cluster.add_lws()
        await cluster.rest()
        assert cluster.holds() == {}
        await cluster.stop()

    run(story())


def with_a_leader_on_other_nodes(lws):
    lws["spec"]["leaderWorkerTemplate"]["leaderTemplate"] = {"spec": CPU}


def without_accelerators(node):
    del node["status"]["allocatable"]["google.com/tpu"]


def test_a_template_that_pretends_to_it_keeps_nobody_elses_leader_running_alone():
    """The leader needs no accelerator and has a node; its worker would find none."""

    async def story():
        cluster = await tainted(on=False, a=1)
        cluster.add_slice("a", nodes=2, first=1)
        cluster.change("nodes", "a-1", without_accelerators, namespace="")
        cluster.add_lws("liar", size=1, tolerations=[LIE, {**LIE, "key": "google.com/tpu"}])
        await cluster.rest()
        cluster.delete("leaderworkersets", "liar")
        await cluster.rest()
        cluster.controllers.without_pods = {"llm"}
        cluster.add_lws()
        cluster.change("leaderworkersets", "llm", with_a_leader_on_other_nodes)
        await cluster.rest()
        assert set(cluster.holds()) == {"a"}, "it is planned ahead in vain"
        cluster.controllers.without_pods = set()
        await cluster.rest()
        await asyncio.sleep(replicas.HOLD_S)
        await cluster.rest()
        assert cluster.places() == {}
        assert cluster.holds() == {}
        assert "taint google.com/tpu=present:NoSchedule" in cluster.said("WaitingForDomain")[-1]
        await cluster.stop()

    run(story())
