"""The extender's two entries over HTTP, with a world of our own."""

from dataclasses import replace

import pytest
from support.extender_world import GROUP, KEY, TPU, World, a_bind, a_hold, a_member, a_raw_pod, call
from support.scrape import moved, scrape

from lws_placement.engine.model.groups import GroupId
from lws_placement.engine.model.hold_states import HoldState
from lws_placement.engine.model.pods import Demand, Pod, PodPhase
from lws_placement.engine.model.reservation import place_of
from lws_placement.engine.objects.nodes import DomainName
from lws_placement.engine.objects.placement_request import Scope
from lws_placement.errors import ApiError, ConflictError, NotFoundError
from lws_placement.extender.members import why_not_bound


async def test_a_member_is_bound_where_its_hold_says():
    world = World(a_member(), hold=a_hold())
    assert await call(world, "/members/bind", a_bind()) == {"Error": ""}
    assert world.bindings == [("llm-0", "uid-0", "n0")]


async def test_a_member_that_our_watch_has_not_seen_yet_is_waited_for():
    world = World(hold=a_hold(), late=[a_member()])
    assert await call(world, "/members/bind", a_bind()) == {"Error": ""}
    assert world.bindings == [("llm-0", "uid-0", "n0")]


async def test_a_pod_that_never_comes_is_refused(monkeypatch):
    monkeypatch.setattr("lws_placement.extender.members._SEEN_S", 0)
    world = World(hold=a_hold())
    assert "is not known" in (await call(world, "/members/bind", a_bind()))["Error"]
    assert world.bindings == []


@pytest.mark.parametrize(
    ("pod", "hold", "node", "why"),
    [
        (a_member(), None, "n0", "nobody holds"),
        (a_member(), a_hold(), "n1", "belongs on n0"),
        (a_member(), a_hold(), "n9", "has no label"),
        (a_member(), a_hold(state=HoldState.LEAVING), "n0", "is leaving"),
        (a_member(), a_hold(state=HoldState.COMING), "n0", "not free yet"),
        (a_member(), a_hold(group=GroupId("ns", "x", "u", "k")), "n0", "another group"),
        (a_member(revision="r2"), a_hold(), "n0", "another revision or size"),
        (a_member(size=3), a_hold(), "n0", "another revision or size"),
        (a_member(marked=False), a_hold(), "n0", "no member"),
        (a_member(demand=Demand((("google.com/tpu", 8),))), a_hold(), "n0", "more than was"),
        (a_member(node="n1"), a_hold(), "n0", "bound to n1 already"),
    ],
)
async def test_all_else_is_refused(pod, hold, node, why):
    world = World(pod, hold=hold)
    assert why in (await call(world, "/members/bind", a_bind(node=node)))["Error"]
    assert world.bindings == []


NO_MEMBER = replace(a_member(), member=None)
RELEASED = replace(a_member(), released=True)


@pytest.mark.parametrize("pod", [NO_MEMBER, RELEASED], ids=["no member", "released"])
async def test_who_goes_alone_is_bound_anywhere_but_in_what_others_hold(pod):
    world = World(pod)
    assert await call(world, "/members/bind", a_bind(node="n9")) == {"Error": ""}
    assert await call(world, "/members/bind", a_bind()) == {"Error": ""}
    assert world.bindings == [("llm-0", "uid-0", "n9"), ("llm-0", "uid-0", "n0")]
    other = a_hold(group=GroupId("ns", "other", "u", "k"))
    refused = await call(World(pod, hold=other), "/members/bind", a_bind())
    assert "node n0 is held for ns/other" in refused["Error"]


async def test_a_released_member_may_use_what_its_own_group_holds():
    world = World(RELEASED, hold=a_hold())
    assert await call(world, "/members/bind", a_bind()) == {"Error": ""}


@pytest.mark.parametrize(
    ("pod", "left"),
    [
        (a_member(), ["n0", "n9"]),
        (NO_MEMBER, ["n9"]),
        (replace(RELEASED, member=None), ["n9"]),
        (None, ["n0", "n9"]),
    ],
    ids=["a member", "no member", "released", "not known yet"],
)
async def test_the_guard_keeps_who_goes_alone_out_of_held_domains(pod, left):
    """So that kube-scheduler does not choose there again and again what `bind` refuses."""
    notes = {"lws-placement.dev/released": "true"} if pod is not None and pod.released else {}
    raw = a_raw_pod(tpu="0", **{"lws-placement.dev/member": "0"})
    raw["metadata"] |= {"name": "llm-0", "uid": "uid-0", "annotations": notes}
    world = World(*([pod] if pod is not None else []), hold=a_hold())
    answer = await call(world, "/guard/filter", {"Pod": raw, "NodeNames": ["n0", "n9"]})
    assert answer["NodeNames"] == left


FOREIGN = Pod("ns", "f", "uid-f", "1", 0.0, TPU, node="n0")
ROOM_IS_GONE = "google.com/tpu of node n0 is taken by other pods meanwhile"


@pytest.mark.parametrize("pod", [a_member(), RELEASED, NO_MEMBER], ids=["member", "released", "no"])
async def test_room_that_another_scheduler_took_is_refused_before_our_caches_know(pod):
    world = World(pod, hold=a_hold() if pod is not NO_MEMBER else None)
    world.unseen = {"n0": [FOREIGN]}
    assert (await call(world, "/members/bind", a_bind()))["Error"] == ROOM_IS_GONE
    assert world.bindings == []
    world.unseen = {"n0": [replace(FOREIGN, phase=PodPhase.SUCCEEDED), replace(pod, node="n0")]}
    assert await call(world, "/members/bind", a_bind()) == {"Error": ""}


