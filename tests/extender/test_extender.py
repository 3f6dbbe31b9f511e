"""The extender's two entries over HTTP, with a world of our own."""

import asyncio
import io
import json
from dataclasses import replace

import pytest
from aiohttp.test_utils import TestClient, TestServer
from support.scrape import moved, scrape

from lws_placement.cluster.cache.topology_index import TopologyIndex
from lws_placement.engine.model.exclusivity import Claim
from lws_placement.engine.model.groups import GroupId, Occupant
from lws_placement.engine.model.hold_states import HoldState
from lws_placement.engine.model.pods import Demand, MemberInfo, Pod, PodPhase
from lws_placement.engine.model.reservation import Hold, place_of
from lws_placement.engine.model.snapshot import Changes, DomainSet, DomainView, NodeView
from lws_placement.engine.objects.nodes import DomainName, Node
from lws_placement.engine.objects.placement_request import PlacementRequest, Scope
from lws_placement.errors import ApiError, ConflictError, NotFoundError
from lws_placement.extender.app import build_app, build_calls
from lws_placement.extender.guard import Guard
from lws_placement.extender.members import Members, why_not_bound
from lws_placement.extender.wire import Priorities

KEY = "example.com/slice"
GROUP = GroupId("ns", "llm", "uid", "gk")
TPU = Demand(resources=(("google.com/tpu", 4), ("pods", 1)))


def a_member(rank=0, *, node=None, demand=TPU, marked=True, revision="r1", size=2):
    name = f"llm-0-{rank}" if rank else "llm-0"
    info = MemberInfo(
        "gk", "0", "llm", "uid", rank, size, revision, PlacementRequest(topology=KEY), "llm-0"
    )
    return Pod("ns", name, f"uid-{rank}", "1", 0.0, demand, node=node, marked=marked, member=info)


def a_hold(**fields):
    made = {
        "domain": DomainName(KEY, "s0"),
        "group": GROUP,
        "group_index": "0",
        "leader_name": "llm-0",
        "revision": "r1",
        "size": 2,
        "plan": "p",
        "nodes": {0: "n0", 1: "n1"},
        "demands": {0: TPU, 1: TPU},
    }
    return Hold(**(made | fields))


class World:
    """One domain s0 of nodes n0 and n1, and n9 outside of it."""

    def __init__(self, *pods, hold=None, free=4, domains=(), late=()):
        self.pods = {p.uid: p for p in pods}
        self.late = late
        self.hold = hold
        self.free = free
        self.views = domains
        self.unseen = {}
        self.bindings = []
        self.answers = []
        self.synced = True

    def ready(self):
        return self.synced

    def anything_held(self):
        return self.hold is not None

    def pod(self, uid):
        return self.pods.get(uid)

    async def pod_comes(self, uid):
        self.pods |= {p.uid: p for p in self.late}
        if uid not in self.pods:
            await asyncio.Event().wait()

    async def fetch_pod(self, namespace, name):
        return next((p for p in self.pods.values() if p.name == name), None)

    def group_of(self, pod):
        known = self.pods.get(pod.uid)
        return GROUP if known is not None and known.member is not None else None

    def labels_of(self, node):
        return {KEY: "s0"} if node in ("n0", "n1") else {}

    def node(self, name):
        view = self.node_view(name)
        return view.node if view is not None else None

    async def fetch_pods_on(self, node):
        """Live, so also those that `pods` lacks."""
        return [*(p for p in self.pods.values() if p.node == node), *self.unseen.get(node, ())]

    @property
    def node_changes(self):
        changes = Changes()
        for name in ("n0", "n1", "n9", *(n.node.name for d in self.views for n in d.nodes)):
            changes.note(name)
        return changes

    def node_view(self, node):
        for view in (n for domain in self.views for n in domain.nodes):
            if view.node.name == node:
                return view
        bound = [p for p in self.pods.values() if p.node == node]
        room = {"google.com/tpu": self.free + 4 * len(bound), "pods": 110}
        index = TopologyIndex()
        index.put_node(Node(node, self.labels_of(node), room))
        for pod in bound:
            group, rank = (GROUP, pod.member.rank) if pod.member else (None, None)
            occupant = Occupant(pod.uid, pod.demand, group, rank=rank)
            index.put_occupant(node, occupant, owner_uid="")
        if self.hold is not None:
            index.put_hold(self.hold)
        return index.node_view(node)

    def holds_on(self, node):
        return [self.hold] if self.hold is not None and node in ("n0", "n1") else []

    def topology_keys(self):
        held = {KEY} if self.hold is not None else set()
        return sorted({view.name.key for view in self.views} | held)

    def domains(self, key):
        return DomainSet(view for view in self.views if view.name.key == key)

    async def fetch_holds(self, domain):
        return [self.hold] if self.hold is not None and self.hold.domain == domain else []

    async def bind(self, namespace, name, *, uid, node):
        if self.answers:
            raise self.answers.pop(0)
        self.bindings.append((name, uid, node))


