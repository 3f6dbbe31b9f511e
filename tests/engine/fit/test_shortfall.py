"""What a refusing domain is said to lack, and for which member (`engine/fit/shortfall.py`)."""

import pytest

from lws_placement.engine.model.groups import Group, GroupId, Member
from lws_placement.engine.model.pods import Demand
from lws_placement.engine.model.snapshot import DomainView, NodeView
from lws_placement.engine.model.verdicts import Shortfall, Why
from lws_placement.engine.objects.nodes import DomainName, Node
from lws_placement.engine.objects.placement_request import TopologyRequest
from lws_placement.engine.planning.single_domain import plan_in_domain

KEY = "example.com/slice"
TPU = "google.com/tpu"


def a_demand(**resources):
    amounts = {TPU if name == "tpu" else name: amount for name, amount in resources.items()}
    return Demand(resources=tuple(sorted(amounts.items())))


def a_node(name, *, unschedulable=False, **free):
    room = {TPU if n == "tpu" else n: amount for n, amount in free.items()}
    return NodeView(Node(name, {KEY: "a"}, room, unschedulable=unschedulable), free=room)


def why_not(demands, *nodes):
    members = tuple(Member(r, d) for r, d in enumerate(demands))
    group = Group(GroupId("ns", "llm", "uid", "me"), TopologyRequest(KEY), members)
    return plan_in_domain(group, DomainView(DomainName(KEY, "a"), nodes))


WHOLE = a_demand(tpu=4)


@pytest.mark.parametrize(
    ("demands", "nodes", "why", "shortfall"),
    [
        pytest.param(
            [WHOLE] * 3,
            [a_node("0", tpu=4), a_node("1", tpu=3), a_node("2", tpu=1)],
            Why.TOO_FEW_NODES,
            Shortfall(1, TPU, asked=4, largest_free=3),
            id="the first member that gets no node, and the best of the nodes that are too small",
        ),
        pytest.param(
            [WHOLE] * 2,
            [a_node("0", tpu=4), a_node("1", tpu=4, unschedulable=True)],
            Why.TOO_FEW_NODES,
            Shortfall(1, rule="cordoned"),
            id="a rule that the other nodes break",
        ),
        pytest.param(
            [a_demand(tpu=4, cpu=0), WHOLE],
            [a_node("0", tpu=4), a_node("1", tpu=3)],
            Why.TOO_FEW_NODES,
            Shortfall(1, TPU, asked=4, largest_free=3),
            id="a leader that differs in nothing that matters has the node, the worker has none",
        ),
        pytest.param(
            [a_demand(cpu=8), WHOLE],
            [a_node("0", tpu=4, cpu=4), a_node("1", tpu=4, cpu=2)],
            Why.TOO_FEW_NODES,
            Shortfall(0, "cpu", asked=8, largest_free=4),
            id="a leader that no node takes",
        ),
        pytest.param(
            [a_demand(tpu=2)] * 5,
            [a_node("0", tpu=4), a_node("1", tpu=5)],
            Why.NO_MATCHING,
            Shortfall(4, TPU, asked=2, largest_free=1),
            id="several on a node: what is left once the others have theirs",
        ),
        pytest.param(
            [a_demand(cpu=1)] + [WHOLE] * 3,
            [a_node("0", tpu=4, cpu=2), a_node("1", tpu=4, cpu=2), a_node("2", tpu=0, cpu=2)],
            Why.TOO_FEW_NODES,
            Shortfall(3, TPU, asked=4, largest_free=0),
            id="workers are counted where the leader can share a node",
        ),
        pytest.param(
            [a_demand(cpu=2500), a_demand(cpu=1250), a_demand(cpu=1250)],
            [a_node("0", cpu=4000)],
            Why.NO_MATCHING,
            Shortfall(0, "cpu", asked=2500, largest_free=1500),
            id="each alone but not all at once",
        ),
        pytest.param(
            [WHOLE] * 3,
            [a_node("0", tpu=4), a_node("1", tpu=4)],
            Why.TOO_FEW_NODES,
            None,
            id="simply too few nodes",
        ),
    ],
)
def test_a_refusal_names_the_member_and_what_is_left_for_it(demands, nodes, why, shortfall):
    reason = why_not(demands, *nodes)
    assert (reason.why, reason.shortfall) == (why, shortfall)
