"""Preemption for groups of several domains, of regions and of none, against brute force."""

from itertools import chain, combinations

from hypothesis import given, settings
from hypothesis import strategies as st
from support.multi_domain_preemption_strategies import (
    OUTRANKS,
    fits_without,
    groups,
    towns,
)

from lws_placement.engine.preemption import multi_domain_search as module
from lws_placement.engine.preemption.disruption_budgets import why_not_evicted
from lws_placement.engine.preemption.multi_domain_search import preempt_multi_domain
from lws_placement.engine.preemption.search import Preemption, WhyNoPreemption
from lws_placement.engine.preemption.victims import Victim, as_victim, may_go


def everyone_who_may_go(town):
    owners = {*town.groups.values(), *town.holds}
    found = [as_victim(g, OUTRANKS, town) for g in sorted(owners)]
    groups = [v for v in found if isinstance(v, Victim)]
    foreign = [p for p in town.pods.values() if not p.terminating and may_go(p, OUTRANKS, town)]
    return [*groups, *(Victim(p.priority, (p,)) for p in foreign)]


def allowed(town, victims):
    return not why_not_evicted((p for v in victims for p in v.pods), town.budgets_of)


def cost(victims):
    return (
        max(v.priority for v in victims),
        sum(v.group is not None for v in victims),
        sum(len(v.pods) for v in victims),
        tuple(sorted(v.name for v in victims)),
    )


def by_brute_force(group, town):
    """The least cost; None: no set does it; FREEING: nobody has to go."""
    if fits_without(group, town, ()):
        return WhyNoPreemption.FREEING
    may = everyone_who_may_go(town)
    sets = chain.from_iterable(combinations(may, n) for n in range(1, len(may) + 1))
    found = (s for s in sets if allowed(town, s) and fits_without(group, town, s))
    return min(map(cost, found), default=None)


@settings(max_examples=400)
@given(groups(), towns())
def test_the_victims_are_the_cheapest_with_which_the_group_has_a_plan(group, town):
    answer, expected = preempt_multi_domain(group, town.index, town), by_brute_force(group, town)
    if isinstance(answer, Preemption):
        assert cost(answer.victims) == expected
    elif answer.why is WhyNoPreemption.FREEING:
        assert expected is WhyNoPreemption.FREEING
    else:
        assert expected is None


@settings(max_examples=400)
@given(groups(), towns(), st.integers(0, 4), st.integers(0, 3))
def test_bounded_or_not_nobody_is_evicted_in_vain(group, town, trials, exact):
    """However few trials and candidates it has: it helps, all of it is needed, and none of a higher
    priority than must be.
    """
    known, module._EXACT = module._EXACT, exact
    try:
        answer = preempt_multi_domain(group, town.index, town, trials=trials)
    finally:
        module._EXACT = known
    if not isinstance(answer, Preemption):
        return
    assert fits_without(group, town, answer.victims)
    assert allowed(town, answer.victims)
    for spared in answer.victims:
        assert not fits_without(group, town, [v for v in answer.victims if v is not spared])
    highest = max(v.priority for v in answer.victims)
    lower = [v for v in everyone_who_may_go(town) if v.priority < highest]
    if not town.budgets:
        assert not fits_without(group, town, lower)


@settings(max_examples=100)
@given(groups(), towns())
def test_the_same_input_gives_the_same_victims(group, town):
    assert preempt_multi_domain(group, town.index, town) == preempt_multi_domain(
        group, town.index, town
    )
