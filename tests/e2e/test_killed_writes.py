"""kill -9 of planner, controller and extender at every kind of write that they make
(`write_kinds.py`), before it took effect and after: each story ends as it would have.

That is against the real API server what `tests/planner/test_kills.py` and
`tests/controller/test_rollout_kills.py` do at every single write against one in memory.
"""

import json
from contextlib import contextmanager
from pathlib import Path

import pytest
from e2e.conftest import launch, start
from e2e.dead_nodes import dead
from e2e.resources import path_of
from e2e.rollouts import images, is_done, revisions, rollout, set_image
from e2e.stack import LWS, MODEL
from e2e.test_ahead import no_pods
from e2e.test_repair_groups import MOUNTED, a_claim, a_volume_in, fail_a_worker
from e2e.test_shapes import by_subgroup
from write_kinds import Kind

from lws_placement import keys

_KILLABLE = Path(__file__).with_name("killable.py")
_LEASES = path_of("leases", "lws-placement-system")
_FLAGS = ("--force-delete-after=1",)
BOTH = pytest.mark.parametrize("when", ["before", "after"])


class Mortals:
    """Replicas that die at writes of the kinds that are asked for, and are started again."""

    def __init__(self, installed, folder):
        self._installed = installed
        self._folder = folder
        self._how = {"program": (str(_KILLABLE), str(folder))}
        self._names = []

    def become(self, *names):
        """In place of those of these names that were there."""
        for name in names:
            self._installed.stop_server(name)
            start(self._installed, name, *_FLAGS, **self._how)
            self._names.append(name)

    def die_at(self, kinds, when):
        for kind in kinds:
            (self._folder / f"{when} {kind}").touch()

    def left(self):
        return sorted(path.name for path in self._folder.iterdir())

    def spare(self):
        for path in self._folder.iterdir():
            path.unlink()

    def raise_the_dead(self):
        for name in self._names:
            if not self._installed.servers[name].running:
                launch(self._installed, name, *_FLAGS, **self._how)

    def are_ready(self):
        return all(self._is_ready(name) for name in self._names)

    def _is_ready(self, name):
        listens = (self._installed.cluster.folder / f"{name}.ports").exists()
        return self._installed.servers[name].running and listens and self._installed.is_ready(name)

    def end(self):
        for name in self._names:
            self._installed.stop_server(name)
            start(self._installed, name)


@pytest.fixture(scope="module")
def mortals(installation, tmp_path_factory):
    made = Mortals(installation, tmp_path_factory.mktemp("kinds"))
    try:
        made.become("brain-a", "brain-b")
        yield made
    finally:
        made.end()


@pytest.fixture
def kill_at(scene, mortals):
    """From its call on the first to make a write of one of these kinds dies there."""
    scene.meanwhile = mortals.raise_the_dead
    scene.wait(lambda: nothing_to_do(scene), "nothing is left of other tests")

    def arm(when, *kinds):
        assert mortals.left() == [], "there was a write of each kind"
        scene.wait(mortals.are_ready, "each has one that stands by")
        mortals.die_at(kinds, when)

    try:
        yield arm
        assert mortals.left() == [], "there was a write of each kind"
    finally:
        mortals.spare()
        mortals.raise_the_dead()


def nothing_to_do(scene):
    """Who is to die at a write of one test should not die at one of another."""
    items = scene.cluster.api.items
    return not items(_LEASES, labelSelector=keys.HOLD_LABEL) and not items(path_of("lws", ""))


def whole(scene, number):
    """Reached without a promise broken on the way."""

    def looked():
        assert scene.broken_promises() == []
        pods = scene.members()
        there = [p for p in pods if p["spec"].get("nodeName") and not _goes(p)]
        return len(there) == len(pods) == number

    scene.wait(looked, f"{number} members are bound")
    scene.wait(lambda: states(scene) == ["active"], "one hold")


def _goes(pod):
    return "deletionTimestamp" in pod["metadata"]


def states(scene):
    return [holder["state"] for hold in scene.holds() for holder in hold["holders"]]


