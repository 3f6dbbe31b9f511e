"""/metrics as Prometheus reads it, after real actions."""

import asyncio
from dataclasses import replace

from support.decisions import KEY, WHOLE_NODE, a_hold, a_member, a_seen, a_slice, bind, decide, held
from support.scrape import moved, scrape

from lws_placement.cluster.adapters.hold_counts import count_figures
from lws_placement.cluster.api.watch import Watcher
from lws_placement.cluster.cache.cluster_cache import ClusterCache
from lws_placement.cluster.cache.topology_index import TopologyIndex
from lws_placement.engine.model.groups import Occupant
from lws_placement.engine.model.hold_states import HoldState
from lws_placement.engine.model.verdicts import NoFit, Reason, Why
from lws_placement.engine.model.workload import LwsInfo, Templates
from lws_placement.engine.objects.nodes import DomainName
from lws_placement.engine.objects.placement_request import PlacementRequest
from lws_placement.errors import ApiError, ExpiredError
from lws_placement.metrics import Waiting, figures_reported, waiting_for
from lws_placement.planner.wait_metrics import WaitingGroups

GUARDED = frozenset({"google.com/tpu"})


async def test_every_family_is_there_before_anything_happens():
    names = {name[0] for name in await scrape()}
    assert names >= {
        "lws_placement_waiting_groups",
        "lws_placement_wait_seconds_count",
        "lws_placement_plan_seconds_count",
        "lws_placement_repairs_total",
        "lws_placement_admissions_total",
        "lws_placement_binds_total",
        "lws_placement_guard_refusals_total",
        "lws_placement_leader",
        "lws_placement_watch_reconnects_total",
    }


async def test_holds_and_domains_are_counted_by_state_while_somebody_leads():
    index = TopologyIndex()
    cache = ClusterCache(index)
    for name in ("a", "b", "c", "d"):
        a_slice(index, name)
    index.put_occupant("b-0", Occupant("foreign", WHOLE_NODE), owner_uid="")
    cache.put_lws(
        LwsInfo(
            "ns",
            "llm",
            "u",
            1,
            PlacementRequest(topology=KEY),
            Templates(2, WHOLE_NODE, WHOLE_NODE),
        )
    )
    cache.put_hold(a_hold("a"))
    cache.put_hold(replace(a_hold("c"), state=HoldState.LEAVING))
    with figures_reported(lambda: count_figures(cache, guarded=GUARDED)):
        seen = await scrape()
    assert seen["lws_placement_holds", "active"] == 1
    assert seen["lws_placement_holds", "leaving"] == 1
    assert seen["lws_placement_domains", "held", KEY] == 2
    assert seen["lws_placement_domains", "broken", KEY] == 1
    assert seen["lws_placement_domains", "whole", KEY] == 1
    assert not any(name[0] == "lws_placement_holds" for name in await scrape())


async def test_a_group_is_counted_while_it_waits_and_its_wait_when_it_is_placed():
    now = [100.0]
    waiting = WaitingGroups(lambda: now[0])
    index = TopologyIndex()
    a_slice(index, "a")
    index.put_occupant("a-0", Occupant("foreign", WHOLE_NODE), owner_uid="")
    seen = a_seen(a_member(0))
    start = await scrape()
    waiting.decided(seen, decide(seen, index))
    assert moved(start, await scrape()) == {("lws_placement_waiting_groups", "room"): 1}

    now[0] += 42.0
    index.drop_occupant("a-0", "foreign")
    actions = decide(seen, index)
    waiting.decided(seen, actions)
    waiting.done(seen.id, actions)
    change = moved(start, await scrape())
    assert change["lws_placement_wait_seconds_count",] == 1
    assert change["lws_placement_wait_seconds_sum",] == 42.0
    assert ("lws_placement_waiting_groups", "room") not in change

    placed = a_seen(a_member(0, gated=False, node="a-0"), holds=held(index, a_hold("a")))
    bind(index, placed.pods[0])
    waiting.done(seen.id, decide(placed, index))
    assert moved(start, await scrape())["lws_placement_wait_seconds_count",] == 1


async def test_a_deposed_planner_leaves_no_waiting_groups_behind():
    waiting = WaitingGroups()
    start = await scrape()
    seen = a_seen(a_member(0))
    waiting.decided(seen, decide(seen, TopologyIndex()))
    assert moved(start, await scrape()) == {("lws_placement_waiting_groups", "no_domain"): 1}
    waiting.clear()
    assert moved(start, await scrape()) == {}


def test_what_a_group_waits_for():
    held_by_other, near = Reason(Why.HELD), Reason(Why.TOO_FEW_NODES, fit=3, nodes=4)
    none = Reason(Why.TOO_FEW_NODES, fit=0, nodes=4)
    assert waiting_for(NoFit(KEY)) is Waiting.NO_DOMAIN
    assert waiting_for(NoFit(KEY, {"a": held_by_other, "b": none})) is Waiting.HELD
    assert waiting_for(NoFit(KEY, {"a": held_by_other, "b": near})) is Waiting.ROOM
    assert waiting_for(NoFit(KEY, {"a": none})) is Waiting.ROOM


def test_keys_in_use_are_those_of_sets_waiting_pods_and_holds():
    cache = ClusterCache(TopologyIndex())
    assert cache.topology_keys() == []
    cache.put_hold(a_hold(domain="a"))
    templates = Templates(2, WHOLE_NODE, WHOLE_NODE)
    cache.put_lws(
        LwsInfo("ns", "x", "u", 1, PlacementRequest(topology="example.com/rack"), templates)
    )
    cache.put_lws(LwsInfo("ns", "y", "v", 1, PlacementRequest(), templates))
    assert cache.topology_keys() == ["example.com/rack", KEY]
    cache.drop_hold(DomainName(KEY, "a"), a_hold("a").group)
    cache.drop_lws("ns", "x")
    assert cache.topology_keys() == []


class Unsteady:
    """An API server whose watches end, expire and break, in turn."""

    def __init__(self):
        self.ends = [None, ExpiredError("gone", status=410), ApiError("reset")]
        self.through = asyncio.Event()

    async def pages(self, path, **params):
        yield [], "1"

    async def watch(self, path, **params):
        if not self.ends:
            self.through.set()
            await asyncio.Event().wait()
        end = self.ends.pop(0)
        if end is not None:
            raise end
        return
        yield


async def test_watches_that_start_again_are_counted_by_why():
    api = Unsteady()
    start = await scrape()
    watcher = Watcher(api, "/x", on_event=lambda *_: None)
    task = asyncio.create_task(watcher.run())
    await asyncio.wait_for(api.through.wait(), 10)
    task.cancel()
    name = "lws_placement_watch_reconnects_total"
    assert moved(start, await scrape()) == {
        (name, "ended"): 1,
        (name, "expired"): 1,
        (name, "failed"): 1,
        ("lws_placement_retries_total", "watch"): 3,
    }