async def test_what_the_node_does_not_offer_is_served_by_devices():
    """kube-scheduler found devices for it: an extended resource of a DeviceClass."""
    world = World(a_member(), hold=a_hold())
    offered = {k: n for k, n in world.node("n0").allocatable.items() if k != "google.com/tpu"}
    world.node = lambda name: replace(World.node(world, name), allocatable=offered)
    assert await call(world, "/members/bind", a_bind()) == {"Error": ""}


async def test_room_that_is_promised_to_a_gang_is_kept_from_who_goes_alone():
    """A gang claims no domain, so its holds are against nobody."""
    gang = GroupId("ns", "gang", "u", "k")
    hold = a_hold(group=gang, domain=place_of(gang), scope=Scope.NOBODY)
    pod = NO_MEMBER
    world = World(pod, hold=hold)
    why = (await call(world, "/members/bind", a_bind()))["Error"]
    assert why == "google.com/tpu of node n0 is promised to groups meanwhile"
    assert await call(World(pod, hold=hold, free=8), "/members/bind", a_bind()) == {"Error": ""}


async def test_a_hold_that_our_caches_do_not_know_yet_keeps_off_who_goes_alone():
    world = World(NO_MEMBER, hold=a_hold(group=GroupId("ns", "other", "u", "k")))
    world.holds_on = lambda node: []
    assert "is held for ns/other" in (await call(world, "/members/bind", a_bind()))["Error"]


def test_who_is_evicted_for_another_group_is_bound_there_no_more():
    coming = a_hold(group=GroupId("ns", "x", "u", "k"), state=HoldState.COMING, evicts=(GROUP,))
    domain = DomainName(KEY, "s0")
    why = why_not_bound(a_member(), GROUP, holds=[a_hold(), coming], domain=domain, node="n0")
    assert "taken over by another group" in why


async def test_bound_already_is_success():
    world = World(a_member(node="n0"), hold=a_hold())
    assert await call(world, "/members/bind", a_bind()) == {"Error": ""}


async def test_not_synced_is_an_answer():
    world = World(a_member(), hold=a_hold())
    world.synced = False
    assert "not synced" in (await call(world, "/members/bind", a_bind()))["Error"]


async def test_what_may_pass_is_retried_and_what_may_not_is_not():
    world = World(a_member(), hold=a_hold())
    world.answers = [ApiError("busy", status=429), ApiError("down", status=503)]
    assert await call(world, "/members/bind", a_bind()) == {"Error": ""}
    world.bindings.clear()
    world.answers = [NotFoundError("gone", status=404)]
    assert "is gone" in (await call(world, "/members/bind", a_bind()))["Error"]
    world.answers = [ConflictError("other UID", status=409)]
    assert "other UID" in (await call(world, "/members/bind", a_bind()))["Error"]
    assert world.bindings == []


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'{"PodName": 3}', b"\xff\xfe"])
async def test_malformed_bodies_are_errors_that_name_the_field(body):
    world = World()
    assert (await call(world, "/members/bind", body))["Error"].startswith("malformed body")
    answer = await call(world, "/guard/filter", body)
    assert answer["Error"]
    assert answer["NodeNames"] == []
    assert await call(world, "/guard/preempt", body) == {"NodeNameToMetaVictims": {}}


async def test_fifteen_thousand_names_and_ten_megabytes_are_taken():
    names = [f"node-{i:05}.example.internal.cluster-{'x' * 40}" for i in range(15_000)]
    body = {"Pod": a_raw_pod(), "NodeNames": names}
    assert (await call(World(hold=a_hold()), "/guard/filter", body))["NodeNames"] == names
    big = {"Pod": a_raw_pod(), "NodeNames": ["n9"], "Padding": "x" * 10 * 2**20}
    assert (await call(World(hold=a_hold()), "/guard/filter", big))["NodeNames"] == ["n9"]


async def test_binds_and_refusals_are_counted_by_outcome():
    start = await scrape()
    world = World(a_member(), hold=a_hold())
    await call(world, "/members/bind", a_bind())
    await call(world, "/members/bind", a_bind(node="n9"))
    world.fetch_holds = unreachable
    await call(world, "/members/bind", a_bind())
    await call(world, "/guard/filter", {"Pod": a_raw_pod(), "NodeNames": ["n0", "n1", "n9"]})
    victims = {"n0": {"Pods": [{"UID": "uid-0"}], "NumPDBViolations": 0}}
    body = {"Pod": a_raw_pod(), "NodeNameToMetaVictims": victims}
    await call(world, "/guard/preempt", body)
    await call(world, "/guard/filter", {"Pod": a_raw_pod(), "NodeNames": ["n9"]})
    seen = moved(start, await scrape())
    assert seen.pop(("lws_placement_bind_seconds_sum",)) > 0
    assert seen == {
        ("lws_placement_bind_seconds_count",): 3,
        ("lws_placement_binds_total", "bound"): 1,
        ("lws_placement_binds_total", "refused"): 1,
        ("lws_placement_binds_total", "failed"): 1,
        ("lws_placement_guard_refusals_total", "filter"): 1,
        ("lws_placement_guard_refusals_total", "preempt"): 1,
    }


async def unreachable(domain):
    raise ApiError("no route")