def troubles(scene):
    """What is remembered of groups: domain -> how many refusals in a row, domain -> failures."""
    found = scene.cluster.api.items(_LEASES, labelSelector=f"{keys.HOLD_LABEL}=troubles")
    bodies = [json.loads(lease["metadata"]["annotations"][keys.TROUBLES]) for lease in found]
    refused = {r["domain"]: r["times"] for body in bodies for r in body["refused"]}
    return refused, {f["domain"]: len(f["at"]) for body in bodies for f in body["failed"]}


# -- the planner: placing ------------------------------------------------------------------------


@BOTH
def test_while_a_group_is_placed_and_its_hold_ends(scene, kill_at, when):
    """The leader is there before the nodes: planned ahead, no pod would have to be pinned."""
    kill_at(when, Kind.CREATE_HOLD, Kind.PIN_POD, Kind.LEAVE_HOLD, Kind.END_HOLD)
    scene.create(scene.lws())
    scene.wait(lambda: scene.gated("llm-0"), "the leader waits")
    scene.pool(2)
    whole(scene, 4)
    scene.kubectl("delete", "lws", "llm", "--wait=false")
    scene.wait(lambda: not scene.holds() and not scene.members(), "nothing is left")


@BOTH
def test_while_subgroups_are_placed(scene, kill_at, when):
    """Two holds that count together."""
    kill_at(when, Kind.CREATE_PART)
    notes = {f"{LWS}/subgroup-exclusive-topology": scene.key}
    lws = scene.lws(size=4, exclusive=False, annotations=notes)
    lws["spec"]["leaderWorkerTemplate"]["subGroupPolicy"] = {"subGroupSize": 2}
    scene.pool(3, 2)
    scene.create(lws)
    scene.wait_bound(4)
    scene.wait(lambda: states(scene) == ["active", "active"], "one promise of two holds")
    one, other = by_subgroup(scene).values()
    assert len(one) == len(other) == 1
    assert one != other


@BOTH
def test_while_a_group_that_waits_is_told_why_and_let_go(scene, kill_at, when):
    kill_at(when, Kind.WRITE_CONDITION, Kind.RELEASE_POD)
    scene.pool(1, nodes_each=2)
    scene.create(scene.lws(size=4))
    scene.wait(lambda: keys.CONDITION in notes_of(scene, "llm-0"), "the leader carries the reason")
    scene.kubectl("annotate", "lws", "llm", f"{keys.MANAGED}=false")
    scene.wait(lambda: len(scene.bound()) == 2, "the two that fit run")
    assert not any(scene.gated(p["metadata"]["name"]) for p in scene.members())
    assert keys.CONDITION not in notes_of(scene, "llm-0")
    assert scene.holds() == []


def notes_of(scene, pod):
    found = [p["metadata"] for p in scene.members() if p["metadata"]["name"] == pod]
    return found[0].get("annotations", {}) if found else {}


# -- the planner: repair -------------------------------------------------------------------------


@BOTH
def test_while_a_pinned_pod_is_replaced(scene, kill_at, when):
    """A worker: a leader that is replaced takes its workers with it, as one that restarts does."""
    scene.pool(2)
    kill_at(when, Kind.REPLACE_HOLD, Kind.REPLACE_POD)
    scene.cluster.stop_scheduler()
    try:
        scene.create(scene.lws(size=3))
        node = scene.wait(lambda: scene.pin("llm-0-1"), "the worker is pinned")
        scene.kubectl("cordon", node)
        scene.wait(lambda: scene.pin("llm-0-1") not in ("", node), "it has another node")
    finally:
        scene.installation.start_scheduler()
    whole(scene, 3)


@BOTH
def test_while_a_half_bound_group_is_moved(scene, kill_at, when):
    """The room of a worker is taken while the leader runs."""
    scene.pool(2)
    kill_at(when, Kind.LEAVE_HOLD, Kind.RESTART_GROUP)
    scene.create(never_ready(scene, size=4))
    scene.wait(lambda: scene.bound(), "the leader is bound")
    used = scene.node_of("llm-0")
    old = scene.domain_of(used)
    free = [n for n in scene.nodes if scene.domain_of(n) == old and n != used]
    scene.create(scene.filler(free[0]))
    make_ready(scene)
    scene.wait(lambda: old not in {d for ds in scene.places().values() for d in ds}, "it left")
    scene.wait(lambda: scene.bound(), "the new leader is bound")
    make_ready(scene)
    whole(scene, 4)


