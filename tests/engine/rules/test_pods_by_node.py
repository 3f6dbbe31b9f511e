"""Indexes of pods that follow changes, against the same built anew."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lws_placement.cluster.cache.pods.placed_pods import PlacedPodsIndex
from lws_placement.engine.base.lru import LruCache
from lws_placement.engine.model.change_log import ChangeLog
from lws_placement.engine.model.groups import GroupId
from lws_placement.engine.model.placed_pods import Gone, PlacedPod, Selected
from lws_placement.engine.model.pods import Demand, Pod
from lws_placement.engine.model.snapshot import Changes, NodeView
from lws_placement.engine.objects.nodes import Node, Operator, Requirement
from lws_placement.engine.rules.counted_nodes import Inclusion, counted_nodes
from lws_placement.engine.rules.counted_pods import counted_pods
from lws_placement.engine.rules.pods_by_node import MOST_KEPT, domains_with, keep

ZONE = "zone"
APP_A = Selected(((frozenset({"ns"}), (Requirement("app", Operator.IN, ("a",)),)),), living=True)
ANY = Inclusion((ZONE,), Demand(()), honors_affinity=False, honors_taints=False)
GROUP = GroupId("ns", "llm", "u", "0")
NODES = ("n0", "n1", "n2")

uids = st.integers(0, 4)
steps = st.one_of(
    st.tuples(st.just("bound"), uids, st.sampled_from(NODES), st.sampled_from("ab"), st.booleans()),
    st.tuples(st.just("gone"), uids),
    st.tuples(st.just("promised"), uids, st.sampled_from(NODES)),
    st.tuples(st.just("kept"), uids),
    st.tuples(st.just("labelled"), st.sampled_from(NODES), st.sampled_from(["x", "y", None])),
    st.tuples(st.just("dropped"), st.sampled_from(NODES)),
)


class OnTheirWay:
    may_repel = True

    def __init__(self):
        self.told = []
        self.members = {}

    def follow(self):
        pass

    def move(self, number, node):
        before = self.members.pop(number, None)
        if node is not None:
            self.members[number] = PlacedPod(
                "", "ns", f"p{number}", {"app": "a"}, node, promised_to=GROUP
            )
        for told in self.told:
            told((GROUP, number), before, self.members.get(number))


class World:
    def __init__(self, *, log=4096):
        self.coming = OnTheirWay()
        self.pods = PlacedPodsIndex(self.coming)
        self.pods._changes = ChangeLog(log)
        self.nodes, self.bound = {}, {}
        self.node_indexes, self.node_changes = LruCache(), Changes()
        for name in NODES:
            self.labelled(name, "x")

    def node_view(self, name):
        return self.nodes.get(name)

    def bind(self, number, node, app, terminating):
        labels = (("app", app),)
        demand = Demand(())
        pod = Pod("ns", f"p{number}", str(number), "1", 0, demand, node=node, labels=labels)
        if terminating:
            pod = Pod(
                "ns", pod.name, pod.uid, "2", 0, demand, node=node, labels=labels, terminating=True
            )
        self.bound[number] = pod
        self.pods.put(pod)

    def gone(self, number):
        self.bound.pop(number, None)
        self.pods.drop("ns", str(number))

    def labelled(self, name, zone):
        self.nodes[name] = NodeView(Node(name, {ZONE: zone} if zone else {}, {}), {})
        self.node_changes.note(name)

    def dropped(self, name):
        self.nodes.pop(name, None)
        self.node_changes.note(name)

    def do(self, step):
        what, *rest = step
        match what:
            case "bound":
                self.bind(*rest)
            case "gone":
                self.gone(*rest)
            case "promised":
                self.coming.move(*rest)
            case "kept":
                self.coming.move(*rest, None)
            case "labelled":
                self.labelled(*rest)
            case "dropped":
                self.dropped(*rest)

    def matching(self, gone):
        """Zone and name of each pod that counts, plainly."""
        for pod in self.bound.values():
            if ("app", "a") in pod.labels and not pod.terminating and pod.uid not in gone.uids:
                yield self.zone(pod.node), f"ns/{pod.name}", pod.node
        for pod in self.coming.members.values():
            if pod.promised_to not in gone.groups:
                yield self.zone(pod.node), f"ns/{pod.name}", pod.node

    def zone(self, node):
        view = self.nodes.get(node)
        return view.node.labels.get(ZONE) if view else None


def what_is_told(world, gone):
    domains = domains_with(APP_A, ZONE, world.pods, world).without(gone)
    nodes = counted_nodes(ANY, world)
    pods = counted_pods(APP_A, ZONE, nodes, pods=world.pods, nodes=world)
    counts = pods.without(pods.of(gone))
    return domains, counts


@given(
    st.lists(st.lists(steps, max_size=5), min_size=1, max_size=6),
    st.sampled_from([Gone(), Gone(frozenset({"1"})), Gone(groups=frozenset({GROUP}))]),
    st.sampled_from([1, 4096]),
)
def test_an_index_that_follows_tells_what_is_there(rounds, gone, log):
    world = World(log=log)
    for some in rounds:
        for step in some:
            world.do(step)
        domains, counts = what_is_told(world, gone)
        there = list(world.matching(gone))
        first = {}
        for zone, name, _ in sorted(there, key=lambda t: t[1], reverse=True):
            if zone is not None:
                first[zone] = name
        assert {zone: domains.first_in(zone) for zone in ("x", "y")} == {
            "x": first.get("x"),
            "y": first.get("y"),
        }
        assert domains.domains == set(first)
        by_zone = Counter(zone for zone, _, _ in there if zone is not None)
        assert counts.by_domain == by_zone
        assert counts.by_node == Counter(node for zone, _, node in there if zone is not None)
        assert counts.levels == Counter(by_zone.values())


def test_a_member_that_is_bound_where_it_was_promised_changes_no_rule():
    world = World()
    world.coming.move(1, "n0")
    before, _ = what_is_told(world, Gone())
    version = domains_with(APP_A, ZONE, world.pods, world).version
    world.coming.move(1, None)
    world.bind(1, "n0", "a", terminating=False)
    after, _ = what_is_told(world, Gone())
    assert after == before
    world.bind(2, "n1", "a", terminating=False)
    assert what_is_told(world, Gone())[0] != before
    assert domains_with(APP_A, ZONE, world.pods, world).version > version


@pytest.mark.parametrize("back", [False, True])
def test_a_member_on_its_way_may_go_to_another_node_of_its_domain(back):
    """Whichever of the two nodes is looked at first."""
    world = World()
    nodes = NODES[::-1] if back else NODES
    for node in nodes:
        world.coming.move(1, node)
        domains, counts = what_is_told(world, Gone())
        assert (domains.first_in("x"), counts.by_domain) == ("ns/p1", {"x": 1})


class Large:
    def __init__(self, size):
        self.size = size

    def follow(self):
        pass

    def __len__(self):
        return self.size


def test_the_indexes_that_are_kept_hold_a_bounded_number_of_pods_together():
    pods = World().pods
    for which in ("first", "second", "third"):
        keep(which, Large(MOST_KEPT), pods)
    assert list(pods.indexes) == ["second", "third"]
    keep("small", Large(1), pods)
    assert list(pods.indexes) == ["third", "small"]
