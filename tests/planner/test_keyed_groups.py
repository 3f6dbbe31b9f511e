"""Groups that have a key of their own for each incarnation, in place of an ordinal."""

import pytest
from support.fake_cluster import KEY
from support.keyed_sets import KeyedCluster, a_keyed_cluster
from support.killing import kill_at_every_write
from support.virtual_time import run

from lws_placement.engine.base import keys


def told(story):
    """A test on a cluster with virtual time."""

    def test():
        async def tell():
            cluster = await a_keyed_cluster("a", "b")
            await story(cluster)
            assert cluster.broken == []
            await cluster.stop()

        run(tell())

    test.__doc__ = story.__doc__
    return test


def restart(cluster, leader=None):
    """As LeaderWorkerSet restarts a group, or somebody by hand."""
    leader = leader or cluster.leaders()[0]
    cluster.delete("pods", leader, propagationPolicy="Foreground")
    return leader


@told
async def test_groups_are_whole_and_held_by_set_and_key(cluster):
    cluster.add_lws(replicas=2)
    await cluster.rest()
    assert cluster.not_whole() == []
    labels = [p["metadata"]["labels"] for p in cluster.pods()]
    held = cluster.holds().values()
    assert {h["groupKey"] for h in held} == {one[keys.LWS_GROUP_KEY] for one in labels}
    assert {h["leader"] for h in held} == set(cluster.leaders())
    (uid,) = {h["lwsUid"] for h in held}
    assert uid == cluster.server.find("leaderworkersets", "llm")["metadata"]["uid"]


@told
async def test_nothing_is_planned_before_a_leader_has_come(cluster):
    cluster.controllers.without_pods = {"llm"}
    cluster.add_lws(replicas=2)
    await cluster.rest()
    assert cluster.holds() == {}


@told
async def test_a_set_that_restarts_a_group_has_its_domain_again(cluster):
    cluster.add_lws()
    await cluster.rest()
    cluster.add_slice("c")
    ((old, domain),) = cluster.domains().items()
    restart(cluster, old)
    await cluster.rest()
    ((new, again),) = cluster.domains().items()
    assert (new != old, again) == (True, domain)
    assert cluster.not_whole() == []


@told
async def test_the_domain_is_not_lost_to_who_waits_longer(cluster):
    cluster.add_lws(replicas=2)
    await cluster.rest()
    cluster.add_lws("other", keyed=False)
    await cluster.rest()
    before = sorted(cluster.domains().values())
    for leader in cluster.leaders():
        restart(cluster, leader)
    await cluster.rest()
    assert sorted(cluster.domains().values()) == before
    assert cluster.domains("other") == {}


@told
async def test_the_new_leader_waits_until_the_old_pods_are_gone(cluster):
    cluster.add_lws()
    await cluster.rest()
    old = restart(cluster)
    cluster.kubelets = False
    for _ in range(10):
        await cluster.round()
    (new,) = cluster.leaders()
    states = {hold["leader"]: hold["state"] for _, hold in cluster.all_holds()}
    assert states == {old: "active", new: "coming"}
    assert cluster.said("Preempting") == []
    cluster.kubelets = True
    await cluster.rest()
    assert cluster.not_whole() == []


@told
async def test_a_successor_that_goes_before_it_has_begun_leaves_the_place_to_the_next(cluster):
    cluster.add_lws(replicas=2)
    await cluster.rest()
    cluster.add_lws("other", keyed=False)
    await cluster.rest()
    before = sorted(cluster.domains().values())
    cluster.kubelets = False
    old = restart(cluster)
    for _ in range(3):
        for _ in range(4):
            await cluster.round()
        (new,) = [name for name in cluster.leaders() if name not in cluster.domains()]
        coming = [hold["leader"] for _, hold in cluster.all_holds() if hold["state"] == "coming"]
        assert coming == [new]
        assert old in {hold["leader"] for _, hold in cluster.all_holds()}
        cluster.delete("pods", new)
    cluster.kubelets = True
    await cluster.rest()
    assert sorted(cluster.domains().values()) == before


@told
async def test_old_pods_that_do_not_go_are_not_waited_for_longer_than_half_a_minute(cluster):
    cluster.add_lws()
    await cluster.rest()
    (domain,) = cluster.domains().values()
    restart(cluster)
    cluster.kubelets = False
    await cluster.rest(quiet=100)
    cluster.kubelets = True
    while not cluster.domains():
        await cluster.round()
    assert set(cluster.domains().values()) == {"a", "b"} - {domain}
    await cluster.rest()
    assert cluster.not_whole() == []


