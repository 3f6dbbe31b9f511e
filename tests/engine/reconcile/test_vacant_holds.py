"""What a group without a pod keeps, and for whom it gives it up
(`engine/reconcile/vacant_holds.py`).
"""

from dataclasses import replace

import pytest
from support.decisions import a_context

from lws_placement.cluster.cache.topology_index import TopologyIndex
from lws_placement.engine.model.groups import Group, GroupId, Member
from lws_placement.engine.model.hold_states import HoldState
from lws_placement.engine.model.pods import Demand
from lws_placement.engine.model.reservation import Hold
from lws_placement.engine.model.workload import LwsInfo, Templates
from lws_placement.engine.objects.nodes import DomainName, Node
from lws_placement.engine.objects.placement_request import PlacementRequest, TopologyRequest
from lws_placement.engine.reconcile.actions import EndHold, KeepHold
from lws_placement.engine.reconcile.group_state import GroupState
from lws_placement.engine.reconcile.vacant_holds import without_pods

SLICE, RACK = "example.com/slice", "example.com/rack"
CHIPS = Demand(resources=(("google.com/tpu", 4), ("pods", 1)))
ABSENT = GroupId("ns", "absent", "uid", "key")
OTHER = GroupId("ns", "other", "uid-2", "key-2")
LWS = LwsInfo(
    "ns", "absent", "uid", 1, PlacementRequest(topology=SLICE), Templates(2, CHIPS, CHIPS)
)
HOLD = Hold(
    domain=DomainName(SLICE, "a"),
    group=ABSENT,
    group_index="0",
    leader_name="absent-0",
    revision="r1",
    size=2,
    plan="plan",
    nodes={0: "a-0", 1: "a-1"},
    demands={0: CHIPS, 1: CHIPS},
    resource_version="7",
    uid="lease-uid",
)


def an_index(*holds: Hold) -> TopologyIndex:
    """Slices a and b of two nodes in one rack."""
    index = TopologyIndex()
    for value in ("a", "b"):
        for i in range(2):
            labels = {SLICE: value, RACK: "r"}
            index.put_node(Node(f"{value}-{i}", labels, {"google.com/tpu": 4, "pods": 9}))
    for hold in holds:
        index.put_hold(hold)
    return index


def a_seen(**fields: object) -> GroupState:
    seen = GroupState(ABSENT, (), (HOLD,), LWS, {}, "plan-2", current=frozenset({"r1"}))
    return replace(seen, **fields)  # type: ignore[arg-type]


def who_waits(key: str = SLICE, *, size: int = 2) -> Group:
    members = tuple(Member(rank, CHIPS) for rank in range(size))
    return Group(OTHER, TopologyRequest(key), members)


KEPT, ENDS_IN_TIME, ENDS = KeepHold(HOLD), EndHold(HOLD, True), EndHold(HOLD, False)


@pytest.mark.parametrize(
    ("waiting", "does"),
    [
        pytest.param(None, KEPT, id="nobody"),
        pytest.param(who_waits(), ENDS_IN_TIME, id="who fits in it"),
        pytest.param(who_waits(size=3), KEPT, id="who is too large for it"),
        pytest.param(who_waits(RACK, size=4), ENDS_IN_TIME, id="who wants all it is part of"),
        pytest.param(who_waits(RACK, size=5), KEPT, id="who does not fit in all it is part of"),
        pytest.param(who_waits("example.com/zone"), KEPT, id="who wants a domain of no node here"),
        pytest.param(who_waits(""), ENDS_IN_TIME, id="who may be anywhere"),
    ],
)
def test_a_domain_is_kept_for_an_absent_group_unless_who_waits_could_use_it(
    waiting: Group | None, does: object
) -> None:
    context = a_context(an_index(HOLD), waiting=() if waiting is None else (waiting,))
    assert without_pods(a_seen(), context) == [does]


def test_a_third_groups_domain_is_not_won_by_giving_up_ones_own() -> None:
    theirs = replace(HOLD, domain=DomainName(SLICE, "b"), group=GroupId("n", "o", "u", "k"))
    rack = an_index(HOLD, replace(theirs, nodes={0: "b-0"}, demands={0: CHIPS}))
    assert without_pods(a_seen(), a_context(rack, waiting=(who_waits(RACK),))) == [KEPT]


def test_a_domain_is_kept_unless_a_foreign_pod_that_was_refused_would_fit_there() -> None:
    large = replace(CHIPS, resources=(("google.com/tpu", 8), ("pods", 1)))
    index = an_index(HOLD)
    assert without_pods(a_seen(), a_context(index, refused=(large,))) == [KEPT]
    assert without_pods(a_seen(), a_context(index, refused=(large, CHIPS))) == [ENDS_IN_TIME]


@pytest.mark.parametrize(
    ("fields", "does"),
    [
        pytest.param({"lws": None}, ENDS, id="its set is gone"),
        pytest.param({"lws": replace(LWS, deleting=True)}, ENDS, id="its set is going"),
        pytest.param({"lws": replace(LWS, replicas=0)}, ENDS, id="its set was scaled below it"),
        pytest.param(
            {"lws": replace(LWS, request=PlacementRequest())},
            ENDS,
            id="its set wants no domain any more",
        ),
        pytest.param({"yields_to": HOLD}, ENDS, id="it is preempted"),
        pytest.param({"current": frozenset()}, ENDS_IN_TIME, id="its template changed"),
        pytest.param(
            {"lws": replace(LWS, templates=Templates(3, CHIPS, CHIPS))},
            ENDS_IN_TIME,
            id="its size changed",
        ),
        pytest.param(
            {"lws": replace(LWS, request=PlacementRequest(topology=RACK))},
            ENDS_IN_TIME,
            id="its key changed",
        ),
    ],
)
def test_a_hold_ends_when_the_group_it_is_for_is_no_longer_to_be(
    fields: dict[str, object], does: object
) -> None:
    assert without_pods(a_seen(**fields), a_context(an_index(HOLD))) == [does]


def test_only_what_the_group_would_come_back_to_is_kept() -> None:
    left = replace(HOLD, domain=DomainName(SLICE, "b"), state=HoldState.LEAVING)
    seen = a_seen(holds=(HOLD, left))
    assert without_pods(seen, a_context(an_index(HOLD, left))) == [KEPT, EndHold(left, False)]
