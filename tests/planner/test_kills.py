"""The planner killed between any two of its writes, before and after each took effect.

Each story is played once for every write that it makes, with the planner killed there and another
one taking over. At every instant no group is split and no domain has two (`FakeCluster` looks at
every write); at the end every group is whole and has one hold, and no other hold is left.
"""

import pytest
from support.fake_cluster import KEY
from support.killing import answer_every_write, kill_at_every_write
from support.mishaps import a_refused_pod

from lws_placement.engine.base import keys
from lws_placement.engine.base.json_copy import json_copy
from lws_placement.engine.lws.pod_identity import add_lws_identity


async def place(cluster):
    for name in ("a", "b", "c"):
        cluster.add_slice(name)
    cluster.add_lws(replicas=2)
    cluster.add_lws("other")
    await cluster.rest()


async def place_ahead(cluster):
    """Holds are there before the pods, of which none needs a PATCH then."""
    for name in ("a", "b"):
        cluster.add_slice(name)
    cluster.controllers.without_pods = {"llm"}
    cluster.add_lws(replicas=2)
    await cluster.rest(quiet=1)
    cluster.controllers.without_pods = set()
    await cluster.rest()


async def yield_what_was_planned_ahead(cluster):
    cluster.add_slice("a")
    cluster.controllers.without_pods = {"llm"}
    cluster.add_lws()
    await cluster.rest()
    cluster.add_lws("other")
    await cluster.rest()
    assert set(cluster.places()) == {"other-0", "other-0-1"}
    cluster.controllers.without_pods = set()
    cluster.add_slice("b")
    await cluster.rest()


async def restart_a_group(cluster):
    cluster.add_slice("a")
    cluster.add_slice("b")
    cluster.add_lws()
    await cluster.rest()
    cluster.delete("pods", "llm-0-1")
    await cluster.rest()


async def move_before_anything_is_bound(cluster):
    cluster.add_slice("a")
    cluster.add_slice("b")
    cluster.binds = lambda name: False
    cluster.add_lws()
    await cluster.rest()
    cluster.change("nodes", "a-1", cordoned, "")
    cluster.binds = lambda name: True
    await cluster.rest()
    assert set(cluster.places().values()) == {"b-0", "b-1"}


async def move_half_bound(cluster):
    """The leader runs, its worker cannot: the group is restarted whole elsewhere."""
    cluster.add_slice("a")
    cluster.add_slice("b")
    cluster.binds = lambda name: name == "llm-0"
    cluster.add_lws()
    await cluster.rest()
    assert cluster.places() == {"llm-0": "a-0"}
    cluster.change("nodes", "a-1", cordoned, "")
    await cluster.rest()
    cluster.binds = lambda name: True
    await cluster.rest()
    assert set(cluster.places().values()) == {"b-0", "b-1"}


async def move_while_old_pods_are_slow_to_go(cluster):
    """The new leader must not be bound elsewhere before the old workers are gone."""
    cluster.add_slice("a")
    cluster.add_slice("b")
    cluster.add_lws()
    await cluster.rest()
    cluster.kubelets = False
    cluster.change("nodes", "a-0", cordoned, "")
    cluster.delete("pods", "llm-0", gracePeriodSeconds=0)
    await cluster.rest()
    cluster.kubelets = True
    await cluster.rest()
    assert set(cluster.places().values()) == {"b-0", "b-1"}


async def scale_down(cluster):
    for name in ("a", "b", "c"):
        cluster.add_slice(name)
    cluster.add_lws(replicas=3)
    await cluster.rest()
    cluster.change("leaderworkersets", "llm", lambda lws: lws["spec"].update(replicas=1))
    await cluster.rest()


async def delete_and_make_again(cluster):
    cluster.add_slice("a")
    cluster.add_lws()
    await cluster.rest()
    cluster.delete("leaderworkersets", "llm")
    await cluster.rest()
    assert cluster.holds() == {}
    cluster.add_lws()
    await cluster.rest()


async def change_the_template(cluster):
    cluster.add_slice("a")
    cluster.add_slice("b")
    cluster.add_lws(replicas=2)
    await cluster.rest()
    cluster.change("leaderworkersets", "llm", lambda lws: asks_for_cpu(lws, "2"))
    await cluster.rest()


async def adopt(cluster):
    """Pods that were bound without us: one group whole, of another one the leader alone."""
    for name in ("a", "b", "c"):
        cluster.add_slice(name)
    cluster.gate = GateThatCameLate(
        cluster.gate, {"llm-0": "a-0", "llm-0-1": "a-1", "llm-1": "b-0"}
    )
    cluster.add_lws(replicas=2)
    await cluster.rest()
    assert cluster.places()["llm-1-1"] == "b-1"


class GateThatCameLate:
    """Some pods it never saw: they were bound as somebody else liked."""

    def __init__(self, gate, unseen):
        self._gate = gate
        self._unseen = unseen

    def __getattr__(self, name):
        return getattr(self._gate, name)

    async def admit(self, pod, namespace):
        node = self._unseen.get(pod["metadata"]["name"])
        if node is None:
            return await self._gate.admit(pod, namespace)
        pod = json_copy(pod)
        add_lws_identity(pod, namespace=namespace)
        pod["spec"]["nodeName"] = node
        return pod


