"""Groups that share an answer get the one that each of them would have got alone."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st
from support.multi_domain_strategies import groups, worlds

from lws_placement.engine.model.groups import GroupId
from lws_placement.engine.model.queue_order import turn_of
from lws_placement.engine.model.verdicts import Placed
from lws_placement.engine.planning.multi_domain import plan_multi_domain
from lws_placement.engine.planning.single_domain import PlanMemo
from lws_placement.engine.reconcile.placement import is_room_for, plan_anywhere

IDS = [
    GroupId(namespace, lws, uid, key)
    for namespace, lws, uid in (("ns", "llm", "uid"), ("far", "other", "uid2"))
    for key in ("first", "second")
]


@st.composite
def several(draw):
    """Groups that ask for the same, in any order, and what some of them wait for."""
    asked = draw(groups())
    found = [
        replace(asked, id=name, since_s=draw(st.integers(0, 2)), priority=draw(st.integers(0, 1)))
        for name in draw(st.permutations(IDS))
    ]
    awaited = draw(st.lists(st.tuples(st.sampled_from(found), st.sampled_from(["n0", "n1"]))))
    return found, awaited


@settings(max_examples=300)
@given(worlds(), several(), st.booleans())
def test_a_shared_answer_is_what_the_group_would_get_alone(index, asking, looks_first):
    found, awaited = asking
    for group, node in awaited:
        index.await_room(turn_of(group), frozenset({node}))
    memo = PlanMemo()
    for group in found:
        alone = plan_multi_domain(group, index)
        if looks_first:
            assert is_room_for(group, index, memo) is isinstance(alone, Placed)
        assert plan_anywhere(group, None, index, memo=memo, owns=False) == alone
