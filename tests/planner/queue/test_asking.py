"""Of many groups that wait for several domains each, a few are planned when there may be room."""

import asyncio

from support.evictions import told

from lws_placement.engine.base import keys
from lws_placement.engine.reconcile import placement as placing

GANGS = 20


def count_plans(monkeypatch):
    """Of the whole cluster, for whom."""
    planned = []

    def counting(real):
        def plan(group, *args, **more):
            planned.append(group.id.lws)
            return real(group, *args, **more)

        return plan

    for name in ("plan_multi_domain", "place_multi_domain"):
        monkeypatch.setattr(placing, name, counting(getattr(placing, name)))
    return planned


async def gangs_wait(cluster):
    cluster.add_slice("a", nodes=1)
    cluster.add_lws("big", replicas=GANGS, notes={keys.GANG: "true"})
    await cluster.rest()
    assert cluster.places() == {}


def test_room_that_is_too_small_costs_one_look_and_not_one_for_each_that_waits(monkeypatch):
    planned = count_plans(monkeypatch)

    async def story(cluster):
        await gangs_wait(cluster)
        planned.clear()
        cluster.change("nodes", "a-0", lambda n: n["metadata"]["labels"].update(now="other"), "")
        await asyncio.sleep(1)

    told(story)
    assert 1 <= len(planned) < 4


def test_as_many_are_placed_as_there_is_room_for_and_in_order():
    first = []

    async def story(cluster):
        await gangs_wait(cluster)
        leaders = sorted(cluster.pods(), key=_in_order)
        first.extend(pod["metadata"]["name"] for pod in leaders[:3])
        for name in ("b", "c", "d"):
            cluster.add_slice(name)
        await cluster.rest()

    cluster = told(story)
    placed = {name for name in cluster.places() if name.count("-") == 1}
    assert placed == set(first)


def _in_order(leader):
    meta = leader["metadata"]
    return meta["creationTimestamp"], meta["labels"][keys.LWS_GROUP_KEY]


def test_what_an_earlier_group_waits_for_is_refused_to_later_ones_alone():
    """The first waits for both slices; the later ones would each do with one."""

    async def story(cluster):
        cluster.add_slice("a")
        cluster.add_slice("b")
        cluster.add_lws("runs", notes={keys.GANG: "true"})
        await cluster.rest()
        cluster.add_lws("first", size=4, notes={keys.GANG: "true"})
        await cluster.rest()
        cluster.add_lws("later", replicas=3, notes={keys.GANG: "true"})
        await cluster.rest()
        assert {name.split("-")[0] for name in cluster.places()} == {"runs"}
        cluster.delete("leaderworkersets", "runs")
        await cluster.rest()

    cluster = told(story)
    assert {name.split("-")[0] for name in cluster.places()} == {"first"}
