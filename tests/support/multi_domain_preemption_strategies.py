"""Random groups of several domains that preempt, and clusters full of others."""

from hypothesis import strategies as st
from support.multi_domain_strategies import members_for
from support.tenants import ME, Town, a_budget, a_demand, a_group_id

from lws_placement.cluster.cache.topology_index import TopologyIndex
from lws_placement.engine.model.groups import Group, Occupant
from lws_placement.engine.model.hold_states import HoldState
from lws_placement.engine.model.reservation import Hold, place_of
from lws_placement.engine.model.verdicts import Placed
from lws_placement.engine.objects.nodes import DomainName, Node
from lws_placement.engine.objects.placement_request import PlacementRequest, Scope
from lws_placement.engine.planning.multi_domain import plan_multi_domain
from lws_placement.engine.preemption.victims import as_victim

SLICE, RACK, ZONE = "example.com/slice", "example.com/rack", "example.com/zone"


OUTRANKS = 3


asks = st.one_of(
    st.builds(
        lambda **a: PlacementRequest(subgroup_topology=SLICE, subgroup_size=2, **a),
        topology=st.sampled_from(["", "", RACK]),
        leader_excluded=st.booleans(),
        scope=st.sampled_from([Scope.CLUSTER, Scope.LWS]),
        required_topology=st.sampled_from(["", "", ZONE]),
    ),
    st.builds(lambda: PlacementRequest(topology=SLICE, required_topology=ZONE)),
    st.builds(
        lambda **a: PlacementRequest(gang=True, **a),
        required_topology=st.sampled_from(["", RACK]),
        preferred_topology=st.sampled_from(["", ZONE]),
    ),
)


@st.composite
def groups(draw):
    ask = draw(asks)
    members = members_for(draw, ask, st.builds(a_demand, gpu=st.integers(1, 3)))
    return Group(
        ME,
        ask.of_size(len(members)),
        members,
        priority=OUTRANKS,
        outranks=OUTRANKS,
        scope=ask.claims,
    )


@st.composite
def towns(draw):
    town = Town()
    names = [f"n{i}" for i in range(draw(st.integers(2, 5)))]
    for name in names:
        labels = {
            SLICE: f"s{draw(st.integers(0, 3))}",
            RACK: f"r{draw(st.integers(0, 1))}",
            ZONE: f"z{draw(st.integers(0, 1))}",
        }
        town.index.put_node(Node(name, labels, {"pods": 110, "gpu": 4}))
    for number in range(draw(st.integers(1, 8))):
        owner = draw(st.sampled_from([None, None, "x", "y", "z"]))
        town.add_pod(
            f"p{number}",
            draw(st.sampled_from(names)),
            group=a_group_id(owner) if owner else None,
            scope=draw(st.sampled_from([Scope.CLUSTER, Scope.NOBODY])) if owner else Scope.CLUSTER,
            priority=draw(st.integers(0, OUTRANKS)),
            demand=a_demand(gpu=draw(st.integers(1, 4))),
            terminating=draw(st.sampled_from([False, False, False, False, True])),
            labels=(("app", draw(st.sampled_from(["one", "two"]))),),
        )
    states = st.sampled_from([HoldState.ACTIVE, HoldState.ACTIVE, HoldState.LEAVING])
    for value in draw(st.sets(st.sampled_from(["s0", "s1", "s2"]))):
        a_hold(town, DomainName(SLICE, value), draw(st.sampled_from("xyz")), state=draw(states))
    if draw(st.booleans()):
        owner = draw(st.sampled_from("xyz"))
        node, demand = draw(st.sampled_from(names)), a_demand(gpu=2)
        gang = {"nodes": {7: node}, "demands": {7: demand}, "scope": Scope.NOBODY}
        a_hold(town, place_of(a_group_id(owner)), owner, **gang)
    for app in draw(st.sets(st.sampled_from(["one", "two"]), max_size=1)):
        town.budgets.append(a_budget(f"for-{app}", app=app, allowed=draw(st.integers(0, 2))))
    return town


def a_hold(town, domain, owner, *, nodes=None, demands=None, **fields):
    hold = Hold(domain, a_group_id(owner), "0", "l", "r", 1, "p", nodes or {}, demands or {})
    for name, value in fields.items():
        object.__setattr__(hold, name, value)
    if domain.key == "" or any(True for _ in town.index.nodes_of(domain)):
        town.put_hold(hold)


def world_without(town, victims, *, going):
    """A cluster that never had them, nor (`going`) those who are going anyway."""
    gone = {v.group for v in victims if v.group is not None}
    uids = {p.uid for v in victims for p in v.pods}
    owners = {*town.groups.values(), *town.holds}
    gone |= {g for g in owners if going and as_victim(g, OUTRANKS, town) is None}
    index = TopologyIndex()
    for view in town.index.node_views():
        index.put_node(view.node)
    for pod in town.pods.values():
        owner = town.goes_with(pod)
        if pod.uid in uids or owner in gone or (going and pod.terminating):
            continue
        scope = next(o.scope for o in town.index.occupants_on(pod.node) if o.uid == pod.uid)
        index.put_occupant(pod.node, Occupant(pod.uid, pod.demand, owner, scope), owner_uid="")
    for owner, holds in town.holds.items():
        for hold in holds if owner not in gone else ():
            index.put_hold(hold)
    return index


def fits_without(group, town, victims, *, going=True):
    plan = plan_multi_domain(group, world_without(town, victims, going=going))
    return isinstance(plan, Placed)
