"""How often a group may be moved, and how long its domain is kept for it."""

from lws_placement.engine.model.groups import GroupId
from lws_placement.engine.model.pods import Demand, Pod
from lws_placement.engine.model.reservation import Hold
from lws_placement.engine.objects.nodes import DomainName
from lws_placement.engine.reconcile.actions import DeletePod, EndHold
from lws_placement.planner.pace import Pace

GROUP = GroupId("ns", "llm", "uid", "key")
LEADER = Pod("ns", "llm-0", "u", "1", 0.0, Demand(()))
MOVE = [DeletePod(LEADER, "its node is gone", whole=True)]
HOLD = Hold(DomainName("rack", "a"), GROUP, "0", "llm-0", "r", 1, "plan", {0: "n"}, {})


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


def test_moves_of_one_group_are_a_minute_apart_and_only_those_that_happened_count():
    clock = Clock()
    pace = Pace(clock=clock, hold_s=60)
    assert pace.wait_s(GROUP, MOVE) == 0
    assert pace.wait_s(GROUP, MOVE) == 0, "the first one was refused by the API server, say"
    pace.moved(GROUP)
    clock.now += 20
    assert pace.wait_s(GROUP, MOVE) == 40
    assert pace.wait_s(GROUP, [DeletePod(LEADER, "it was never bound")]) == 0
    clock.now += 40
    assert pace.wait_s(GROUP, MOVE) == 0


def test_a_domain_is_kept_for_a_group_that_is_expected_back():
    clock = Clock()
    pace = Pace(clock=clock, hold_s=60)
    assert pace.wait_s(GROUP, [EndHold(HOLD, returning=True)]) == 60
    clock.now += 50
    assert pace.wait_s(GROUP, [EndHold(HOLD, returning=True)]) == 10
    assert pace.wait_s(GROUP, [EndHold(HOLD, returning=False)]) == 0
    assert pace.wait_s(GROUP, [EndHold(HOLD, returning=True)]) == 60, "it had come back meanwhile"
