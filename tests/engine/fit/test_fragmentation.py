"""Which domains are whole, and that the scores kept for the guard are those of the moment."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lws_placement.cluster.cache.topology_index import TopologyIndex
from lws_placement.engine.fit.fragmentation import DomainState, SteeringTable, state_of, steering
from lws_placement.engine.model.groups import GroupId, Occupant
from lws_placement.engine.model.pods import Demand
from lws_placement.engine.model.reservation import Hold
from lws_placement.engine.objects.nodes import DomainName, Node

KEY = "example.com/slice"
GUARDED = frozenset({"google.com/tpu"})
CHIPS = Demand(resources=(("google.com/tpu", 4), ("pods", 1)))
CPU = Demand(resources=(("cpu", 1000), ("pods", 1)))
GROUP = GroupId("ns", "llm", "uid", "key")


def a_node(name, domain, **fields):
    return Node(name, {KEY: domain}, {"google.com/tpu": 4, "cpu": 8000, "pods": 110}, **fields)


def a_hold(value):
    demands = {0: CHIPS}
    return Hold(DomainName(KEY, value), GROUP, "0", "llm-0", "r", 1, "p", {0: "n0"}, demands)


@pytest.mark.parametrize(
    ("happens", "state"),
    [
        (lambda index: None, DomainState.WHOLE),
        (lambda index: index.put_hold(a_hold("a")), DomainState.HELD),
        (
            lambda index: index.put_occupant("n0", Occupant("f", CHIPS), owner_uid=""),
            DomainState.BROKEN,
        ),
        (
            lambda index: index.put_occupant("n0", Occupant("f", CPU), owner_uid=""),
            DomainState.WHOLE,
        ),
        (
            lambda index: index.put_occupant("n0", Occupant("g", CPU, GROUP), owner_uid=""),
            DomainState.BROKEN,
        ),
        (lambda index: index.put_node(a_node("n0", "a", ready=False)), DomainState.BROKEN),
        (lambda index: index.put_node(a_node("n0", "a", unschedulable=True)), DomainState.BROKEN),
    ],
    ids=["at rest", "held", "chips taken", "cpu taken", "a guest", "not ready", "cordoned"],
)
def test_what_breaks_a_domain(happens, state):
    index = TopologyIndex()
    for name in ("n0", "n1"):
        index.put_node(a_node(name, "a"))
    happens(index)
    domain = index.domain(DomainName(KEY, "a"))
    assert domain is not None
    assert state_of(domain, GUARDED) is state


nodes = st.sampled_from(["n0", "n1", "n2"])
values = st.sampled_from(["a", "b"])
changes = st.one_of(
    st.builds(lambda n, v: lambda i: i.put_node(a_node(n, v)), nodes, values),
    st.builds(lambda n: lambda i: i.drop_node(n), nodes),
    st.builds(lambda n: lambda i: i.put_occupant(n, Occupant(n, CHIPS), owner_uid=""), nodes),
    st.builds(lambda n: lambda i: i.drop_occupant(n, n), nodes),
    st.builds(lambda v: lambda i: i.put_hold(a_hold(v)), values),
    st.builds(lambda v: lambda i: i.drop_hold(DomainName(KEY, v), a_hold(v).group), values),
)


@settings(max_examples=200)
@given(st.lists(st.lists(changes, max_size=4), max_size=6))
def test_the_table_knows_what_a_fresh_look_would_find(batches):
    index = TopologyIndex()
    table = SteeringTable(index.domains(KEY), GUARDED)
    for batch in batches:
        for change in batch:
            change(index)
        domains = index.domains(KEY)
        if table.domains is not domains:  # no node had the key
            table = SteeringTable(domains, GUARDED)
        table.follow()
        fresh = {
            view.node.name: (steering(domain, GUARDED), view)
            for domain in domains
            for view in domain.nodes
        }
        assert table.nodes == fresh
