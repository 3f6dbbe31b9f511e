"""Every write of the planner answered with an error, or not at all, while groups are preempted."""

import pytest
from support.killing import answer_every_write
from support.preemption_stories import STORIES


@pytest.mark.parametrize("story", STORIES, ids=lambda s: s.__name__)
@pytest.mark.parametrize(("status", "took_effect"), [(409, False), (429, False), (0, True)])
def test_the_promises_hold_whatever_a_write_is_answered(story, status, took_effect):
    assert answer_every_write(story, status=status, took_effect=took_effect) >= 2
