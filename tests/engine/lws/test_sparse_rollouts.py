"""A set with a million replicas and a few pods costs its few pods."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lws_placement.engine.lws.rollout import (
    Asked,
    Groups,
    Progress,
    Strategy,
    is_finished,
    left_ready,
    next_step,
    stuck_surge,
)
from lws_placement.engine.lws.rollout_messages import surge_note, why_at_a_standstill

_MOST = 8
BOOLEANS = st.booleans()
PROGRESS = st.builds(Progress, ready=BOOLEANS, updated=BOOLEANS, old=BOOLEANS, unplaceable=BOOLEANS)
NUMBERS = st.integers(0, _MOST)
STRATEGIES = st.builds(
    Strategy, replicas=NUMBERS, partition=NUMBERS, unavailable=NUMBERS, surge=NUMBERS
)


class Counted(Groups):
    """Counts the groups that are looked at."""

    looks = 0

    def __getitem__(self, index):
        self.looks += 1
        return super().__getitem__(index)

    def known(self, start=0, stop=None):
        for found in super().known(start, stop):
            self.looks += 1
            yield found


@given(STRATEGIES, st.dictionaries(NUMBERS, PROGRESS), st.data())
def test_groups_without_a_leader_count_as_groups_that_show_nothing(strategy, found, data):
    number = data.draw(NUMBERS)
    asked = Asked(data.draw(NUMBERS), number, data.draw(NUMBERS), in_order=data.draw(BOOLEANS))
    changed = data.draw(BOOLEANS)
    sparse = Groups(found, number)
    dense = [found.get(index, Progress()) for index in range(number)]
    assert list(sparse) == dense
    assert list(sparse[2:5]) == dense[2:5]
    for groups in (sparse, Groups.of(dense)):
        assert next_step(strategy, asked, groups, changed=changed) == next_step(
            strategy, asked, dense, changed=changed
        )
        assert is_finished(strategy, asked, groups) == is_finished(strategy, asked, dense)
        assert stuck_surge(strategy, groups) == stuck_surge(strategy, dense)
        for partition in range(_MOST):
            assert left_ready(groups, partition=partition, replicas=number) == sum(
                g.ready and (g.updated or i < partition) for i, g in enumerate(dense)
            )


@pytest.mark.parametrize("replicas", [1_000_000, 2_000_000_000])
@pytest.mark.parametrize("changed", [False, True])
@pytest.mark.parametrize("in_order", [False, True])
def test_a_step_looks_at_groups_that_have_a_leader_alone(replicas, changed, in_order):
    found = {i: Progress(ready=True, old=True) for i in (0, 1, replicas - 2)}
    groups = Counted(found, replicas)
    for partition in (0, replicas // 2, replicas):
        strategy = Strategy(replicas, unavailable=replicas // 2, surge=replicas // 4)
        asked = Asked(partition, replicas, replicas, in_order=in_order)
        next_step(strategy, asked, groups, changed=changed)
        is_finished(strategy, asked, groups)
        surge_note(strategy, asked, groups, name="llm")
        why_at_a_standstill(strategy, asked, groups, name="llm")
    assert groups.looks < 500


def test_nor_does_a_set_that_is_scaled_down_by_hand_from_any_number():
    groups = Counted({0: Progress(ready=True, updated=True)}, 2_000_000)
    asked = Asked(0, 2_000_000_000, 2)
    assert next_step(Strategy(2), asked, groups, changed=False).replicas == 2
    assert groups.looks < 100
