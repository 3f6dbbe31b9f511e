"""The engine against brute force: a group is placed whole exactly when it can be."""

from itertools import product

from hypothesis import given, settings
from hypothesis import strategies as st

from lws_placement.engine.model import Demand, DomainName, Group, GroupId, Member, Node, Placed
from lws_placement.engine.plan import PlanMemo, plan_group
from lws_placement.engine.snapshot import DomainView, NodeView

KEY = "example.com/slice"
ME = GroupId("ns", "llm", "uid", "me")
OTHER = GroupId("ns", "other", "uid2", "other")

amounts = st.integers(0, 3)
demands = st.builds(
    lambda cpu, tpu: Demand(resources=(("cpu", cpu + 1), ("tpu", tpu))),
    st.integers(0, 2),
    st.integers(1, 2),
)
rooms = st.fixed_dictionaries({"cpu": st.integers(0, 6), "tpu": st.integers(0, 3)})
owners = st.sampled_from([frozenset(), frozenset(), frozenset({ME}), frozenset({OTHER})])


@st.composite
def domains(draw):
    views = []
    for d in range(draw(st.integers(1, 3))):
        nodes = tuple(
            NodeView(Node(f"d{d}-{n}", {KEY: f"d{d}"}, room), free=room)
            for n, room in enumerate(draw(st.lists(rooms, min_size=1, max_size=3)))
        )
        holders, overlapping = draw(owners), draw(owners)
        views.append(
            DomainView(DomainName(KEY, f"d{d}"), nodes, holders, overlapping, version=d + 1)
        )
    return views


@st.composite
def groups(draw):
    kinds = draw(st.lists(demands, min_size=1, max_size=4))
    return Group(ME, KEY, tuple(Member(rank, d) for rank, d in enumerate(kinds)))


def fits_by_brute_force(group, domain):
    if (domain.holders | domain.overlapping | domain.occupants) - {group.id}:
        return False
    nodes = domain.nodes
    for choice in product(range(len(nodes)), repeat=group.size):
        left = [dict(n.free) for n in nodes]
        for member, at in zip(group.members, choice, strict=True):
            for name, amount in member.demand.resources:
                left[at][name] = left[at].get(name, 0) - amount
        if all(amount >= 0 for node in left for amount in node.values()):
            return True
    return False


@settings(max_examples=400, deadline=None)
@given(groups(), domains())
def test_a_group_is_placed_whole_exactly_when_some_domain_fits(group, views):
    plan = plan_group(group, views)
    possible = [v for v in views if fits_by_brute_force(group, v)]
    assert isinstance(plan, Placed) == bool(possible)
    if isinstance(plan, Placed):
        domain = next(v for v in views if v.name == plan.domain)
        assert domain in possible
        left = {n.node.name: dict(n.free) for n in domain.nodes}
        assert sorted(plan.nodes) == list(range(group.size))
        for member in group.members:
            for name, amount in member.demand.resources:
                left[plan.nodes[member.rank]][name] -= amount
        assert all(amount >= 0 for node in left.values() for amount in node.values())
    else:
        assert set(plan.reasons) == {v.name.value for v in views}


@settings(max_examples=100, deadline=None)
@given(groups(), domains())
def test_the_same_input_gives_the_same_answer_with_and_without_a_memo(group, views):
    memo = PlanMemo()
    first = plan_group(group, views, memo=memo)
    assert plan_group(group, list(reversed(views)), memo=memo) == first
    assert plan_group(group, views) == first
