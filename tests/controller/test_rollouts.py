"""Rolling updates by the controller as it runs, on the in-memory API server."""

import asyncio

from support.fakes import FakeApi
from support.rollout_cluster import RolloutCluster
from support.virtual_time import run

ONE, TWO = ["one"], ["two"]


def play(story):
    async def whole():
        cluster = RolloutCluster()
        await cluster.start()
        try:
            await story(cluster)
        finally:
            await cluster.stop()
        assert cluster.broken == []

    run(whole())


def test_a_new_image_reaches_all_groups_one_by_one():
    async def story(cluster):
        cluster.add_lws(replicas=3)
        await cluster.rest()
        cluster.keep_ready(2)
        cluster.edit(image="two")
        await cluster.rest()
        assert cluster.images() == {0: TWO, 1: TWO, 2: TWO}
        assert cluster.asked() == (0, 3)
        assert cluster.conditions()["Available"] == "True"
        assert (cluster.revisions(), cluster.set_aside()) == ([2], [1])
        cluster.edit(image="one")
        await cluster.rest()
        assert cluster.images() == {0: ONE, 1: ONE, 2: ONE}
        assert (cluster.revisions(), cluster.set_aside()) == ([3], [2])

    play(story)


def test_watches_that_stand_still_lead_to_no_wrong_write():
    """Our picture of the world is old; the API server refuses what was decided on it."""

    async def story(cluster):
        cluster.add_lws(replicas=3)
        await cluster.rest()
        cluster.keep_ready(2)
        cluster.edit(image="two")
        await cluster.until(lambda: cluster.asked()[0] == 2)
        cluster.brain.api.watching.clear()
        for _ in range(5):
            await cluster.round()
        assert cluster.asked() == (2, 3), "nothing further is taken"
        cluster.brain.api.watching.set()
        await cluster.rest()
        assert cluster.images() == {0: TWO, 1: TWO, 2: TWO}

    play(story)


def test_an_answer_that_the_watch_has_overtaken_does_not_stop_an_update(monkeypatch):
    """The StatefulSet has changed again, and we know of it, before our write is answered."""
    patch = FakeApi.patch

    async def slow(api, path, body, **more):
        answer = await patch(api, path, body, **more)
        if path.endswith("statefulsets/llm"):
            set_now = api.server.find("statefulsets", "llm")
            api.server.put("statefulsets", {**set_now, "status": {"replicas": 3}})
            await asyncio.sleep(0.2)
        return answer

    monkeypatch.setattr(FakeApi, "patch", slow)

    async def story(cluster):
        cluster.add_lws(replicas=3, rolling={"maxUnavailable": 3})
        await cluster.rest()
        for _ in range(4):
            cluster.edit(image="two")
            await asyncio.sleep(1)
            assert cluster.asked() == (0, 3)
            cluster.edit(image="one")
            await asyncio.sleep(1)
            assert cluster.asked() == (0, 3)

    play(story)


def test_a_group_that_fails_in_the_middle_comes_back_at_its_old_template():
    async def story(cluster):
        cluster.add_lws(replicas=3, rolling={"partition": 2})
        await cluster.rest()
        cluster.edit(image="two")
        await cluster.rest()
        before = cluster.uids()["llm-0"]
        cluster.delete("pods", "llm-0-1")
        await cluster.rest()
        assert cluster.uids()["llm-0"] != before
        assert cluster.images() == {0: ONE, 1: ONE, 2: TWO}

    play(story)


def test_a_group_that_fails_while_groups_lose_their_workers_gets_its_own_back():
    async def story(cluster):
        cluster.add_lws(replicas=2, rolling={"partition": 1})
        await cluster.rest()
        template = cluster.server.find("leaderworkersets", "llm")["spec"]["leaderWorkerTemplate"]
        cluster.edit(leaderWorkerTemplate={**template, "size": 1})
        await cluster.rest()
        assert sorted(cluster.uids()) == ["llm-0", "llm-0-1", "llm-1"]
        cluster.delete("pods", "llm-0")
        await cluster.rest()
        assert sorted(cluster.uids()) == ["llm-0", "llm-0-1", "llm-1"]

    play(story)


def test_from_one_pod_a_group_to_two_no_more_groups_than_allowed_are_away():
    async def story(cluster):
        cluster.add_lws(replicas=3, size=1)
        await cluster.rest()
        seen = []
        cluster.server.after_write.append(lambda: seen.append(leaders_ready(cluster)))
        made_without_pods = []

        def look():
            sets = cluster.server.all("statefulsets")
            made_without_pods.extend(s for s in sets if s["spec"]["replicas"] == 0)

        cluster.server.after_write.append(look)
        template = cluster.server.find("leaderworkersets", "llm")["spec"]["leaderWorkerTemplate"]
        cluster.edit(leaderWorkerTemplate={**template, "size": 2})
        await cluster.rest()
        assert len(cluster.uids()) == 6
        assert min(seen) == 2
        assert made_without_pods == []

    play(story)


def leaders_ready(cluster):
    return cluster.server.find("statefulsets", "llm")["status"]["readyReplicas"]


def test_the_last_ten_revisions_are_kept_to_go_back_to():
    async def story(cluster):
        cluster.add_lws(replicas=1, size=1, image="v0")
        await cluster.rest()
        for number in range(1, 14):
            cluster.edit(image=f"v{number}")
            await cluster.rest()
        assert cluster.revisions() == [14]
        assert sorted(cluster.set_aside()) == list(range(4, 14))
        cluster.edit(image="v12")
        await cluster.rest()
        assert cluster.revisions() == [15]
        assert sorted(cluster.set_aside()) == [4, 5, 6, 7, 8, 9, 10, 11, 12, 14], "no v12 twice"

    play(story)


def test_a_group_costs_one_request_to_create_and_one_to_update():
    """Besides its events; what is asked for the set as a whole grows with the steps alone."""

    async def story(cluster):
        groups, writes = 12, cluster.brain.api.writes
        cluster.add_lws(replicas=groups, size=4, rolling={"maxUnavailable": "25%"})
        await cluster.rest()
        assert writes.count(("create", "statefulsets")) == groups
        assert len(writes) - groups <= 8
        writes.clear()
        cluster.edit(image="two")
        await cluster.rest()
        steps = 4
        assert writes.count(("create", "statefulsets")) == groups
        assert writes.count(("apply", "statefulsets")) == 1 + steps
        assert len(writes) - groups <= 7 * steps
        assert cluster.images()[0] == TWO

    play(story)
