"""A group whose pods name a scheduler that nobody runs holds no room for long."""

from support.fake_cluster import a_cluster
from support.virtual_time import run

OTHER = "volcano"


def scheduled_by(name, cluster):
    cluster.add_lws(schedulerName=name)
    cluster.binds = lambda pod: False


async def rounds(cluster, number):
    """In how many of so many rounds the group holds a domain, the first of them included."""
    held = 0
    for _ in range(number):
        await cluster.round()
        held += bool(cluster.holds())
    return held


def test_a_group_that_nobody_serves_gives_its_room_up_and_says_so():
    async def story():
        cluster = await a_cluster("a")
        scheduled_by(OTHER, cluster)
        assert await rounds(cluster, 400) < 150, "4 s held, then 5, 10, 20, 40 s apart"
        (note, *_) = cluster.said("CannotPlan")
        assert note.startswith(f"no scheduler named {OTHER} has looked at llm-0")
        await cluster.stop()

    run(story())


def test_another_group_has_the_room_meanwhile():
    async def story():
        cluster = await a_cluster("a")
        scheduled_by(OTHER, cluster)
        await cluster.until(lambda: cluster.said("CannotPlan"))
        cluster.binds = lambda pod: pod.startswith("good")
        cluster.add_lws("good")
        await cluster.until(lambda: cluster.bound("good") == 2)
        await cluster.stop()

    run(story())


def test_it_is_bound_once_its_scheduler_runs():
    async def story():
        cluster = await a_cluster("a")
        scheduled_by(OTHER, cluster)
        await cluster.until(lambda: cluster.said("CannotPlan"))
        cluster.binds = lambda pod: True
        await cluster.until(lambda: cluster.bound("llm") == 2)
        await cluster.stop()

    run(story())


def test_a_cluster_whose_own_scheduler_is_away_keeps_what_it_planned():
    async def story():
        cluster = await a_cluster("a")
        scheduled_by("default-scheduler", cluster)
        await cluster.round()
        assert await rounds(cluster, 200) == 200
        assert cluster.said("CannotPlan") == []
        await cluster.stop()

    run(story())
