"""Stories of preemption, for tests that kill or hinder the planner in the middle of them."""

from support.evictions import HIGH, a_foreign_pod, low_has_the_only_slice, states
from support.fake_cluster import KEY

from lws_placement.engine.base import keys

RACK = "example.com/rack"


async def preempt_a_group(cluster):
    await low_has_the_only_slice(cluster)
    cluster.add_lws("high", priority=HIGH)
    await cluster.rest()
    assert cluster.places() == {"high-0": "a-0", "high-0-1": "a-1"}
    cluster.add_slice("b")
    await cluster.rest()


async def preempt_foreign_pods(cluster):
    cluster.add_slice("a")
    for i in range(2):
        cluster.server.create("pods", a_foreign_pod(f"x-{i}", f"a-{i}"), namespace="ns")
    cluster.add_lws("high", priority=HIGH)
    await cluster.rest()


async def preempt_what_is_on_its_way(cluster):
    """The victim holds the slice, none of its pods is bound yet."""
    cluster.add_slice("a")
    cluster.binds = lambda name: not name.startswith("low")
    cluster.add_lws("low")
    await cluster.rest()
    cluster.add_lws("high", priority=HIGH)
    await cluster.rest()
    assert cluster.places() == {"high-0": "a-0", "high-0-1": "a-1"}
    cluster.binds = lambda name: True
    cluster.add_slice("b")
    await cluster.rest()


async def give_up(cluster):
    """The preemptor is gone before its victims are."""
    await low_has_the_only_slice(cluster)
    cluster.kubelets = False
    cluster.add_lws("high", priority=HIGH)
    await cluster.rest()
    cluster.delete("leaderworkersets", "high")
    await cluster.rest()
    cluster.kubelets = True
    await cluster.rest()


async def one_after_the_other(cluster):
    """Of three, each outranks the one before."""
    await low_has_the_only_slice(cluster)
    cluster.kubelets = False
    cluster.add_lws("middle", priority=10)
    await cluster.rest()
    cluster.add_lws("high", priority=HIGH)
    await cluster.rest()
    cluster.kubelets = True
    cluster.add_slice("b")
    await cluster.rest()
    cluster.add_slice("c")
    await cluster.rest()


async def preempt_subgroups(cluster):
    """The victim has two slices, one for each subgroup; the preemptor needs one of them."""
    cluster.add_slice("a")
    cluster.add_slice("b")
    cluster.add_lws("low", subgroup_size=1)
    await cluster.rest()
    assert {node[0] for node in cluster.places().values()} == {"a", "b"}
    cluster.add_lws("high", priority=HIGH)
    await cluster.rest()
    assert set(cluster.places()) == {"high-0", "high-0-1"}
    cluster.add_slice("c")
    await cluster.rest()


async def preempt_across_keys(cluster):
    """The victim holds the rack that the slice is in; they share no Lease."""
    cluster.add_slice("a", labels={RACK: "r"})
    cluster.add_lws("low", size=1, notes={keys.LWS_EXCLUSIVE_TOPOLOGY: RACK})
    await cluster.rest()
    assert states(cluster) == {"r": {"low": "active"}}
    cluster.add_lws("high", priority=HIGH)
    await cluster.rest()
    assert set(cluster.places()) == {"high-0", "high-0-1"}
    cluster.add_slice("b", labels={RACK: "s"})
    await cluster.rest()


async def subgroups_preempt_groups(cluster):
    """Each subgroup takes a slice of its own, both from groups that outrank nobody."""
    for name in ("a", "b"):
        cluster.add_slice(name)
    cluster.add_lws("low", replicas=2)
    await cluster.rest()
    assert len(cluster.places()) == 4
    cluster.add_lws("high", size=4, subgroup_size=2, priority=HIGH)
    await cluster.rest()
    assert set(cluster.places()) == {"high-0", "high-0-1", "high-0-2", "high-0-3"}
    for name in ("c", "d"):
        cluster.add_slice(name)
    await cluster.rest()


