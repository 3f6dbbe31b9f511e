"""What is closed to foreign pods follows the nodes, whatever was asked before."""

from hypothesis import given
from hypothesis import strategies as st

from lws_placement.engine.fit.guard_index import ROOM_IS_HELD, GuardIndex, Shape, was_shut_out
from lws_placement.engine.model.exclusivity import Claim
from lws_placement.engine.model.groups import GroupId
from lws_placement.engine.model.snapshot import Changes, NodeView
from lws_placement.engine.objects.nodes import Node
from lws_placement.engine.objects.placement_request import Scope

NAMES = ("a", "b", "c")
GROUP = GroupId("ns", "llm", "uid", "gk")
OWN = GroupId.of_pod("ns", "pod", "uid-pod")
HOLDERS = [frozenset(), *(frozenset({Claim(GROUP, scope)}) for scope in Scope)]
SHAPES = [Shape(()), Shape((("tpu", 1),)), Shape((("tpu", 3),)), Shape((), guest=True)]


def closed(view, shape):
    """The rule itself, for one node."""
    if not view.holders:
        return False
    view = view.without({OWN})
    claimed = any(c.scope is not Scope.NOBODY for c in view.holders)
    return (shape.guest and claimed) or any(view.free[r] < n for r, n in shape.asked)


changed = st.tuples(
    st.sampled_from(NAMES), st.sampled_from(HOLDERS), st.integers(0, 4), st.integers(0, 2)
)
asked = st.sampled_from(SHAPES)


@given(st.lists(st.one_of(changed, asked, st.sampled_from(NAMES)), max_size=30))
def test_answers_are_those_of_the_nodes_as_they_are(steps):
    nodes, changes = {}, Changes()
    kept = GuardIndex(changes, nodes.get)
    for step in steps:
        if isinstance(step, Shape):
            right = {name for name, view in nodes.items() if closed(view, step)}
            assert kept.closed_to(step, OWN) == right
            continue
        if isinstance(step, str):
            nodes.pop(step, None)
            changes.note(step)
            continue
        name, holders, free, own = step
        promised = {OWN: {"tpu": own}} if own else {}
        node = Node(name, {}, {"tpu": 4})
        nodes[name] = NodeView(node, {"tpu": free}, holders=holders, promised=promised)
        changes.note(name)


def test_who_was_shut_out_is_known_by_what_kube_scheduler_says():
    said = "0/4 nodes are available: 1 {}, 3 Insufficient google.com/tpu."
    assert was_shut_out(said.format(ROOM_IS_HELD))
    assert not was_shut_out(said.format("node(s) had volume node affinity conflict"))
    assert not was_shut_out("")
