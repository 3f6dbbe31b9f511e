"""What preemption is decided on, as it is read from the API server, and evictions."""

import pytest
from support.fake_server import FakeServer
from support.fakes import FakeApi
from support.virtual_time import run

from lws_placement.cluster.adapters.tenants import ClusterTenants
from lws_placement.cluster.api.eviction import Evictions
from lws_placement.cluster.cache.cluster_cache import ClusterCache
from lws_placement.cluster.cache.disruption_budgets import BudgetIndex, decode_budget
from lws_placement.cluster.cache.topology_index import TopologyIndex
from lws_placement.cluster.codec.objects import decode_pod
from lws_placement.engine.base import keys
from lws_placement.engine.model.groups import GroupId
from lws_placement.engine.model.workload import Templates
from lws_placement.engine.objects.nodes import Operator, Requirement
from lws_placement.engine.preemption.disruption_budgets import BudgetName, DisruptionBudget
from lws_placement.engine.reconcile.group_state import GroupState, MembersState, living_members
from lws_placement.errors import ApiError, ConflictError


def a_raw_pod(name="p", *, node="n", labels=None, annotations=None, owner=None, **spec):
    meta = {"name": name, "namespace": "ns", "labels": labels or {}}
    meta["annotations"] = annotations or {}
    if owner:
        meta["ownerReferences"] = [{**owner, "controller": True}]
    spec = {"containers": [{"name": "c"}], "nodeName": node, **spec}
    return {"metadata": meta, "spec": spec, "status": {"phase": "Running"}}


def a_raw_budget(name="b", *, selector=None, status=None, generation=1, **spec):
    meta = {"name": name, "namespace": "ns", "generation": generation}
    selector = {"matchLabels": {"app": "x"}} if selector is None else selector
    base = {"observedGeneration": 1, "disruptionsAllowed": 2}
    return {
        "metadata": meta,
        "spec": {"selector": selector, **spec},
        "status": {**base, **(status or {})},
    }


def known(pod, **meta):
    """As if the API server had stored it."""
    pod["metadata"] |= {"uid": f"uid-{pod['metadata']['name']}", "resourceVersion": "5", **meta}
    return pod


APP = Requirement("app", Operator.IN, ("x",))


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        pytest.param(
            a_raw_budget(),
            DisruptionBudget(BudgetName("ns", "b"), (APP,), 2),
            id="what is allowed now",
        ),
        pytest.param(
            a_raw_budget(generation=2),
            DisruptionBudget(BudgetName("ns", "b"), (APP,), 0),
            id="a status behind the spec allows nothing",
        ),
        pytest.param(
            a_raw_budget(
                selector={"matchExpressions": [{"key": "app", "operator": "Exists"}]},
                status={"currentHealthy": 3, "desiredHealthy": 3},
                unhealthyPodEvictionPolicy="AlwaysAllow",
            ),
            DisruptionBudget(
                BudgetName("ns", "b"),
                (Requirement("app", Operator.EXISTS),),
                2,
                enough_healthy=True,
                unhealthy_always=True,
            ),
            id="expressions and unhealthy pods",
        ),
        pytest.param(
            a_raw_budget(selector={}), DisruptionBudget(BudgetName("ns", "b"), (), 2), id="all pods"
        ),
    ],
)
def test_a_budget_is_read_as_the_eviction_api_reads_it(raw, expected):
    assert decode_budget(raw) == expected


def test_a_budget_without_a_selector_covers_nobody():
    raw = a_raw_budget()
    del raw["spec"]["selector"]
    budget = decode_budget(raw)
    assert not budget.covers(decode_pod(known(a_raw_pod(labels={"app": "x"}))))


def test_budgets_are_known_by_namespace_until_they_are_dropped():
    index, budget = BudgetIndex(), decode_budget(a_raw_budget())
    assert index.put(budget)
    assert not index.put(budget)
    assert index.of("ns") == [budget]
    assert index.of("elsewhere") == []
    index.drop("ns", "b")
    assert index.of("ns") == []


