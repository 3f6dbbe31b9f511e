"""Topology keys that users name and no node carries cost nothing."""

from lws_placement.cluster.cache.topology_index import TopologyIndex
from lws_placement.engine.model.groups import Occupant
from lws_placement.engine.model.pods import Demand
from lws_placement.engine.objects.nodes import DomainName, Node

MANY = 10_000


class Counted(dict):
    """A node's labels, and how often they are looked at."""

    looks = 0

    def get(self, *args):
        Counted.looks += 1
        return super().get(*args)


def test_an_event_looks_at_the_keys_that_nodes_carry_alone():
    index = TopologyIndex()
    index.put_node(Node("n", Counted(rack="r"), {"cpu": 1000}))
    for i in range(MANY):
        assert len(index.domains(f"example.com/k{i}")) == 0
        assert index.domain(DomainName(f"example.com/k{i}", "v")) is None
        assert index.nodes_of(DomainName(f"example.com/k{i}", "v")) == frozenset()
    assert len(index.domains("rack")) == 1
    Counted.looks = 0
    index.put_node(Node("n", Counted(rack="r"), {"cpu": 2000}))
    index.put_occupant("n", Occupant("uid", Demand((("cpu", 1000),))), owner_uid="")
    assert Counted.looks < 20
    assert index.domain(DomainName("rack", "r")).nodes[0].free["cpu"] == 1000


def test_a_key_that_comes_with_a_node_is_known_from_then_on():
    index = TopologyIndex()
    assert not index.label_known("rack")
    assert len(index.domains("rack")) == 0
    index.put_node(Node("a", {"rack": "r1"}, {}))
    index.put_node(Node("b", {}, {}))
    assert index.label_known("rack")
    assert [d.name.value for d in index.domains("rack")] == ["r1"]
    index.put_node(Node("b", {"rack": "r2"}, {}))
    assert [d.name.value for d in index.domains("rack")] == ["r1", "r2"]
    index.put_node(Node("a", {}, {}))
    index.drop_node("b")
    assert not index.label_known("rack")
    assert len(index.domains("rack")) == 0
    index.put_node(Node("c", {"rack": "r3"}, {}))
    assert [d.name.value for d in index.domains("rack")] == ["r3"]
