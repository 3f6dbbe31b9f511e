"""Random groups of several domains, and clusters for them."""

from hypothesis import strategies as st

from lws_placement.cluster.cache.topology_index import TopologyIndex
from lws_placement.engine.model.groups import Group, GroupId, Member, Occupant
from lws_placement.engine.model.pods import Demand
from lws_placement.engine.model.reservation import Hold
from lws_placement.engine.objects.nodes import DomainName, Node
from lws_placement.engine.objects.placement_request import PlacementRequest, Scope

SLICE, RACK, ZONE = "example.com/slice", "example.com/rack", "example.com/zone"


ME = GroupId("ns", "llm", "uid", "me")


SISTER = GroupId("ns", "llm", "uid", "sister")


STRANGER = GroupId("far", "other", "uid2", "stranger")


demands = st.builds(
    lambda cpu, tpu: Demand(resources=(("cpu", cpu), *([("tpu", tpu)] if tpu else []))),
    st.integers(1, 2),
    st.integers(0, 2),
)


asks = st.one_of(
    st.builds(
        lambda **a: PlacementRequest(subgroup_topology=SLICE, subgroup_size=2, **a),
        topology=st.sampled_from(["", RACK]),
        leader_excluded=st.booleans(),
        scope=st.sampled_from([Scope.CLUSTER, Scope.NAMESPACE, Scope.LWS]),
        required_topology=st.sampled_from(["", ZONE]),
    ),
    st.builds(
        lambda **a: PlacementRequest(topology=SLICE, **a),
        scope=st.sampled_from([Scope.CLUSTER, Scope.LWS]),
        required_topology=st.just(ZONE),
    ),
    st.builds(
        lambda **a: PlacementRequest(gang=True, **a),
        required_topology=st.sampled_from(["", RACK]),
        preferred_topology=st.sampled_from(["", ZONE]),
    ),
)


@st.composite
def worlds(draw):
    index = TopologyIndex()
    for i in range(draw(st.integers(2, 5))):
        labels = {
            SLICE: f"s{draw(st.integers(0, 3))}",
            RACK: f"r{draw(st.integers(0, 1))}",
            ZONE: f"z{draw(st.integers(0, 1))}",
        }
        room = {"cpu": draw(st.integers(1, 4)), "tpu": draw(st.integers(0, 3))}
        index.put_node(Node(f"n{i}", labels, room))
    others = st.sampled_from([SISTER, STRANGER])
    scopes = st.sampled_from([Scope.CLUSTER, Scope.LWS])
    for value in draw(st.lists(st.sampled_from(["s0", "s1"]), unique=True, max_size=2)):
        hold = Hold(
            DomainName(SLICE, value), draw(others), "0", "l", "r", 1, "p", {}, {}, draw(scopes)
        )
        index.put_hold(hold)
    if draw(st.booleans()):
        guest = Occupant("x", Demand((("cpu", 1),)), draw(others), Scope.NOBODY)
        index.put_occupant("n0", guest, owner_uid="")
    return index


def members_for(draw, ask, demands):
    """As many as the request can have, the workers alike."""
    size = draw(st.integers(1, 4))
    if ask.subgroup_topology:
        size = draw(st.sampled_from([3, 5] if ask.leader_excluded else [2, 3, 4]))
    leader, worker = draw(demands), draw(demands)
    return tuple(Member(rank, worker if rank else leader) for rank in range(size))


@st.composite
def groups(draw):
    ask = draw(asks)
    members = members_for(draw, ask, demands)
    return Group(ME, ask.of_size(len(members)), members, scope=ask.claims)