async def subgroups_preempt_a_group_and_foreign_pods(cluster):
    """One slice has a group, the other one foreign pods; the third has nobody."""
    for name in ("a", "b", "c"):
        cluster.add_slice(name)
    for i in range(2):
        cluster.server.create("pods", a_foreign_pod(f"x-{i}", f"b-{i}"), namespace="ns")
    cluster.change("nodes", "c-1", cordoned, "")
    cluster.add_lws("low")
    await cluster.rest()
    cluster.add_lws("high", size=4, subgroup_size=2, priority=HIGH)
    await cluster.rest()
    assert set(cluster.places()) == {"high-0", "high-0-1", "high-0-2", "high-0-3"}
    cluster.add_slice("d")
    await cluster.rest()


async def subgroups_inside_a_rack_preempt(cluster):
    """The group's own rack around its subgroups: three Leases, of which two name no node."""
    for name in ("a", "b"):
        cluster.add_slice(name, labels={RACK: "r"})
    cluster.add_lws("low")
    await cluster.rest()
    notes = {
        keys.LWS_EXCLUSIVE_TOPOLOGY: RACK,
        keys.LWS_SUBGROUP_EXCLUSIVE_TOPOLOGY: KEY,
    }
    cluster.add_lws("high", size=4, subgroup_size=2, notes=notes, priority=HIGH)
    await cluster.rest()
    assert set(cluster.places()) == {"high-0", "high-0-1", "high-0-2", "high-0-3"}
    cluster.add_slice("c", labels={RACK: "s"})
    await cluster.rest()


async def a_gang_preempts(cluster):
    """It needs three nodes of two slices; a group and a foreign pod are there."""
    for name in ("a", "b"):
        cluster.add_slice(name)
    cluster.server.create("pods", a_foreign_pod("x", "b-1"), namespace="ns")
    cluster.add_lws("low")
    await cluster.rest()
    cluster.add_lws("high", size=3, notes={keys.GANG: "true"}, priority=HIGH)
    await cluster.rest()
    assert set(cluster.places()) >= {"high-0", "high-0-1", "high-0-2"}
    assert "low-0" not in cluster.places()
    cluster.server.delete("pods", ("ns", "x"))
    cluster.add_slice("c")
    await cluster.rest()


async def a_gang_preempts_a_gang(cluster):
    """Neither has a domain; they share no Lease."""
    cluster.add_slice("a")
    cluster.add_lws("low", notes={keys.GANG: "true"})
    await cluster.rest()
    assert len(cluster.places()) == 2
    cluster.add_lws("high", notes={keys.GANG: "true"}, priority=HIGH)
    await cluster.rest()
    assert set(cluster.places()) == {"high-0", "high-0-1"}
    cluster.add_slice("b")
    await cluster.rest()


async def subgroups_give_up(cluster):
    """The preemptor is gone before its victims are."""
    for name in ("a", "b"):
        cluster.add_slice(name)
    cluster.add_lws("low", replicas=2)
    await cluster.rest()
    cluster.kubelets = False
    cluster.add_lws("high", size=4, subgroup_size=2, priority=HIGH)
    await cluster.rest()
    cluster.delete("leaderworkersets", "high")
    await cluster.rest()
    cluster.kubelets = True
    await cluster.rest()


def cordoned(node):
    node["spec"]["unschedulable"] = True


STORIES = [
    preempt_a_group,
    preempt_subgroups,
    subgroups_preempt_groups,
    subgroups_preempt_a_group_and_foreign_pods,
    subgroups_inside_a_rack_preempt,
    subgroups_give_up,
    a_gang_preempts,
    a_gang_preempts_a_gang,
    preempt_across_keys,
    preempt_foreign_pods,
    preempt_what_is_on_its_way,
    give_up,
    one_after_the_other,
]
