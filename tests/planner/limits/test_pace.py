"""How often a group may be moved, and how long its domain is kept for it."""

from lws_placement.engine.model.groups import GroupId
from lws_placement.engine.model.pods import Demand, Pod
from lws_placement.engine.model.reservation import Hold
from lws_placement.engine.objects.nodes import DomainName
from lws_placement.engine.reconcile.actions import DeletePod, EndHold
from lws_placement.planner.limits.pace import Pace

GROUP = GroupId("ns", "llm", "uid", "key")
LEADER = Pod("ns", "llm-0", "u", "1", 0.0, Demand(()))
MOVE = [DeletePod(LEADER, "its node is gone", whole=True)]
HOLD = Hold(DomainName("rack", "a"), GROUP, "0", "llm-0", "r", 1, "plan", {0: "n"}, {})


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


def test_moves_of_one_group_back_off_up_to_a_minute_and_only_those_that_happened_count():
    clock = Clock()
    pace = Pace(clock=clock, hold_s=60)
    assert pace.wait_s(GROUP, MOVE) == 0
    assert pace.wait_s(GROUP, MOVE) == 0, "the first one was refused by the API server, say"
    waits = []
    for _ in range(9):
        pace.moved(GROUP)
        waits.append(pace.wait_s(GROUP, MOVE))
        assert pace.wait_s(GROUP, [DeletePod(LEADER, "it was never bound")]) == 0
        clock.now += waits[-1]
        assert pace.wait_s(GROUP, MOVE) == 0
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60, 60]


def test_a_group_that_has_stayed_for_a_while_moves_at_once_again():
    clock = Clock()
    pace = Pace(clock=clock, hold_s=60)
    for _ in range(5):
        pace.moved(GROUP)
    clock.now += 120
    pace.moved(GROUP)
    assert pace.wait_s(GROUP, MOVE) == 1


def test_a_domain_is_kept_for_a_group_that_is_expected_back():
    clock = Clock()
    pace = Pace(clock=clock, hold_s=60)
    assert pace.wait_s(GROUP, [EndHold(HOLD, returning=True)]) == 60
    clock.now += 50
    assert pace.wait_s(GROUP, [EndHold(HOLD, returning=True)]) == 10
    assert pace.wait_s(GROUP, [EndHold(HOLD, returning=False)]) == 0
    assert pace.wait_s(GROUP, [EndHold(HOLD, returning=True)]) == 60, "it had come back meanwhile"