def never_ready(scene, size):
    """A set whose workers do not exist before somebody makes the leader ready."""
    lws = scene.lws(size=size, leader=MODEL, startupPolicy="LeaderReady")
    template = lws["spec"]["leaderWorkerTemplate"]["leaderTemplate"]
    template["metadata"] = {"annotations": {"simulate.lws-placement.dev/never-ready": "true"}}
    return lws


def make_ready(scene):
    scene.kubectl("annotate", "pod", "llm-0", "simulate.lws-placement.dev/never-ready-")


@BOTH
def test_while_a_pod_is_forced_off_a_dead_node(scene, kill_at, when):
    scene.pool(2)
    kill_at(when, Kind.FORCE_DELETE)
    scene.create(scene.lws(size=3))
    whole(scene, 3)
    node = scene.node_of("llm-0-1")
    with dead(scene, node):
        scene.kubectl("delete", "pod", "llm-0-1", "--wait=false")
        scene.wait(lambda: node not in scene.nodes_in_use(), "nothing is on the dead node")
        whole(scene, 3)


@BOTH
def test_while_it_is_noted_and_forgotten_that_a_domain_refused_a_group(scene, kill_at, when):
    scene.pool(2)
    kill_at(when, Kind.REMEMBER_TROUBLES, Kind.FORGET_TROUBLES)
    scene.create(a_volume_in(scene, "n01"), a_claim(scene))
    scene.create(scene.lws(size=3, pod=MOUNTED))
    scene.wait(lambda: scene.places() == {("llm", "0"): {"n01"}}, "it is where its volume is")
    whole(scene, 3)
    assert troubles(scene) == ({"n00": 1}, {})
    scene.kubectl("delete", "lws", "llm", "--wait=false")
    scene.wait(lambda: troubles(scene) == ({}, {}), "nothing is remembered of what is no more")


@BOTH
def test_while_it_is_noted_that_a_node_failed_under_a_group(scene, kill_at, when):
    """The failed pod is gone when the other replica leads, which has seen it while it stood by."""
    scene.pool(2)
    kill_at(when, Kind.REMEMBER_TROUBLES)
    scene.create(scene.lws(size=3))
    whole(scene, 3)
    before, (used,) = scene.uids(), scene.places()[("llm", "0")]
    fail_a_worker(scene)
    scene.wait(lambda: not before & scene.uids(), "all pods are new")
    whole(scene, 3)
    scene.wait(lambda: troubles(scene) == ({}, {used: 1}), "it is remembered")


# -- the planner: preemption ---------------------------------------------------------------------


@BOTH
def test_while_a_group_is_evicted_for_another(scene, kill_at, when):
    scene.pool(1)
    kill_at(when, Kind.ANNOUNCE_HOLD, Kind.EVICT_POD)
    scene.create(scene.lws("low"))
    scene.wait_bound(4, "low")
    with a_priority(scene, 1000) as name:
        high = scene.lws("high")
        template = high["spec"]["leaderWorkerTemplate"]["workerTemplate"]
        template["spec"]["priorityClassName"] = name
        scene.create(high)
        scene.wait_bound(4, "high")
    assert scene.bound("low") == []
    assert scene.broken_promises() == []
    holders = [(h["lws"], h["state"]) for hold in scene.holds() for h in hold["holders"]]
    assert holders == [("high", "active")]