def a_member(rank, **spec):
    labels = {
        keys.LWS_NAME: "llm",
        keys.LWS_GROUP_KEY: "k",
        keys.LWS_WORKER_INDEX: str(rank),
        keys.LWS_GROUP_INDEX: "0",
    }
    notes = {keys.LWS_SIZE: "2", keys.LWS_UID: "lws-uid"}
    name = "llm-0" if rank == 0 else f"llm-0-{rank}"
    return a_raw_pod(name, labels=labels, annotations=notes, **spec)


@pytest.mark.parametrize(
    ("specs", "outranks"),
    [
        pytest.param([{"priority": 7}, {"priority": 7}], 7, id="its priority"),
        pytest.param([{"priority": 7}, {"priority": 3}], 3, id="the weakest member's"),
        pytest.param([{"priority": 7}], 7, id="members to come are as the leader"),
        pytest.param([{}, {}], 0, id="no PriorityClass"),
        pytest.param(
            [{"priority": 7, "preemptionPolicy": "Never"}, {"priority": 7}],
            None,
            id="one that must not preempt",
        ),
    ],
)
def test_whom_a_group_may_have_evicted(specs, outranks):
    pods = tuple(decode_pod(known(a_member(r, **s))) for r, s in enumerate(specs))
    templates = {"": Templates(size=2, leader=pods[0].demand, worker=pods[0].demand)}
    seen = GroupState(GroupId("ns", "llm", "lws-uid", "k"), pods, (), None, templates, "plan")
    assert MembersState.of(seen, living_members(pods)).outranks == outranks


def test_a_group_without_a_domain_of_its_own_is_known_with_all_its_pods():
    cache = ClusterCache(TopologyIndex())
    for rank, node in enumerate(["a", "b"]):
        cache.put_pod(known(a_member(rank, node=node)))
    cache.put_pod(known(a_raw_pod("foreign", node="a")))
    tenants = ClusterTenants(cache)
    first, foreign = sorted(tenants.pods_on("a"), key=lambda p: p.name, reverse=True)
    assert (first.name, foreign.name) == ("llm-0", "foreign")
    group = tenants.goes_with(first)
    assert [p.name for p in tenants.all_pods_of(group)] == ["llm-0", "llm-0-1"]
    assert tenants.goes_with(foreign) is None


def evictions_of(*, budget=None, labels=None, extra=None):
    server = FakeServer()
    pod = decode_pod(server.create("pods", a_raw_pod(labels=labels)))
    for raw in filter(None, [budget, extra]):
        server.create("poddisruptionbudgets", raw)
    api = FakeApi(server)
    return server, api, Evictions(api), pod


def test_a_dry_run_changes_nothing():
    server, api, evictions, pod = evictions_of()
    assert run(evictions.evict(pod, dry_run=True)) == ""
    assert not server.find("pods", "p")["metadata"].get("deletionTimestamp")
    assert api.writes == []


def test_an_evicted_pod_is_going():
    server, _, evictions, pod = evictions_of()
    assert run(evictions.evict(pod)) == ""
    assert server.find("pods", "p")["metadata"]["deletionTimestamp"]


@pytest.mark.parametrize(
    ("budget", "extra"),
    [
        pytest.param(a_raw_budget(status={"disruptionsAllowed": 0}), None, id="used up"),
        pytest.param(a_raw_budget(), a_raw_budget("c"), id="two of them"),
    ],
)
def test_what_a_budget_forbids_is_refused_as_an_answer(budget, extra):
    _, _, evictions, pod = evictions_of(budget=budget, extra=extra, labels={"app": "x"})
    assert "isruption" in run(evictions.evict(pod, dry_run=True))
    assert "isruption" in run(evictions.evict(pod))


def test_a_pod_that_is_gone_needs_no_eviction():
    server, _, evictions, pod = evictions_of()
    server.delete("pods", ("ns", "p"), options={"gracePeriodSeconds": 0})
    assert run(evictions.evict(pod)) == ""


def test_a_successor_of_the_same_name_is_not_evicted():
    server, _, evictions, pod = evictions_of()
    server.delete("pods", ("ns", "p"), options={"gracePeriodSeconds": 0})
    server.create("pods", a_raw_pod())
    with pytest.raises(ConflictError):
        run(evictions.evict(pod))


def test_a_busy_server_is_not_taken_for_a_budget():
    _, api, evictions, pod = evictions_of()
    api.answer_at(0, 429)
    with pytest.raises(ApiError):
        run(evictions.evict(pod))
