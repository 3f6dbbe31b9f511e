"""A cluster of nodes, pods, holds and budgets for tests of preemption: views and tenants in one."""

from dataclasses import replace

from lws_placement.cluster.cache.topology_index import TopologyIndex
from lws_placement.engine.model.groups import Group, GroupId, Member, Occupant
from lws_placement.engine.model.hold_states import HoldState
from lws_placement.engine.model.pods import Demand, Pod, PodPhase
from lws_placement.engine.model.reservation import Hold
from lws_placement.engine.objects.nodes import DomainName, Node, Operator, Requirement
from lws_placement.engine.objects.placement_request import Scope, TopologyRequest
from lws_placement.engine.preemption.disruption_budgets import BudgetName, DisruptionBudget

KEY = "example.com/slice"
ME = GroupId("ns", "urgent", "uid-urgent", "me")


def a_group_id(name):
    return GroupId("ns", name, f"uid-{name}", "0")


def a_demand(**amounts):
    return Demand(resources=tuple(sorted({**amounts, "pods": 1}.items())))


def a_group(*demands, outranks=100):
    members = tuple(Member(rank, demand) for rank, demand in enumerate(demands))
    return Group(ME, TopologyRequest(KEY), members, priority=outranks or 0, outranks=outranks)


def a_budget(name, *, allowed=0, app="model", **fields):
    selector = (Requirement("app", Operator.IN, (app,)),)
    return DisruptionBudget(BudgetName("ns", name), selector, allowed, **fields)


class Town:
    """`pods_on`, `goes_with`, ...: what `victims.Tenants` asks."""

    def __init__(self):
        self.index = TopologyIndex()
        self.pods = {}
        self.groups = {}
        self.holds = {}
        self.budgets = []
        self.yielding = set()
        self.spared = set()

    def __repr__(self):
        """For the report of an example that fails."""
        nodes = [(v.node.name, v.node.labels, v.free) for v in self.index.node_views()]
        pods = [
            (p.name, p.node, p.priority, p.demand.resources, self.groups.get(uid), p.terminating)
            for uid, p in self.pods.items()
        ]
        holds = [h for theirs in self.holds.values() for h in theirs]
        return f"Town({nodes=}, {pods=}, {holds=}, budgets={self.budgets})"

    def add_domain(self, value, *, nodes=1, **room):
        for i in range(nodes):
            allocatable = {"pods": 110, **room}
            self.index.put_node(Node(f"{value}-{i}", {KEY: value}, allocatable))

    def add_pod(
        self, name, node, *, group=None, rank=None, scope=Scope.CLUSTER, priority=0, gpu=1, **fields
    ):
        pod = Pod(
            namespace="ns",
            name=name,
            uid=f"uid-{name}",
            resource_version="1",
            created_s=0.0,
            demand=fields.pop("demand", a_demand(gpu=gpu)),
            node=node,
            phase=PodPhase.RUNNING,
            ready=True,
            priority=priority,
            labels=(("app", "model"),),
        )
        pod = self.pods[pod.uid] = replace(pod, **fields)
        if group is not None:
            self.groups[pod.uid] = group
        if node is not None:
            occupant = Occupant(pod.uid, pod.demand, group, scope, rank)
            self.index.put_occupant(node, occupant, owner_uid="")
        return pod

    def hold(self, value, group, **fields):
        hold = Hold(DomainName(KEY, value), group, "0", "l", "r", 1, "p", {}, {})
        self.put_hold(replace(hold, **fields))

    def put_hold(self, hold):
        known = [h for h in self.holds.get(hold.group, []) if h.domain != hold.domain]
        self.holds[hold.group] = [*known, hold]
        self.index.put_hold(hold)

    def domains(self):
        return list(self.index.domains(KEY))

    # -- Tenants ---------------------------------------------------------------------------------

    def pods_on(self, node):
        found = [p for p in self.pods.values() if p.node == node and not p.finished]
        return sorted(found, key=lambda p: p.key)

    def goes_with(self, pod):
        return self.groups.get(pod.uid)

    def all_pods_of(self, group):
        return [p for uid, p in self.pods.items() if self.groups.get(uid) == group]

    def holds_of(self, group):
        return self.holds.get(group, [])

    @property
    def version(self):
        return len(self.budgets), frozenset(self.spared)

    def yields(self, group):
        return group in self.yielding

    def all_that_go(self):
        holds = [h for theirs in self.holds.values() for h in theirs]
        return self.yielding | {h.group for h in holds if h.state is HoldState.LEAVING}

    def is_awaited_by(self, group):
        return False

    def is_spared(self, pod):
        return pod.uid in self.spared

    def lowest_priority(self):
        return min((p.priority for p in self.pods.values()), default=None)

    def budgets_of(self, namespace):
        return [b for b in self.budgets if b.id.namespace == namespace]
