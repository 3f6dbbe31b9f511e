"""Preemption against brute force: the cheapest victims with which the group fits, or nobody."""

from itertools import chain, combinations, product

from hypothesis import given, settings
from hypothesis import strategies as st
from support.preemption_strategies import groups, towns
from support.tenants import ME

from lws_placement.engine.model.hold_states import HoldState
from lws_placement.engine.preemption.search import Preemption, WhyNoPreemption, preempt


def subsets(items):
    return chain.from_iterable(combinations(items, n) for n in range(len(items) + 1))


def api_lets_go(pods, town):
    """The eviction API, one pod after the other."""
    left = {b.id: b.allowed for b in town.budgets}
    for pod in pods:
        for budget in town.budgets:
            if dict(pod.labels)["app"] != budget.selector[0].values[0]:
                continue
            if not pod.ready and budget.unhealthy_always:
                continue
            left[budget.id] -= 1
            if left[budget.id] < 0:
                return False
    return True


def fits_without(group, domain, town, uids):
    for choice in product(domain.nodes, repeat=group.size):
        left = {}
        for view in domain.nodes:
            room = dict(view.node.allocatable)
            for pod in town.pods_on(view.node.name):
                if pod.uid not in uids:
                    for name, amount in pod.demand.resources:
                        room[name] -= amount
            left[view.node.name] = room
        for member, view in zip(group.members, choice, strict=True):
            for name, amount in member.demand.resources:
                left[view.node.name][name] -= amount
        if all(amount >= 0 for room in left.values() for amount in room.values()):
            return True
    return False


def gone_by_themselves(town, domain):
    """Pods that are going, and groups that are."""
    leaving = {
        g
        for g in domain.owners
        if (
            all(h.state is HoldState.LEAVING for h in town.holds_of(g))
            if town.holds_of(g)
            else all(p.terminating for p in town.all_pods_of(g))
        )
    }
    pods = [p for v in domain.nodes for p in town.pods_on(v.node.name)]
    going = {p.uid for p in pods if p.terminating or town.goes_with(p) in leaving}
    return going, leaving


def sets_of_victims(group, domain, town):
    """(groups, foreign pods) that may go; all groups of the domain have to."""
    going, leaving = gone_by_themselves(town, domain)
    must = domain.owners - leaving - {ME}
    for other in must:
        living = [p for p in town.all_pods_of(other) if not p.terminating]
        if not living or max(p.priority for p in living) >= group.outranks:
            return
    pods = [p for v in domain.nodes for p in town.pods_on(v.node.name)]
    foreign = [
        p
        for p in pods
        if town.goes_with(p) is None and not p.terminating and p.priority < group.outranks
    ]
    for some in subsets(foreign):
        yield must, some, going


def cost_of(must, some, domain, town):
    living = [p for g in must for p in town.all_pods_of(g) if not p.terminating]
    everyone = [*living, *some]
    names = sorted([*map(str, must), *(p.key for p in some)])
    return (
        max(p.priority for p in everyone),
        len(must),
        len(everyone),
        domain.name.value,
        tuple(names),
    ), everyone


def by_brute_force(group, town):
    """The least cost, or why nobody."""
    found = []
    for domain in town.domains():
        for must, some, going in sets_of_victims(group, domain, town):
            if not must and not some:
                if fits_without(group, domain, town, going):
                    return WhyNoPreemption.FREEING
                continue
            cost, everyone = cost_of(must, some, domain, town)
            if not api_lets_go(everyone, town):
                continue
            uids = going | {p.uid for p in everyone}
            uids |= {p.uid for g in must for p in town.all_pods_of(g)}
            if fits_without(group, domain, town, uids):
                found.append(cost)
    return min(found, default=None)


@settings(max_examples=600)
@given(groups, towns())
def test_the_victims_are_the_cheapest_that_make_the_group_fit(group, town):
    answer, expected = preempt(group, town.domains(), town), by_brute_force(group, town)
    if isinstance(answer, Preemption):
        cost = answer.cost
        mine = (cost.priority, cost.groups, cost.pods, cost.domain, cost.victims)
        assert mine == expected
    elif answer.why is WhyNoPreemption.FREEING:
        assert expected is WhyNoPreemption.FREEING
    else:
        assert expected is None


@settings(max_examples=200)
@given(groups, towns(), st.integers(0, 6))
def test_bounded_or_not_nobody_is_evicted_in_vain(group, town, trials):
    answer = preempt(group, town.domains(), town, trials=trials)
    if not isinstance(answer, Preemption):
        return
    domain = next(d for d in town.domains() if d.name == answer.domain)
    going, _ = gone_by_themselves(town, domain)
    for spared in [None, *(v for v in answer.victims if v.group is None)]:
        gone = [v for v in answer.victims if v is not spared]
        uids = going | {p.uid for v in gone for p in v.pods}
        uids |= {p.uid for v in gone if v.group for p in town.all_pods_of(v.group)}
        assert fits_without(group, domain, town, uids) == (spared is None)


@settings(max_examples=100)
@given(groups, towns())
def test_the_same_input_gives_the_same_victims(group, town):
    again = list(reversed(town.domains()))
    assert preempt(group, town.domains(), town) == preempt(group, again, town)
