"""A foreign pod is on its way to the room of a new hold: found out in time, it costs no pod."""

import asyncio

import pytest
from support.fake_cluster import KEY, FakeCluster
from support.fake_server import matches
from support.virtual_time import run

from lws_placement.engine.base import keys

HOLDS = f"{keys.HOLD_LABEL}=hold"


async def a_cluster():
    cluster = FakeCluster()
    await cluster.start()
    cluster.add_lws()
    await cluster.rest()
    assert cluster.server.find("pods", "llm-0") is not None, "it waits for a slice"
    cluster.brain.api.lists.clear()
    return cluster


def queue(cluster, *, tpu="4", **selector):
    resources = {"requests": {"google.com/tpu": tpu, "cpu": "1"}}
    spec = {"containers": [{"name": "job", "resources": resources}], "nodeSelector": selector}
    pod = {"metadata": {"name": "foreign"}, "spec": spec, "status": {"phase": "Pending"}}
    cluster.server.create("pods", pod, namespace="ns")


def bind_when_held(cluster, node, *, after_s):
    """It was assumed before: its Binding comes when the hold has been written. The planner's watch
    is late, so what it sees of it in time, it has looked for.
    """

    def bind():
        cluster.change("pods", "foreign", lambda pod: pod["spec"].update(nodeName=node))

    def look():
        if not any(matches(lease, HOLDS) for lease in cluster.server.all("leases")):
            return
        cluster.server.after_write.remove(look)
        cluster.brain.api.watching.clear()
        loop = asyncio.get_running_loop()
        loop.call_later(after_s, bind)
        loop.call_later(after_s + 1, cluster.brain.api.watching.set)

    cluster.server.after_write.append(look)


def node_reads(cluster):
    return [p for what, p in cluster.brain.api.lists if what == "pods" and "fieldSelector" in p]


@pytest.mark.parametrize("after_s", [0.0, 0.1])
def test_a_plan_is_made_anew_for_a_foreign_pod_that_was_bound_past_it(after_s):
    async def story():
        cluster = await a_cluster()
        queue(cluster, **{KEY: "a"})
        await asyncio.sleep(1)
        bind_when_held(cluster, "a-0", after_s=after_s)
        cluster.add_slice("a")
        await asyncio.sleep(3)
        cluster.add_slice("b")
        await cluster.rest()
        assert cluster.said("Repairing") == [], "nobody was pinned beside it"
        assert ("delete", "pods") not in cluster.brain.api.writes
        cluster.delete("pods", "foreign")
        await cluster.rest()
        assert set(cluster.places().values()) == {"b-0", "b-1"}
        assert cluster.not_whole() == []
        await cluster.stop()

    run(story())


def test_a_foreign_pod_that_takes_no_room_of_the_group_leaves_the_plan_as_it_is():
    async def story():
        cluster = await a_cluster()
        queue(cluster, tpu="1")
        await asyncio.sleep(1)
        cluster.add_slice("a")
        await cluster.rest()
        assert len(node_reads(cluster)) == 2, "each node once"
        cluster.delete("pods", "foreign")
        await cluster.rest()
        assert set(cluster.places().values()) == {"a-0", "a-1"}
        await cluster.stop()

    run(story())


@pytest.mark.parametrize(
    "asks",
    [
        pytest.param({"tpu": "8"}, id="more than a node has"),
        pytest.param({"tpu": "0"}, id="no device"),
        pytest.param({KEY: "b"}, id="another domain"),
    ],
)
def test_nothing_is_read_nor_waited_for_where_no_queued_pod_could_be_in_the_way(asks):
    async def story():
        cluster = await a_cluster()
        queue(cluster, **asks)
        await asyncio.sleep(1)
        cluster.add_slice("a")
        await cluster.rest()
        assert node_reads(cluster) == []
        await cluster.stop()

    run(story())
