"""The index of what a domain costs at least changes no answer."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st
from support.preemption_strategies import groups, towns
from support.tenants import KEY, Town, a_demand, a_group, a_group_id

from lws_placement.cluster.cache.pods.occupants import takes_differently
from lws_placement.engine.model.groups import Occupant
from lws_placement.engine.model.hold_states import HoldState
from lws_placement.engine.preemption.cost_index import CostIndex
from lws_placement.engine.preemption.search import preempt


def put(town, pod):
    """As the cache does with a pod that has changed: the domain hears of what it takes."""
    before, town.pods[pod.uid] = town.pods[pod.uid], pod
    if takes_differently(before, pod):
        found = (o for o in town.index.occupants_on(pod.node) if o.uid == pod.uid)
        occupant = next(found, Occupant(pod.uid, pod.demand))
        town.index.put_occupant(pod.node, occupant, owner_uid="")


def begins_to_go(draw, town):
    if town.pods:
        pod = draw(st.sampled_from([town.pods[uid] for uid in sorted(town.pods)]))
        put(town, replace(pod, terminating=True))


def is_gone(draw, town):
    if town.pods:
        uid = draw(st.sampled_from(sorted(town.pods)))
        pod = town.pods.pop(uid)
        town.groups.pop(uid, None)
        town.index.drop_occupant(pod.node, uid)


def comes(draw, town):
    nodes = [n.node.name for d in town.domains() for n in d.nodes]
    owner = draw(st.sampled_from([None, "x", "y"]))
    town.add_pod(
        f"late{len(town.pods)}-{draw(st.integers(0, 99))}",
        draw(st.sampled_from(sorted(nodes))),
        group=a_group_id(owner) if owner else None,
        priority=draw(st.integers(0, 3)),
        labels=(("app", "one"),),
    )


def leaves(draw, town):
    holds = [h for group in sorted(town.holds) for h in town.holds[group]]
    if holds:
        town.put_hold(replace(draw(st.sampled_from(holds)), state=HoldState.LEAVING))


def gives_way(draw, town):
    """For a hold somewhere else: it does not show in its own domain."""
    town.yielding = {a_group_id(draw(st.sampled_from("xyz")))}


CHANGES = [begins_to_go, is_gone, comes, leaves, gives_way]


@settings(max_examples=500)
@given(groups, groups, towns(), st.data())
def test_the_answer_is_that_of_looking_into_every_domain(one, other, town, data):
    costs = CostIndex(town.index.domains(KEY))
    for _ in range(data.draw(st.integers(1, 5))):
        for group in (one, other):
            domains = town.index.domains(KEY)
            found = preempt(group, domains, town, costs=costs)
            assert found == preempt(group, domains, town)
        data.draw(st.sampled_from(CHANGES))(data.draw, town)


class Counted(Town):
    """Counts the nodes whose pods are looked at."""

    looks = 0

    def pods_on(self, node):
        self.looks += 1
        return super().pods_on(node)


def test_few_domains_are_looked_into_and_only_those_that_changed_once_more():
    town = Counted()
    for i in range(50):
        town.add_domain(f"d{i:02}", gpu=4)
        for k in range(4):
            town.add_pod(f"p-{i}-{k}", f"d{i:02}-0", priority=k)
    group = a_group(a_demand(gpu=3))
    costs = CostIndex(town.index.domains(KEY))
    preempt(group, town.index.domains(KEY), town, costs=costs)
    first, town.looks = town.looks, 0
    answer = preempt(group, town.index.domains(KEY), town, costs=costs)
    assert [v.name for v in answer.victims] == ["ns/p-0-0", "ns/p-0-1", "ns/p-0-2"]
    assert town.looks < first / 10
    begins = town.pods["uid-p-7-0"]
    put(town, replace(begins, terminating=True))
    town.looks = 0
    answer = preempt(group, town.index.domains(KEY), town, costs=costs)
    assert [v.name for v in answer.victims] == ["ns/p-7-1", "ns/p-7-2"]
    assert town.looks < first / 10