async def two_groups_want_one_domain(cluster):
    cluster.add_slice("a")
    cluster.add_lws("one")
    cluster.add_lws("two")
    await cluster.rest()
    assert len(cluster.places()) == 2
    first = next(iter(cluster.places())).split("-")[0]
    cluster.delete("leaderworkersets", first)
    await cluster.rest()


async def spread_over_several_domains(cluster):
    """One plan, two Leases: both count or none does."""
    for name in ("a", "b", "c"):
        cluster.add_slice(name)
    cluster.add_lws(size=4, subgroup_size=2)
    await cluster.rest()
    assert len(cluster.holds()) == 2
    cluster.delete("pods", "llm-0-3")
    await cluster.rest()


async def move_several_domains(cluster):
    for name in ("a", "b", "c"):
        cluster.add_slice(name)
    cluster.binds = lambda name: False
    cluster.add_lws(size=4, subgroup_size=2)
    await cluster.rest()
    cluster.change("nodes", "a-1", cordoned, "")
    cluster.binds = lambda name: True
    await cluster.rest()
    assert set(cluster.holds()) == {"b", "c"}


async def a_gang_anywhere(cluster):
    cluster.add_slice("a")
    cluster.add_slice("b")
    cluster.change("nodes", "a-1", cordoned, "")
    cluster.add_lws(size=3, notes={keys.GANG: "true"})
    await cluster.rest()
    assert set(cluster.places().values()) == {"a-0", "b-0", "b-1"}


async def share_a_domain(cluster):
    cluster.add_slice("a", nodes=4)
    for name in ("one", "two"):
        notes = {keys.LWS_EXCLUSIVE_TOPOLOGY: KEY, keys.SCOPE: "LeaderWorkerSet"}
        cluster.add_lws(name, notes=notes)
    await cluster.rest()
    cluster.delete("pods", "one-0-1")
    await cluster.rest()
    cluster.delete("leaderworkersets", "two")
    await cluster.rest()


async def wait_and_be_let_go(cluster):
    cluster.add_slice("a", nodes=1)
    cluster.add_lws()
    await cluster.rest()
    assert keys.CONDITION in annotations_of(cluster, "llm-0")
    leave_alone = {keys.MANAGED: "false"}
    cluster.change(
        "leaderworkersets", "llm", lambda lws: lws["metadata"]["annotations"].update(leave_alone)
    )
    await cluster.rest()
    assert not cluster.server.find("pods", "llm-0")["spec"]["schedulingGates"]
    assert keys.CONDITION not in annotations_of(cluster, "llm-0")
    cluster.delete("leaderworkersets", "llm")
    await cluster.rest()


async def wake_who_was_kept_off(cluster):
    """A courtesy: not tried again where it is refused."""
    cluster.add_slice("a")
    cluster.add_lws()
    await cluster.rest()
    cluster.server.create("pods", a_refused_pod(tpu="4"), namespace="ns")
    cluster.delete("leaderworkersets", "llm")
    await cluster.rest()
    assert keys.WOKEN in annotations_of(cluster, "foreign")


def annotations_of(cluster, pod):
    return cluster.server.find("pods", pod)["metadata"].get("annotations", {})


def cordoned(node):
    node["spec"]["unschedulable"] = True


def asks_for_cpu(lws, cpu):
    spec = lws["spec"]["leaderWorkerTemplate"]["workerTemplate"]["spec"]
    spec["containers"][0]["resources"]["requests"]["cpu"] = cpu


STORIES = [
    place,
    place_ahead,
    yield_what_was_planned_ahead,
    restart_a_group,
    move_before_anything_is_bound,
    move_half_bound,
    move_while_old_pods_are_slow_to_go,
    scale_down,
    delete_and_make_again,
    change_the_template,
    adopt,
    two_groups_want_one_domain,
    spread_over_several_domains,
    move_several_domains,
    a_gang_anywhere,
    share_a_domain,
    wait_and_be_let_go,
]


@pytest.mark.parametrize("story", [*STORIES, wake_who_was_kept_off], ids=lambda s: s.__name__)
@pytest.mark.parametrize("brain_away", [0, 3], ids=["at once", "later"])
def test_the_promises_hold_wherever_the_planner_is_killed(story, brain_away):
    assert kill_at_every_write(story, brain_away=brain_away) >= 2, (
        "a hold is written and a leader pinned"
    )


ANSWERS = [
    pytest.param(409, False, id="conflict"),
    pytest.param(429, False, id="too many requests"),
    pytest.param(0, True, id="no answer though it was done"),
]


@pytest.mark.parametrize("story", STORIES, ids=lambda s: s.__name__)
@pytest.mark.parametrize(("status", "took_effect"), ANSWERS)
def test_the_promises_hold_whatever_a_write_is_answered(story, status, took_effect):
    assert answer_every_write(story, status=status, took_effect=took_effect) >= 2, (
        "a hold is written and a leader pinned"
    )
