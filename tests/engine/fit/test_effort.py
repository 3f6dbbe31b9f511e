"""Whatever the shape of a group: a plan costs no more than its effort, and beyond that nothing is
claimed.
"""

from dataclasses import replace

import pytest

from lws_placement.engine.base.effort import PLAN_EFFORT, Effort
from lws_placement.engine.base.matching import maximum_matching
from lws_placement.engine.fit.assignment import NoMatch, match
from lws_placement.engine.fit.index_cache import FitIndexCache
from lws_placement.engine.fit.joint_search import match_jointly
from lws_placement.engine.fit.shortfall import why_not_all
from lws_placement.engine.model.groups import Group, GroupId, Member
from lws_placement.engine.model.joint.rules import Apart, JointRules, Near
from lws_placement.engine.model.pods import Demand
from lws_placement.engine.model.snapshot import DomainSet, DomainView, NodeView
from lws_placement.engine.model.verdicts import NoFit, Placed, Why
from lws_placement.engine.objects.nodes import DomainName, Node
from lws_placement.engine.objects.placement_request import TopologyRequest
from lws_placement.engine.planning.single_domain import PlanMemo, plan_group

KEY = "rack"


def nodes(count, *, cpu=41_000, step=1):
    found = []
    for i in range(count):
        room = {"cpu": cpu + step * i, "pods": 9}
        found.append(NodeView(Node(f"n{i:04}", {KEY: "r", "host": f"n{i:04}"}, room), room))
    return found


def members(count, *, cpu=20_000, step=7):
    return [Member(i, Demand((("cpu", cpu + step * i), ("pods", 1)))) for i in range(count)]


def a_group(count, **more):
    return Group(GroupId("ns", "g", "u", ""), TopologyRequest(KEY), tuple(members(count, **more)))


# Two of them fit on a node, so 51 on 25 do not; no count shows it.
HARD = [
    pytest.param(members(51), nodes(25), None, id="packing"),
    pytest.param(members(51), nodes(1000), None, id="packing, with room"),
    pytest.param(
        members(51),
        nodes(25),
        JointRules((Apart("host", frozenset(range(51)), frozenset(range(0, 51, 3))),)),
        id="apart",
    ),
    pytest.param(
        members(60, cpu=30_000),
        nodes(60),
        JointRules(
            tuple(Near(("host",), frozenset({i}), frozenset({(i + 1) % 60}), {}) for i in range(60))
        ),
        id="near the next one",
    ),
    pytest.param(members(3000), nodes(1000), None, id="too many kinds"),
    pytest.param(members(4096, step=0), nodes(1000), None, id="alike"),
]


@pytest.mark.parametrize(("some", "where", "joint"), HARD)
@pytest.mark.parametrize("most", [0, 1000, PLAN_EFFORT])
def test_a_search_ends_with_its_effort_and_claims_nothing_wrong(some, where, joint, most):
    effort = Effort(most)
    found = match_jointly(some, where, joint, effort)
    if isinstance(found, NoMatch):
        assert found is not NoMatch.IMPOSSIBLE or not effort.is_spent
        return
    names = {n.node.name: n.node for n in where}
    free = {n.node.name: n.free["cpu"] for n in where}
    for member in some:
        free[found[member.rank]] -= dict(member.demand.resources)["cpu"]
    assert min(free.values()) >= 0
    places = {rank: names[name] for rank, name in found.items()}
    assert joint is None or joint.broken(places, Effort()) is None


def test_a_search_ends_where_its_effort_does():
    effort = Effort(3000)
    assert match(members(51), nodes(25), effort) is NoMatch.NOT_PROVEN
    assert -60 < effort.left < 0


def test_a_long_chain_of_places_that_have_to_change_is_no_recursion():
    count = 3000
    options = [[i, i + 1] for i in range(count)] + [[0]]
    owner = maximum_matching(options, Effort(10**9))
    assert len(owner) == count + 1
    assert owner[0] == count


def test_an_index_goes_on_where_its_effort_ended():
    views = [
        replace(DomainView(DomainName(KEY, f"r{i:02}"), tuple(nodes(25))), occupants=frozenset())
        for i in range(40)
    ]
    domains = DomainSet(views)
    group = a_group(3)
    whole = FitIndexCache().of(replace(group, effort=Effort(10**9)), domains)
    assert len(whole.best_first) == 40
    cache, found = FitIndexCache(), []
    for _ in range(40):
        effort = Effort(400)
        index = cache.of(replace(group, effort=effort), domains)
        assert effort.left > -400
        found.append(len(index.best_first))
        assert len(index.unproven) == 40 - found[-1]
    assert found[0] < 40
    assert found == sorted(found)
    assert list(index.best_first) == list(whole.best_first)


def test_what_was_not_looked_at_is_not_proven_and_a_later_plan_finds_it():
    views = [DomainView(DomainName(KEY, "a"), tuple(nodes(1)))]
    views += [DomainView(DomainName(KEY, f"b{i}"), tuple(nodes(25))) for i in range(9)]
    memo, domains = PlanMemo(), DomainSet(views)
    first = plan_group(replace(a_group(3), effort=Effort(0)), domains, memo=memo)
    assert isinstance(first, NoFit)
    assert {r.why for r in first.reasons.values()} == {Why.NOT_PROVEN}
    assert isinstance(plan_group(a_group(3), domains, memo=memo), Placed)


def test_a_group_whose_effort_is_spent_is_not_placed_by_an_index_that_knows_no_rules():
    domains, memo = DomainSet([DomainView(DomainName(KEY, "a"), tuple(nodes(9)))]), PlanMemo()
    assert isinstance(plan_group(a_group(3), domains, memo=memo), Placed)
    assert isinstance(plan_group(replace(a_group(3), effort=Effort(-1)), domains, memo=memo), NoFit)


@pytest.mark.parametrize(("proven", "why"), [(True, Why.NO_MATCHING), (False, Why.NOT_PROVEN)])
def test_the_words_of_a_refusal_end_with_their_effort(proven, why):
    group = replace(a_group(2000), effort=Effort(10))
    reason = why_not_all(group, DomainView(DomainName(KEY, "r"), tuple(nodes(500))), proven=proven)
    assert (reason.why, reason.nodes, reason.shortfall) == (why, 500, None)
