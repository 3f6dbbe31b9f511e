"""Groups whose members have rules about other pods, against kube-scheduler's rules written down
plainly (`support/reference_rules.py`), one pod after another.
"""

from itertools import product

from hypothesis import given
from hypothesis import strategies as st
from support.reference_rules import are_all_bound, chosen

from lws_placement.cluster.cache.devices.device_index import DeviceIndex
from lws_placement.cluster.cache.pods.placed_pods import PlacedPodsIndex
from lws_placement.engine.base.lru import LruCache
from lws_placement.engine.fit.domain_index import Fit, fit_in
from lws_placement.engine.fit.node_filters import is_chosen, untolerated, why_not_node
from lws_placement.engine.model.groups import Group, GroupId, Member
from lws_placement.engine.model.placed_pods import Gone
from lws_placement.engine.model.pods import Demand, Pod, Toleration
from lws_placement.engine.model.snapshot import Changes, DomainView, NodeView
from lws_placement.engine.objects.nodes import DomainName, Node, Operator, Requirement, Taint
from lws_placement.engine.objects.placement_request import TopologyRequest
from lws_placement.engine.objects.pod_rules import PodRules, PodTerm, SpreadConstraint
from lws_placement.engine.objects.pod_volumes import PodIdentity
from lws_placement.engine.rules.pod_rules import with_rules

HOST, ZONE = "kubernetes.io/hostname", "zone"
ONE = (("cpu", 1),)

selectors = st.sampled_from(
    [
        None,
        (),
        (Requirement("app", Operator.IN, ("a",)),),
        (Requirement("app", Operator.IN, ("b",)),),
        (Requirement("app", Operator.NOT_IN, ("a",)),),
        (Requirement("role", Operator.EXISTS),),
        (Requirement("app", Operator.IN, ("a",)), Requirement("role", Operator.DOES_NOT_EXIST)),
    ]
)
keys = st.sampled_from([HOST, ZONE])
terms = st.builds(PodTerm, keys, selectors, match_keys=st.sampled_from([(), ("role",)]))
constraints = st.builds(
    SpreadConstraint,
    keys,
    st.integers(1, 2),
    selectors,
    min_domains=st.just(1),
    honors_affinity=st.booleans(),
    honors_taints=st.booleans(),
)
rules = st.one_of(
    st.none(),
    st.builds(PodRules, affinity=st.lists(terms, min_size=1, max_size=2).map(tuple)),
    st.builds(PodRules, anti_affinity=st.lists(terms, min_size=1, max_size=2).map(tuple)),
    st.builds(PodRules, spread=st.lists(constraints, min_size=1, max_size=2).map(tuple)),
    st.builds(
        PodRules,
        affinity=st.lists(terms, max_size=1).map(tuple),
        anti_affinity=st.lists(terms, max_size=1).map(tuple),
        spread=st.lists(constraints, max_size=1).map(tuple),
    ),
)
labels = st.fixed_dictionaries(
    {"app": st.sampled_from("ab")}, optional={"role": st.sampled_from("xy")}
)
selector_of_nodes = st.sampled_from([(), (("type", "gpu"),)])
tolerations = st.sampled_from([(), (Toleration("gpu", "Exists"),)])
pods = st.tuples(st.builds(Demand, st.just(ONE), selector=selector_of_nodes, rules=rules), labels)


@st.composite
def nodes(draw):
    found = []
    for number in range(draw(st.integers(2, 4))):
        name = f"n{number}"
        has = {HOST: name, "type": draw(st.sampled_from(["gpu", "cpu"]))}
        zone = draw(st.sampled_from(["a", "b", None]))
        if zone:
            has[ZONE] = zone
        taints = draw(st.sampled_from([(), (Taint("gpu", "", "NoSchedule"),)]))
        found.append(Node(name, has, {}, taints))
    return found


class Nobody:
    """No member is on its way."""

    may_repel = False

    def __init__(self):
        self.told = []

    def follow(self):
        pass


class Cluster:
    devices = DeviceIndex(None)

    def __init__(self, nodes, running, *, room):
        self.nodes = {n.name: NodeView(n, {"cpu": room}) for n in nodes}
        self.node_indexes, self.node_changes = LruCache(), Changes()
        for node in nodes:
            self.node_changes.note(node.name)
        self.placed_pods, self.gone = PlacedPodsIndex(Nobody()), Gone()
        for i, (demand, labels, node) in enumerate(running):
            self.put(str(i), demand, labels, node)

    actual = property(lambda self: self)

    def put(self, uid, demand, labels, node):
        said = tuple(sorted(labels.items()))
        name = f"running-{uid}"
        self.placed_pods.put(Pod("ns", name, uid, "1", 0, demand, node=node.name, labels=said))

    def node_view(self, name):
        return self.nodes.get(name)

    def node_views(self):
        return list(self.nodes.values())


