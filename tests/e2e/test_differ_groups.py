"""The real kube-scheduler binds random groups where we plan them, at the first try, in any order.

`make differ GROUPS=500 SEED=1` plans about as many groups, some of them on what earlier ones left.
Cluster number n has seed SEED + n - 1, so `GROUPS=1` with the seed of a report makes that cluster
again. A group that we refuse is offered to kube-scheduler without pins, in each domain.
"""

import os

import pytest
from e2e.differ_cluster import DifferCluster
from e2e.group_binding import GroupBinding
from e2e.group_differences import GroupTally, Place
from e2e.resources import path_of
from support.namespaced_rules import NamespacedRules, too_uneven
from support.our_plans import OurPlans
from support.our_verdicts import decoded
from support.random_clusters import features_named, random_cluster, seed_named
from support.random_groups import random_group

from lws_placement.engine.messages import domain_in_words
from lws_placement.engine.model.verdicts import Placed, Why

ONE_ORDER = "topology spread is not kept in every order of binding, or not in the end"
NOT_PROVEN = "the search ended at its bound"
SOME_ORDER = "devices do not serve all in every order of binding"
"""Why we may refuse what kube-scheduler binds in a try, which shows one order, without our pins."""

GROUPS = int(os.environ.get("LWS_PLACEMENT_DIFFER_GROUPS", "16"))
SEED = seed_named(os.environ.get("LWS_PLACEMENT_DIFFER_SEED", ""))
NAMED = features_named(os.environ.get("LWS_PLACEMENT_DIFFER_FEATURES", "") or "all")
FEATURES = tuple(feature for feature in NAMED if feature != "volumes")
"""A claim stays bound when its pod is gone, so a group could not be tried twice."""
GROUPS_EACH = 8
"""In a cluster."""


def test_groups_that_we_place_are_bound_at_the_first_try(bare, extender):
    print(f"seed {SEED}, {GROUPS} groups of {', '.join(FEATURES)}")
    there, tally, seed = DifferCluster(bare, extender), GroupTally(), SEED
    while tally.groups < GROUPS:
        _place_groups(bare, there, extender, tally, seed)
        seed += 1
    print(f"{tally.groups} groups in {seed - SEED} clusters\n{tally.table()}")
    if tally.wrong:
        pytest.fail(tally.story(), pytrace=False)


def _place_groups(bare, there, extender, tally, seed):
    wanted = random_cluster(seed, FEATURES, pods=0)
    there.put(wanted)
    ours = OurPlans(bare.api.items)
    for number in range(GROUPS_EACH):
        group = random_group(wanted, number, FEATURES)
        binding = GroupBinding(bare, extender, group)
        admitted = binding.admitted()
        facts = _facts(bare)
        plan = ours.plan(group, admitted)
        pods = [decoded(raw) for raw in admitted]
        if not isinstance(plan, Placed):
            places = _places(bare, binding, group, plan, ours, pods)
            tally.add_refused(group, places, seed=seed, there=facts)
            continue
        bound = binding.bind_planned(plan.nodes)
        uneven = _uneven(bare, ours, pods, [plan.nodes[rank] for rank in range(len(pods))])
        right = tally.add_placed(group, plan, bound, uneven, seed=seed, there=facts)
        if not (right and group.stays):
            binding.delete()


# -- groups that we refuse ------------------------------------------------------------------------


def _places(bare, binding, group, plan, ours, pods):
    """Where kube-scheduler binds the group; none for subgroups, whose domains it cannot choose."""
    if group.request.inner:
        return []
    before = _facts(bare)
    rules = NamespacedRules(_namespaces(before), ours.nodes(), _bound(before))
    found = []
    for value, nodes in _domains(group.request, ours).items():
        bound = binding.bind_anywhere(nodes)
        if bound is not None:
            reason = plan.reasons.get(value) or plan.reasons[""]
            names = [raw["spec"]["nodeName"] for raw in bound]
            uneven = _uneven(bare, ours, pods, names)
            expected = _expected(reason, pods, names, uneven, rules)
            found.append(Place(value, bound, domain_in_words(reason, str), expected))
        binding.delete()
    return found


def _domains(request, ours):
    """Value -> nodes."""
    key = request.outer or request.required_topology
    return ours.domains(key) if key else {"": [node.name for node in ours.nodes()]}


def _expected(reason, pods, names, uneven, rules):
    if reason.why is Why.NOT_PROVEN:
        return NOT_PROVEN
    if reason.shortfall is not None and reason.shortfall.rule.endswith("in some order of binding"):
        return SOME_ORDER
    always = not uneven and all(
        rules.are_bound_in_every_order(pods, names, pinned=pinned) for pinned in (False, True)
    )
    return "" if always else ONE_ORDER


# -- what is there --------------------------------------------------------------------------------


def _facts(bare):
    kinds = ("nodes", "pods", "deviceclasses", "resourceslices", "resourceclaimtemplates")
    paths = ("/api/v1/namespaces", *(path_of(kind, "") for kind in (*kinds, "resourceclaims")))
    return [obj for path in paths for obj in bare.api.items(path)]


def _uneven(bare, ours, pods, names):
    """Now that the pods are on the nodes of these names."""
    return too_uneven(list(zip(pods, names, strict=True)), _bound(_facts(bare)), ours.nodes())


def _namespaces(facts):
    return {
        obj["metadata"]["name"]: obj["metadata"].get("labels", {})
        for obj in facts
        if obj["kind"] == "Namespace"
    }


def _bound(facts):
    pods = [decoded(obj) for obj in facts if obj["kind"] == "Pod"]
    return [pod for pod in pods if pod.node is not None]
