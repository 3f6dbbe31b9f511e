"""Classes of refusals are the same, counted at once or kept up change by change."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from lws_placement.engine.fit.refusals import Tally, classes_of
from lws_placement.engine.model.exclusivity import Claim
from lws_placement.engine.model.groups import Group, GroupId, Member
from lws_placement.engine.model.pods import Demand
from lws_placement.engine.model.snapshot import DomainSet, DomainView, NodeView
from lws_placement.engine.model.verdicts import NoFit, Reason, Shortfall, Why
from lws_placement.engine.objects.nodes import DomainName, Node
from lws_placement.engine.objects.placement_request import Scope, TopologyRequest
from lws_placement.engine.planning.single_domain import PlanMemo, plan_group

KEY = "example.com/slice"
OTHER = GroupId("ns", "other", "uid", "gk")
reasons = st.one_of(
    st.builds(Reason, st.sampled_from([Why.HELD, Why.OCCUPIED]), holder=st.just(OTHER)),
    st.builds(
        Reason,
        st.just(Why.TOO_FEW_NODES),
        fit=st.integers(0, 1),
        nodes=st.just(2),
        shortfall=st.builds(
            Shortfall, st.just(0), st.just("tpu"), st.just(4), largest_free=st.integers(0, 3)
        ),
    ),
)
changes = st.tuples(st.sampled_from("abcde"), st.none() | reasons)


@given(st.lists(changes, max_size=40))
def test_a_tally_counts_what_is_there(steps):
    tally, there = Tally(), {}
    for value, reason in steps:
        if reason is None:
            tally.drop(value)
            there.pop(value, None)
        else:
            tally.put(value, reason)
            there[value] = reason
        assert tally.classes() == classes_of(there)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 1), st.booleans()), max_size=20))
def test_the_summary_of_a_plan_is_that_of_its_reasons(steps):
    """Two groups in turn, which are given the same verdict while nothing changes."""
    groups = [a_group(0), a_group(1)]
    domains, memo = DomainSet([a_domain("a", 0, held=False)]), PlanMemo()
    for number, (value, free, held) in enumerate(steps):
        domains.put(a_domain(value, free, held=held))
        verdict = plan_group(groups[number % 2], domains, memo=memo)
        assert isinstance(verdict, NoFit)
        if number % 3:
            assert classes_of(verdict.reasons) == classes_of(dict(verdict.reasons))


def a_group(number):
    demand = Demand(resources=(("tpu", 2),))
    return Group(
        GroupId("ns", "llm", "uid", f"g{number}"), TopologyRequest(KEY), (Member(0, demand),)
    )


def a_domain(value, free, *, held):
    view = NodeView(Node(f"{value}-0", {KEY: value}, {"tpu": 2}), {"tpu": free})
    holders = frozenset({Claim(OTHER, Scope.CLUSTER)}) if held else frozenset()
    return replace(DomainView(DomainName(KEY, value), (view,)), holders=holders)
