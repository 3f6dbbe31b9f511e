"""What the planner does when something of its own fails, or when others wrote behind its back."""

import pytest
from support.fake_cluster import KEY, FakeCluster
from support.virtual_time import run

from lws_placement.engine.model.hold_states import HoldState
from lws_placement.engine.objects.nodes import DomainName
from lws_placement.errors import ApiError
from lws_placement.planner import planner as planner_module


@pytest.fixture
def faulty(monkeypatch):
    """`decide` with a fault for groups of the LeaderWorkerSet `bad`, until told otherwise."""

    class Faulty:
        calls = 0
        fails = True

        def __call__(self, seen, views):
            if seen.id.lws == "bad" and self.fails:
                self.calls += 1
                raise ZeroDivisionError("a fault of ours")
            return real(seen, views)

    real = planner_module.decide
    faulty = Faulty()
    monkeypatch.setattr(planner_module, "decide", faulty)
    return faulty


def test_a_fault_in_one_group_is_logged_and_stops_no_other(faulty, caplog):
    async def story():
        cluster = FakeCluster()
        await cluster.start()
        cluster.add_slice("a")
        cluster.add_slice("b")
        cluster.add_lws("bad")
        cluster.add_lws("good")
        await cluster.rest()
        assert sorted(cluster.places()) == ["good-0", "good-0-1"]
        assert 1 < faulty.calls < 10, "tried again, less and less often"
        faulty.fails = False
        await cluster.rest(quiet=60)
        assert cluster.not_whole() == []
        await cluster.stop()

    run(story())
    assert "ZeroDivisionError: a fault of ours" in caplog.text


def test_a_fault_while_writing_stops_no_other_group_and_leaves_no_promise():
    async def story():
        cluster = FakeCluster()
        await cluster.start()
        actor = cluster.brain.planner._executor
        apply = actor.apply
        failing = True

        async def faulty_apply(group, action):
            if failing and group.lws == "bad":
                raise ZeroDivisionError("a fault of ours")
            await apply(group, action)

        actor.apply = faulty_apply
        cluster.add_slice("a")
        cluster.add_slice("b")
        cluster.add_lws("bad")
        await cluster.rest()
        cluster.add_lws("good", replicas=2)
        await cluster.rest(quiet=60)
        assert len(cluster.places()) == 4, "both domains are free for others"
        failing = False
        cluster.delete("leaderworkersets", "good")
        await cluster.rest(quiet=60)
        assert cluster.not_whole() == []
        await cluster.stop()

    run(story())


def test_a_server_that_refuses_every_write_is_not_stormed():
    async def story():
        cluster = FakeCluster()
        await cluster.start(
            prepare=lambda api: [api.answer_at(n, 500) for n in range(1000)],
        )
        cluster.add_slice("a")
        cluster.add_lws()
        await cluster.rest()
        assert 2 < len(cluster.brain.api.writes) < 30
        await cluster.stop()

    run(story())


def test_a_promise_is_taken_back_when_leadership_ends_before_it_is_written():
    async def story():
        cluster = FakeCluster()
        await cluster.start(prepare=lambda api: api.stop_at(0, took_effect=False))
        cluster.add_slice("a")
        cluster.add_lws()
        while not cluster.brain.api.dead.is_set():
            await cluster.round()
        assert [h.state for h in cluster.brain.cache.holds_in(DomainName(KEY, "a"))] == [
            HoldState.ACTIVE
        ]
        await cluster.brain.stop()
        assert cluster.brain.cache.holds_in(DomainName(KEY, "a")) == []
        await cluster.gate.stop()

    run(story())


def test_what_the_api_server_refuses_is_told_and_tried_less_and_less_often():
    """Say, a hold with more members than fit into annotations."""

    async def story():
        cluster = FakeCluster()
        await cluster.start()
        create, refusing, tries = cluster.brain.api.create, True, 0

        async def refuse(path, body, **more):
            nonlocal tries
            if refusing and path.endswith("/leases"):
                tries += 1
                words = "metadata.annotations: Too long: may not be more than 262144 bytes"
                raise ApiError(words, status=422)
            return await create(path, body, **more)

        cluster.brain.api.create = refuse
        cluster.add_slice("a")
        cluster.add_lws("llm")
        await cluster.rest(quiet=60)
        assert 1 < tries < 20
        (note,) = set(cluster.said("CannotPlan"))
        assert "refuses what placing the group needs" in note
        assert "Too long" in note
        refusing = False
        await cluster.rest(quiet=90)
        assert cluster.not_whole() == []
        await cluster.stop()

    run(story())