@told
async def test_a_dead_node_is_not_waited_for(cluster):
    cluster.add_lws()
    await cluster.rest()
    (domain,) = cluster.domains().values()
    cluster.kubelets = False
    restart(cluster)
    cluster.change("nodes", f"{domain}-0", not_ready, "")
    for _ in range(10):
        await cluster.round()
    held = {d for d, hold in cluster.all_holds() if hold["leader"] == cluster.leaders()[0]}
    assert held == {"a", "b"} - {domain}


def not_ready(node):
    node["status"]["conditions"] = [{"type": "Ready", "status": "False"}]


@told
async def test_a_domain_that_will_not_do_any_more_is_not_waited_for(cluster):
    cluster.add_lws()
    await cluster.rest()
    (domain,) = cluster.domains().values()
    cluster.change("nodes", f"{domain}-1", cordoned, "")
    restart(cluster)
    await cluster.rest()
    assert set(cluster.domains().values()) == {"a", "b"} - {domain}
    assert cluster.not_whole() == []


def cordoned(node):
    node["spec"] = {"unschedulable": True}


@told
async def test_what_a_set_is_scaled_down_from_goes_to_who_waits(cluster):
    cluster.add_lws(replicas=2)
    await cluster.rest()
    cluster.add_lws("other")
    await cluster.rest()
    assert cluster.domains("other") == {}
    cluster.change("leaderworkersets", "llm", lambda lws: lws["spec"].update(replicas=1))
    await cluster.rest()
    assert len(cluster.domains("other")) == 1
    assert cluster.not_whole() == []


@told
async def test_the_place_of_a_group_whose_successor_cannot_come_is_kept_for_the_hold_time(cluster):
    cluster.add_lws(replicas=2)
    await cluster.rest()
    cluster.controllers.without_pods = {"llm"}
    old = restart(cluster)
    await cluster.rest()
    assert old in {hold["leader"] for hold in cluster.holds().values()}, "nobody else waits"
    cluster.add_lws("other", keyed=False)
    await cluster.rest()
    assert "other-0" in {hold["leader"] for hold in cluster.holds().values()}


@told
async def test_holds_end_with_their_set(cluster):
    cluster.add_lws(replicas=2)
    await cluster.rest()
    cluster.delete("leaderworkersets", "llm")
    for kind in ("deployments", "replicasets"):
        for obj in cluster.server.all(kind):
            cluster.delete(kind, obj["metadata"]["name"])
    await cluster.rest()
    assert cluster.holds() == {}
    assert cluster.pods() == []


@told
async def test_a_new_revision_comes_to_the_domains_of_the_old_one(cluster):
    cluster.add_lws(replicas=2)
    await cluster.rest()
    before = sorted(cluster.domains().values())

    def change(lws):
        template = lws["spec"]["leaderWorkerTemplate"]["workerTemplate"]
        template["spec"]["containers"][0]["image"] = "new"

    cluster.change("leaderworkersets", "llm", change)
    await cluster.rest()
    assert sorted(cluster.domains().values()) == before
    assert cluster.not_whole() == []


@told
async def test_subgroups_come_back_to_their_domains(cluster):
    for name in ("c", "d"):
        cluster.add_slice(name)
    cluster.add_lws(size=4, subgroup_size=2)
    await cluster.rest()
    (before,) = cluster.domains().values()
    restart(cluster)
    await cluster.rest()
    assert list(cluster.domains().values()) == [before]


@told
async def test_people_read_names_of_leaders(cluster):
    cluster.add_lws()
    await cluster.rest()
    (leader,) = cluster.leaders()
    (note,) = set(cluster.said("Placed"))
    assert note.startswith(f"group {leader} has {KEY}=")


async def place(cluster):
    for name in ("a", "b"):
        cluster.add_slice(name)
    cluster.add_lws(replicas=2)
    await cluster.rest()


async def restart_all(cluster):
    await place(cluster)
    before = sorted(cluster.domains().values())
    for leader in cluster.leaders():
        restart(cluster, leader)
    await cluster.rest()
    assert sorted(cluster.domains().values()) == before


@pytest.mark.parametrize("story", [place, restart_all])
@pytest.mark.parametrize("brain_away", [0, 3])
def test_the_planner_may_be_killed_at_any_write(story, brain_away):
    assert kill_at_every_write(story, brain_away=brain_away, new_cluster=KeyedCluster) > 3