async def call(world, path, body):
    app = build_app(build_calls(Members(world), Guard(world, guarded=["google.com/tpu"])))
    async with TestClient(TestServer(app)) as client:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        answer = await client.post(path, data=io.BytesIO(data))
        assert answer.status == 200
        assert "Content-Length" in answer.headers
        return await answer.json()


def a_bind(rank=0, node="n0"):
    name = f"llm-0-{rank}" if rank else "llm-0"
    return {"PodName": name, "PodNamespace": "ns", "PodUID": f"uid-{rank}", "Node": node}


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


def a_raw_pod(tpu="4", **more):
    limits = {"google.com/tpu": tpu, **more}
    meta = {"name": "f", "namespace": "ns", "uid": "u", "resourceVersion": "1"}
    return {"metadata": meta, "spec": {"containers": [{"resources": {"requests": limits}}]}}


async def test_the_guard_keeps_foreign_pods_off_held_room():
    world = World(hold=a_hold())
    body = {"Pod": a_raw_pod(), "Nodes": None, "NodeNames": ["n0", "n9"]}
    answer = await call(world, "/guard/filter", body)
    assert answer["NodeNames"] == ["n9"]
    assert list(answer["FailedAndUnresolvableNodes"]) == ["n0"]


async def test_room_that_the_hold_does_not_need_is_free_for_all():
    bound = World(a_member(0, node="n0"), a_member(1, node="n1"), hold=a_hold())
    body = {"Pod": a_raw_pod(), "NodeNames": ["n0", "n1"]}
    assert (await call(bound, "/guard/filter", body))["NodeNames"] == ["n0", "n1"]
    roomy = World(hold=a_hold(), free=8)
    assert (await call(roomy, "/guard/filter", body))["NodeNames"] == ["n0", "n1"]


async def test_room_that_is_kept_for_a_foreign_pod_is_free_for_that_pod():
    own = GroupId.of_pod("ns", "f", "u")
    kept = a_hold(group=own, state=HoldState.COMING, nodes={0: "n0"}, demands={0: TPU})
    body = {"Pod": a_raw_pod(), "NodeNames": ["n0"]}
    assert (await call(World(hold=kept), "/guard/filter", body))["NodeNames"] == ["n0"]
    another = replace(kept, group=GroupId.of_pod("ns", "g", "v"))
    assert (await call(World(hold=another), "/guard/filter", body))["NodeNames"] == []


async def test_a_guest_stays_out_of_held_domains():
    guest = a_raw_pod("0", **{"lws-placement.dev/guest": "0"})
    body = {"Pod": guest, "NodeNames": ["n0", "n9"]}
    assert (await call(World(hold=a_hold()), "/guard/filter", body))["NodeNames"] == ["n9"]


async def test_members_pass_the_guard_untouched():
    member = a_raw_pod(**{"lws-placement.dev/member": "0"})
    body = {"Pod": member, "NodeNames": ["n0"]}
    assert (await call(World(hold=a_hold()), "/guard/filter", body))["NodeNames"] == ["n0"]


async def test_no_member_is_ever_a_victim():
    foreign = Pod("ns", "f", "uid-f", "1", 0.0, TPU, node="n9")
    world = World(a_member(node="n0"), foreign, hold=a_hold())
    victims = {
        "n0": {"Pods": [{"UID": "uid-0"}], "NumPDBViolations": 0},
        "n9": {"Pods": [{"UID": "uid-f"}], "NumPDBViolations": 1},
        "n8": {"Pods": [{"UID": "never seen"}], "NumPDBViolations": 0},
    }
    body = {"Pod": a_raw_pod(), "NodeNameToVictims": None, "NodeNameToMetaVictims": victims}
    assert await call(world, "/guard/preempt", body) == {
        "NodeNameToMetaVictims": {"n9": {"Pods": [{"UID": "uid-f"}], "NumPDBViolations": 1}}
    }
    assert await call(world, "/members/preempt", body) == {"NodeNameToMetaVictims": {}}


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
    assert moved(start, await scrape()) == {
        ("lws_placement_binds_total", "bound"): 1,
        ("lws_placement_binds_total", "refused"): 1,
        ("lws_placement_binds_total", "failed"): 1,
        ("lws_placement_guard_refusals_total", "filter"): 1,
        ("lws_placement_guard_refusals_total", "preempt"): 1,
    }


