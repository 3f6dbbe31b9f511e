"""Groups of several domains, of regions and of none, held against brute force."""

from itertools import permutations, product

from hypothesis import given, settings
from support.multi_domain_strategies import (
    groups,
    worlds,
)

from lws_placement.engine.fit.assignment import take
from lws_placement.engine.fit.node_filters import why_not_node
from lws_placement.engine.model.exclusivity import claim_of, opponents
from lws_placement.engine.model.verdicts import Placed
from lws_placement.engine.objects.nodes import DomainName
from lws_placement.engine.planning.multi_domain import plan_multi_domain


def usable(group, index, key, value):
    """The domain's nodes, if the group may have it; else none."""
    view = index.domain(DomainName(key, value))
    owners = view.holders | view.overlapping | view.occupants
    return [] if opponents(claim_of(group), owners) else [n.node.name for n in view.nodes]


def choices(group, index):
    """Every assignment of nodes to members that breaks no rule of the request."""
    request = group.request
    names = [v.node.name for v in index.node_views()]
    zones = [names]
    if request.required_topology:
        values = {index.node(n).labels[request.required_topology] for n in names}
        zones = [
            [n for n in names if index.node(n).labels[request.required_topology] == v]
            for v in values
        ]
    for zone in zones:
        for around in arounds(group, index, zone):
            yield from in_region(group, index, around)


def arounds(group, index, zone):
    outer = group.request.outer
    if not outer:
        return [zone]
    values = sorted({index.node(n).labels[outer] for n in zone})
    return [[n for n in usable(group, index, outer, v) if n in zone] for v in values]


def in_region(group, index, names):
    request = group.request
    values = sorted({index.node(n).labels[request.inner] for n in names}) if request.inner else []
    loose_on = [n for n in names if request.outer or is_open(group, index, n)]
    for chosen in permutations(values, len(request.subgroups)):
        where = {}
        for ranks, value in zip(request.subgroups, chosen, strict=True):
            there = [n for n in usable(group, index, request.inner, value) if n in names]
            where |= dict.fromkeys(ranks, there)
        options = [where.get(m.rank, loose_on) for m in group.members]
        yield from product(*options)


def is_open(group, index, name):
    view = index.node_view(name)
    return not opponents(claim_of(group), view.groups | view.holders)


def fits(group, index, nodes):
    left = {v.node.name: v for v in index.node_views()}
    for member, name in zip(group.members, nodes, strict=True):
        if why_not_node(member.demand, left[name]) is not None:
            return False
        left[name] = take(left[name], member.demand)
    return True


@settings(max_examples=400)
@given(worlds(), groups())
def test_a_plan_is_found_exactly_when_there_is_one(index, group):
    plan = plan_multi_domain(group, index)
    possible = [nodes for nodes in choices(group, index) if fits(group, index, nodes)]
    if not possible:
        assert not isinstance(plan, Placed)
        return
    assert isinstance(plan, Placed)
    assert tuple(plan.nodes[m.rank] for m in group.members) in possible


@settings(max_examples=200)
@given(worlds(), groups())
def test_a_plan_says_which_domains_it_takes_and_where_each_member_has_its_room(index, group):
    plan = plan_multi_domain(group, index)
    if not isinstance(plan, Placed):
        return
    assert plan == plan_multi_domain(group, index), "same input, same answer"
    places = [(plan.domain, None), *plan.others]
    inner = [d for d, _ in places if group.request.inner and d.key == group.request.inner]
    assert len(inner) == len(set(inner)) == len(group.request.subgroups)
    for domain, ranks in plan.others:
        if domain.key:
            there = index.nodes_of(domain)
            assert {plan.nodes[r] for r in ranks} <= there
