"""Plans of groups with rules about other pods, with and without indexes that last from plan to
plan: the same groups are placed and refused, while pods come and go.
"""

from hypothesis import given
from hypothesis import strategies as st

from lws_placement.cluster.cache.cluster_cache import ClusterCache
from lws_placement.cluster.cache.topology_index import TopologyIndex
from lws_placement.cluster.codec.objects import decode_node
from lws_placement.engine.model.groups import Group, GroupId, Member
from lws_placement.engine.model.pods import Demand
from lws_placement.engine.model.verdicts import Placed
from lws_placement.engine.objects.nodes import Operator, Requirement
from lws_placement.engine.objects.placement_request import TopologyRequest
from lws_placement.engine.objects.pod_rules import PodRules, PodTerm, SpreadConstraint
from lws_placement.engine.objects.pod_volumes import PodIdentity
from lws_placement.engine.planning.single_domain import PlanMemo, plan_group
from lws_placement.engine.rules.pod_rules import with_rules

KEY, HOST = "slice", "kubernetes.io/hostname"
MINE = (Requirement("app", Operator.IN, ("llm",)),)
APART = PodTerm(HOST, MINE)
ANYWHERE_APART = PodTerm(KEY, MINE)
SPREAD = SpreadConstraint(HOST, 1, MINE)
RULES = [
    PodRules(anti_affinity=(APART,)),
    PodRules(anti_affinity=(APART,), spread=(SPREAD,)),
    PodRules(anti_affinity=(ANYWHERE_APART,)),
    PodRules(spread=(SPREAD,)),
]
NODES = [f"{domain}-{number}" for domain in "abc" for number in range(3)]


def a_cluster():
    cache = ClusterCache(TopologyIndex())
    for name in NODES:
        labels = {HOST: name, KEY: name[0]}
        room = {"cpu": "8", "pods": "110"}
        ready = [{"type": "Ready", "status": "True"}]
        status = {"allocatable": room, "conditions": ready}
        raw = {"metadata": {"name": name, "labels": labels}, "spec": {}, "status": status}
        cache.domains.put_node(decode_node(raw))
    return cache


def a_pod(number, node):
    meta = {
        "name": f"other-{number}",
        "namespace": "ns",
        "uid": f"{number}",
        "resourceVersion": f"{number + 1}",
        "creationTimestamp": "2026-01-01T00:00:00Z",
        "labels": {"app": "llm"},
    }
    spec = {"containers": [{"name": "c"}], "nodeName": node}
    return {"metadata": meta, "spec": spec, "status": {"phase": "Running"}}


def a_group(size, rules):
    demand = Demand((("cpu", 1000), ("pods", 1)), rules=rules)
    return Group(
        GroupId("ns", "llm", "u", "0"),
        TopologyRequest(KEY),
        tuple(Member(rank, demand) for rank in range(size)),
        identity_of=lambda rank: PodIdentity(labels={"app": "llm"}),
    )


@given(
    st.lists(st.sampled_from(NODES), min_size=1, max_size=6),
    st.integers(1, 4),
    st.sampled_from(RULES),
)
def test_groups_are_placed_and_refused_as_without_indexes(nodes, size, rules):
    cache, memo = a_cluster(), PlanMemo()
    for number, node in enumerate(["", *nodes]):
        if node:
            cache.put_pod(a_pod(number, node))
        group = a_group(size, rules)
        ruled, domains = with_rules(group, cache.domains), cache.domains.domains(KEY)
        found = plan_group(ruled, domains, memo=memo, without_rules=group)
        afresh = plan_group(ruled, list(domains))
        assert isinstance(found, Placed) == isinstance(afresh, Placed)
        if not isinstance(found, Placed):
            assert dict(found.reasons) == dict(afresh.reasons)