def ruled(members, cluster):
    group = Group(
        GroupId("ns", "llm", "u", "0"),
        TopologyRequest("all"),
        tuple(Member(rank, demand) for rank, (demand, _) in enumerate(members)),
        identity_of=lambda rank: PodIdentity(labels=members[rank][1]),
    )
    return with_rules(group, cluster)


def spreads_others(members):
    """Whether a constraint counts a member that does not carry the same. Affinity may then leave
    one order in which kube-scheduler binds them all; the plan keeps the skew in every order.
    """
    kinds = [(demand, demand.rules and demand.rules.of(labels)) for demand, labels in members]
    return any(
        chosen(constraint.selector, theirs) and kinds[i] != kinds[j]
        for i, (_, rules) in enumerate(kinds)
        for constraint in (rules.spread if rules else ())
        for j, (_, theirs) in enumerate(members)
    )


def suits_node(demand, node):
    return is_chosen(demand, node) and untolerated(demand, node) is None


def every_way(members, nodes, room):
    for places in product(nodes, repeat=len(members)):
        used = [p.name for p in places]
        suits = all(
            suits_node(demand, place) for (demand, _), place in zip(members, places, strict=True)
        )
        if suits and all(used.count(name) <= room for name in used):
            yield places


@given(st.data(), st.lists(pods, min_size=1, max_size=3), nodes(), st.integers(1, 3))
def test_a_group_goes_where_kube_scheduler_lets_it_in_and_nowhere_else(data, members, nodes, room):
    where = st.sampled_from(nodes)
    running = data.draw(st.lists(st.tuples(pods, where).map(lambda p: (*p[0], p[1])), max_size=3))
    cluster = Cluster(nodes, running, room=room)
    group = ruled(members, cluster)
    fit = fit_in(group, DomainView(DomainName("all", ""), tuple(cluster.node_views())))
    by_name = {n.name: n for n in nodes}
    if isinstance(fit, Fit):
        places = [by_name[fit.nodes[rank]] for rank in range(len(members))]
        assert are_all_bound(members, places, running, nodes)
    elif not spreads_others(members):
        ways = every_way(members, nodes, room)
        assert not any(are_all_bound(members, places, running, nodes) for places in ways)


@given(st.data(), pods, nodes())
def test_one_pod_is_let_in_where_kube_scheduler_lets_it_in(data, pod, nodes):
    where = st.sampled_from(nodes)
    running = data.draw(st.lists(st.tuples(pods, where).map(lambda p: (*p[0], p[1])), max_size=4))
    cluster = Cluster(nodes, running, room=1)
    (member,) = ruled([pod], cluster).members
    for node in nodes:
        suits = suits_node(pod[0], node)
        ours = why_not_node(member.demand, cluster.node_view(node.name)) is None
        assert ours == (suits and are_all_bound([pod], [node], running, nodes))


TOGETHER = PodRules(affinity=(PodTerm(ZONE, (Requirement("app", Operator.IN, ("a",)),)),))


def in_zones(*numbers):
    """So many nodes in zone 0, in zone 1, ..."""
    return [
        Node(f"{zone}-{i}", {HOST: f"{zone}-{i}", ZONE: str(zone)}, {})
        for zone, number in enumerate(numbers)
        for i in range(number)
    ]


def place(demand, number, nodes):
    cluster = Cluster(nodes, [], room=1)
    group = ruled([(demand, {"app": "a"})] * number, cluster)
    return fit_in(group, DomainView(DomainName("all", ""), tuple(cluster.node_views())))


def test_members_that_want_to_be_together_go_to_the_zone_with_room_for_all():
    fit = place(Demand(ONE, rules=TOGETHER), 3, in_zones(2, 3))
    assert set(fit.nodes.values()) == {"1-0", "1-1", "1-2"}
    assert not isinstance(place(Demand(ONE, rules=TOGETHER), 4, in_zones(2, 3)), Fit)


def test_a_thousand_members_that_want_to_be_together_cost_no_more_than_their_number():
    fit = place(Demand(ONE, rules=TOGETHER), 1000, in_zones(1000))
    assert len(fit.nodes) == 1000
