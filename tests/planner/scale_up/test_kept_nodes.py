"""Nodes that a group is about to come (back) to are kept from cluster autoscalers, and let go."""

import asyncio
import json

import pytest
from support.decisions import GROUP, a_hold, a_member, a_seen, a_slice
from support.virtual_time import run

from lws_placement.cluster.cache.topology_index import TopologyIndex
from lws_placement.cluster.codec.kept_nodes import about_scale_down, encode_keep, encode_let_go
from lws_placement.cluster.codec.objects import decode_node
from lws_placement.engine.base import keys
from lws_placement.engine.model.hold_states import HoldState
from lws_placement.errors import ApiError, NotFoundError
from lws_placement.planner.scale_up.kept_nodes import KeptNodes

CA, KARPENTER = keys.KEEPS_NODE
TIMEOUT_S = 300.0


def annotations_after(notes, patch):
    after = {**notes, **patch["metadata"]["annotations"]}
    return {key: value for key, value in after.items() if value is not None}


@pytest.mark.parametrize(
    "before", [{}, {CA: "false"}, {KARPENTER: "true"}, {CA: "true", KARPENTER: "false"}]
)
def test_a_node_that_is_let_go_has_what_it_had(before):
    kept = annotations_after(before, encode_keep(about_scale_down(before)))
    assert kept.items() >= keys.KEEPS_NODE.items()
    assert annotations_after(kept, encode_let_go(about_scale_down(kept))) == before


def test_what_somebody_changed_meanwhile_stays():
    kept = annotations_after({}, encode_keep({})) | {CA: "false"}
    assert annotations_after(kept, encode_let_go(about_scale_down(kept))) == {CA: "false"}


@pytest.mark.parametrize(
    "note", ["", "{", "[]", '"x"', '{"a": 1}', json.dumps({CA: 3}), "[" * 100_000]
)
def test_whatever_the_memory_says_the_node_is_let_go(note):
    kept = {**keys.KEEPS_NODE, keys.KEPT: note}
    assert annotations_after(kept, encode_let_go(kept)) == {}


class Api:
    """Patches nodes in the cache, as their watch would."""

    def __init__(self, story):
        self.story, self.notes, self.refuses = story, {}, None

    async def patch(self, path, body):
        if self.refuses is not None:
            raise self.refuses
        name = path.removeprefix("/api/v1/nodes/")
        self.put(name, annotations_after(self.notes.get(name, {}), body))

    def put(self, name, notes):
        self.notes[name] = notes
        node = self.story.domains.node(name)
        meta = {"name": name, "labels": dict(node.labels), "annotations": notes}
        status = {"conditions": [{"type": "Ready", "status": "True"}]}
        self.story.domains.put_node(decode_node({"metadata": meta, "status": status}))

    @property
    def kept(self):
        return {name for name, notes in self.notes.items() if keys.KEPT in notes}


class Story:
    """A group of two with a hold on slice a, on its two nodes."""

    def __init__(self, *, state=HoldState.ACTIVE):
        self.domains = TopologyIndex()
        a_slice(self.domains, "a")
        self.api = Api(self)
        self.holds, self.pods = [a_hold(state=state)], []
        self.domains.put_hold(self.holds[0])
        self.nodes = KeptNodes(self.api, self, gives_up_after_s=TIMEOUT_S)

    def holds_of(self, group):
        return self.holds if group == GROUP else []

    def group_pods(self, group):
        return self.pods if group == GROUP else []

    def decided(self, *pods):
        self.pods = pods
        self.nodes.decided(a_seen(*pods, holds=tuple(self.holds)), [])

    def ended(self):
        (hold,) = self.holds
        self.holds.clear()
        self.domains.drop_hold(hold.domain, hold.group)
        self.decided()

    async def passes(self, seconds, *, keeps=True):
        running = asyncio.create_task(self.nodes.run(keeps=keeps))
        await asyncio.sleep(seconds)
        running.cancel()


def on(rank, **more):
    return a_member(rank, node=f"a-{rank}", gated=False, pinned=f"a-{rank}", **more)


@pytest.mark.parametrize("state", [HoldState.ACTIVE, HoldState.COMING])
def test_nodes_without_their_member_are_kept_until_it_is_bound(state):
    async def story():
        it = Story(state=state)
        it.decided(on(0))
        await it.passes(4)
        assert it.api.kept == set(), "most members are bound at once"
        await it.passes(4)
        assert it.api.kept == {"a-1"}
        it.decided(on(0), on(1))
        await it.passes(3)
        assert it.api.kept == set()
        assert it.api.notes == {"a-1": {}}

    run(story())


def test_a_group_that_left_and_one_that_is_gone_keep_nothing():
    async def story():
        left = Story(state=HoldState.LEAVING)
        left.decided()
        await left.passes(20)
        assert left.api.kept == set()
        gone = Story()
        gone.decided()
        await gone.passes(20)
        assert gone.api.kept == {"a-0", "a-1"}
        gone.ended()
        await gone.passes(3)
        assert gone.api.kept == set()

    run(story())


def test_the_next_planner_goes_on_from_the_nodes():
    async def story():
        it = Story()
        it.decided(on(0))
        await it.passes(10)
        it.nodes = KeptNodes(it.api, it, gives_up_after_s=TIMEOUT_S)
        await it.passes(10)
        assert it.api.kept == {"a-1"}, "though it has not looked at the group yet"
        it.decided(on(0))
        it.api.refuses = AssertionError("nothing is to be written")
        await it.passes(10)
        it.api.refuses = None
        it.pods = (on(0), on(1))
        await it.passes(10)
        assert it.api.kept == set()

    run(story())


def test_pods_that_never_come_keep_no_node_for_ever():
    async def story():
        it = Story()
        it.decided()
        await it.passes(TIMEOUT_S - 10)
        assert it.api.kept == {"a-0", "a-1"}
        await it.passes(20)
        assert it.api.kept == set()

    run(story())


def test_where_nodes_are_not_requested_any_more_all_are_let_go():
    async def story():
        it = Story()
        it.decided()
        await it.passes(10)
        it.nodes = KeptNodes(it.api, it, gives_up_after_s=TIMEOUT_S)
        it.decided()
        await it.passes(10, keeps=False)
        assert it.api.kept == set()

    run(story())


@pytest.mark.parametrize("error", [NotFoundError("gone", status=404), ApiError("no", status=403)])
def test_a_refusal_ends_nothing(error):
    async def story():
        it = Story()
        it.decided()
        it.api.refuses = error
        await it.passes(100)
        it.api.refuses = None
        await it.passes(100)
        assert it.api.kept == {"a-0", "a-1"}

    run(story())