async def unreachable(domain):
    raise ApiError("no route")


def a_domain(value, *free, key=KEY, **owners):
    """Nodes `<value>-0`, `<value>-1`, ... of 4 chips, with so many free."""
    nodes = tuple(
        NodeView(Node(f"{value}-{i}", {key: value}, {"google.com/tpu": 4}), {"google.com/tpu": n})
        for i, n in enumerate(free)
    )
    return DomainView(DomainName(key, value), nodes, **owners)


async def prioritize(world, *nodes, pod=None):
    body = {"Pod": pod or a_raw_pod(), "Nodes": None, "NodeNames": list(nodes)}
    answer = await call(world, "/guard/prioritize", body)
    assert isinstance(answer, list)
    assert all(set(entry) == {"Host", "Score"} for entry in answer)
    assert all(type(e["Score"]) is int and 0 <= e["Score"] <= 10 for e in answer)
    return {entry["Host"]: entry["Score"] for entry in answer}


async def test_foreign_pods_are_steered_to_what_is_broken_most():
    world = World(
        domains=[
            a_domain("whole", 4, 4),
            a_domain("held", 8, 8, holders=frozenset({Claim(GROUP)})),
            a_domain("broken", 4, 4, 4, 0),
            a_domain("ruined", 4, 0, 0, 0),
            a_domain("crumbs", 4, 3),
        ]
    )
    asked = ("whole-0", "held-0", "broken-0", "ruined-0", "nowhere", "whole-1")
    scores = await prioritize(world, *asked)
    order = sorted(asked, key=lambda node: scores.get(node, 0))
    assert order == ["whole-0", "whole-1", "held-0", "broken-0", "ruined-0", "nowhere"]
    assert "whole-0" not in scores, "a node that is left out counts as 0"
    pod = a_raw_pod("3")
    fill = await prioritize(world, "crumbs-0", "crumbs-1", pod=pod)
    assert fill["crumbs-1"] > fill["crumbs-0"], "the node that it fills comes first"


async def test_a_node_in_two_domains_counts_as_the_better_kept_one():
    rack = a_domain("slice", 4, 4, key="example.com/rack")
    broken = DomainView(DomainName(KEY, "b"), (*rack.nodes, *a_domain("x", 0).nodes))
    assert await prioritize(World(domains=[rack, broken]), "slice-0", "slice-1") == {}


async def test_members_and_worlds_that_are_not_sure_have_no_opinion():
    world = World(domains=[a_domain("broken", 4, 0), a_domain("whole", 4, 4)])
    member = a_raw_pod(**{"lws-placement.dev/member": "0"})
    assert await prioritize(world, "broken-0", "whole-0", pod=member) == {}
    assert await prioritize(World(), "n0", "n9") == {}, "no key is in use"
    world.synced = False
    assert await prioritize(world, "broken-0", "whole-0") == {}
    for body in (b"", b"null", b'{"Pod": {}}', b'{"Pod": {"spec": 3}, "NodeNames": ["a", "b"]}'):
        assert await call(world, "/guard/prioritize", body) == []


async def test_a_guest_shares_a_domain_that_a_guest_has_shut_already():
    guest = a_raw_pod("0", **{"lws-placement.dev/guest": "0"})
    shut = a_domain("shut", 4, 4, occupants=frozenset({Claim(GROUP)}))
    world = World(domains=[a_domain("whole", 4, 4), shut])
    assert list(await prioritize(world, "whole-0", "shut-0", pod=guest)) == ["shut-0"]


@pytest.mark.parametrize("name", ['a"b', "a\\b", "a\nb", "\ud800", "n0"])
def test_scores_are_json_whatever_a_caller_names_nodes(name):
    assert json.loads(Priorities(scores={name: 3}).to_json()) == [{"Host": name, "Score": 3}]
