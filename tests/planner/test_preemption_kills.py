"""The planner killed between any two of its writes while groups are preempted."""

import pytest
from support.killing import kill_at_every_write
from support.preemption_stories import STORIES


@pytest.mark.parametrize("story", STORIES, ids=lambda s: s.__name__)
@pytest.mark.parametrize("brain_away", [0, 3], ids=["at once", "later"])
def test_the_promises_hold_wherever_the_planner_is_killed(story, brain_away):
    assert kill_at_every_write(story, brain_away=brain_away) >= 4
