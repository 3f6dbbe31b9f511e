"""Pods, holds and slices of one group, as `decide` is asked about them."""

from collections.abc import Mapping
from dataclasses import replace

from support.tenants import Town

from lws_placement.cluster.cache.topology_index import TopologyIndex
from lws_placement.engine.model.groups import GroupId, Occupant
from lws_placement.engine.model.pods import Demand, MemberInfo, Pod
from lws_placement.engine.model.reservation import Hold
from lws_placement.engine.model.snapshot import ClusterSnapshot
from lws_placement.engine.model.workload import LwsInfo, Templates
from lws_placement.engine.objects.nodes import DomainName, Node
from lws_placement.engine.objects.placement_request import PlacementRequest
from lws_placement.engine.planning.single_domain import PlanMemo
from lws_placement.engine.preemption.search import PreemptionMemo
from lws_placement.engine.reconcile import decide as product
from lws_placement.engine.reconcile.actions import (
    Action,
)
from lws_placement.engine.reconcile.context import Context
from lws_placement.engine.reconcile.group_state import GroupState

KEY = "example.com/slice"


GROUP = GroupId("ns", "llm", "lws-uid", "key-0")


WHOLE_NODE = Demand(resources=(("google.com/tpu", 4), ("pods", 1)))


def a_slice(index: TopologyIndex, name: str, *, nodes: int = 2, cpu: int = 8000) -> None:
    for i in range(nodes):
        index.put_node(
            Node(
                name=f"{name}-{i}",
                labels={KEY: name},
                allocatable={"google.com/tpu": 4, "cpu": cpu, "pods": 110},
            )
        )


def an_index(*slices: str) -> TopologyIndex:
    index = TopologyIndex()
    for name in slices:
        a_slice(index, name)
    return index


def a_member(rank: int, *, demand: Demand = WHOLE_NODE, size: int = 2, **fields: object) -> Pod:
    name = "llm-0" if rank == 0 else f"llm-0-{rank}"
    info = MemberInfo(
        group_key="key-0",
        group_index="0",
        lws="llm",
        lws_uid="lws-uid",
        rank=rank,
        size=size,
        revision=str(fields.pop("revision", "r1")),
        request=PlacementRequest(topology=KEY),
        leader_name="llm-0",
    )
    pod = Pod(
        namespace="ns",
        name=name,
        uid=f"uid-{rank}",
        resource_version="5",
        created_s=1.0,
        demand=demand,
        gated=True,
        marked=True,
        member=info,
    )
    return replace(pod, **fields)  # type: ignore[arg-type]


def a_seen(*pods: Pod, holds: tuple[Hold, ...] = (), lws: bool = True, size: int = 2) -> GroupState:
    templates = Templates(size=size, leader=WHOLE_NODE, worker=WHOLE_NODE)
    info = LwsInfo("ns", "llm", "lws-uid", 1, PlacementRequest(topology=KEY), templates)
    return GroupState(
        id=GROUP,
        pods=pods,
        holds=holds,
        lws=info if lws else None,
        templates={"r1": templates, "r2": templates} if lws else {},
        plan_id="plan-2",
    )


def a_hold(domain: str = "a", nodes: Mapping[int, str] | None = None, **fields: object) -> Hold:
    nodes = nodes or {0: f"{domain}-0", 1: f"{domain}-1"}
    hold = Hold(
        domain=DomainName(KEY, domain),
        group=GROUP,
        group_index="0",
        leader_name="llm-0",
        revision="r1",
        size=2,
        plan="plan-1",
        nodes=nodes,
        demands=dict.fromkeys(nodes, WHOLE_NODE),
        resource_version="7",
        uid="lease-uid",
    )
    return replace(hold, **fields)  # type: ignore[arg-type]


def a_context(views: ClusterSnapshot, **fields: object) -> Context:
    """Nobody could be evicted, and nobody else waits, unless it is said."""
    return replace(Context(views, PlanMemo(), PreemptionMemo(), Town(), str), **fields)  # type: ignore[arg-type]


def decide(seen: GroupState, views: ClusterSnapshot, **fields: object) -> list[Action]:
    return product.decide(seen, a_context(views, **fields))


def held(index: TopologyIndex, *holds: Hold) -> tuple[Hold, ...]:
    for hold in holds:
        index.put_hold(hold)
    return holds


def bind(index: TopologyIndex, *pods: Pod) -> None:
    for pod in pods:
        assert pod.node is not None
        index.put_occupant(pod.node, Occupant(pod.uid, pod.demand, GROUP), owner_uid="")


def kinds(actions: list[Action]) -> list[str]:
    return [type(a).__name__ for a in actions]