@contextmanager
def a_priority(scene, value):
    meta = {"name": f"{scene.namespace}-{value}"}
    kind = {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass"}
    scene.create({**kind, "metadata": meta, "value": value})
    try:
        yield meta["name"]
    finally:
        scene.kubectl("delete", "priorityclass", meta["name"], "--wait=false")


def test_before_a_pod_is_woken(scene, other_scene, kill_at):
    """No pod of the group exists, so that nothing but us tells kube-scheduler of the room."""
    scene.pool(1)
    kill_at("before", Kind.WAKE_POD)
    scene.create(no_pods(scene))
    scene.create(scene.lws())
    scene.wait(lambda: scene.holds(), "the group holds the domain without a pod")
    foreign = other_scene.filler("", name="foreign")
    del foreign["spec"]["nodeName"]
    foreign["spec"]["nodeSelector"] = {"pool": scene.namespace}
    other_scene.create(foreign)
    other_scene.wait(lambda: "held" in why_unbound(other_scene, "foreign"), "it is kept off")
    scene.kubectl("delete", "lws", "llm", "--wait=false")
    scene.wait(lambda: other_scene.node_of("foreign"), "it has the room")


def why_unbound(scene, pod):
    conditions = scene.one("pod", pod)["status"].get("conditions", [])
    return " ".join(c.get("message", "") for c in conditions if c["type"] == "PodScheduled")


# -- the extender --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def mortal_gates(mortals):
    mortals.become("gate-a", "gate-b")


@BOTH
@pytest.mark.usefixtures("mortal_gates")
def test_while_a_pod_is_bound(scene, kill_at, when):
    """kube-scheduler gets no answer, and asks the other replica."""
    scene.pool(2)
    kill_at(when, Kind.BIND_POD)
    scene.create(scene.lws())
    whole(scene, 4)


# -- the controller ------------------------------------------------------------------------------

FIRST, SECOND = "registry.example.com/model", "registry.example.com/model:2"
CREATED = (
    Kind.CREATE_REVISION,
    Kind.APPLY_LEADER_SET,
    Kind.CREATE_SERVICE,
    Kind.WRITE_STATUS,
    Kind.CREATE_WORKERS,
    Kind.TELL,
)
UPDATED = (Kind.SAY_NO_ROOM, Kind.SET_ASIDE, Kind.DELETE_REVISION)
RESTARTED = (Kind.NOTE_RESTART, Kind.RESTART_GROUP)


@BOTH
def test_in_the_life_of_a_leader_worker_set(scene, kill_at, when):
    """Created, updated while there is no room for a surge group, taken back; a worker is lost."""
    scene.pool(2, 2)
    kill_at(when, *CREATED)
    budget = {keys.RESTART_BUDGET: "3"}
    scene.create(scene.lws(replicas=2, size=2, annotations=budget, **rollout(1, surge=1)))
    ends_as(scene, FIRST, set_aside=0)
    kill_at(when, *UPDATED)
    set_image(scene, SECOND)
    ends_as(scene, SECOND, set_aside=1)
    kill_at(when, Kind.TRIM_HISTORY)
    set_image(scene, FIRST)
    ends_as(scene, FIRST, set_aside=1)
    before = scene.uids()
    kill_at(when, *RESTARTED)
    scene.kubectl("delete", "pod", "llm-1-1", "--wait=false")
    scene.wait(lambda: len(scene.uids() - before) == 2 == len(scene.uids() & before), "it is new")
    ends_as(scene, FIRST, set_aside=1)


def ends_as(scene, image, *, set_aside):
    want = {
        "images": {0: [image], 1: [image]},
        "domains": [["n00"], ["n01"]],
        "holds": ["active", "active"],
        "gated": [],
        "sets": ["llm", "llm-0", "llm-1"],
        "services": ["llm"],
        "revisions": 1,
        "set aside": set_aside,
    }
    scene.wait(lambda: is_done(scene, 2), "all groups are updated")
    scene.wait(lambda: outcome(scene) == want, f"it is {want}")


def outcome(scene):
    """What must not depend on what happened on the way."""
    names = {kind: [o["metadata"]["name"] for o in scene.get(kind)] for kind in ("sts", "services")}
    return {
        "images": images(scene),
        "domains": sorted(map(sorted, scene.places().values())),
        "holds": states(scene),
        "gated": [
            p["metadata"]["name"] for p in scene.members() if p["spec"].get("schedulingGates")
        ],
        "sets": names["sts"],
        "services": names["services"],
        "revisions": len(revisions(scene)),
        "set aside": len(scene.get("controllerrevisions", labels=f"{keys.HISTORY_OF}=llm")),
    }
