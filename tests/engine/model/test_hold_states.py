"""No step of a hold's life can be made but those of its table."""

from itertools import product

import pytest
from support.decisions import a_hold

from lws_placement.engine.model.hold_states import TRANSITIONS, HoldState

STEPS = list(product(HoldState, repeat=2))


@pytest.mark.parametrize(("before", "after"), [s for s in STEPS if s in TRANSITIONS])
def test_a_hold_is_taken_to_the_states_that_may_follow(before: HoldState, after: HoldState) -> None:
    assert a_hold(state=before).to(after) == a_hold(state=after)


@pytest.mark.parametrize(("before", "after"), [s for s in STEPS if s not in TRANSITIONS])
def test_a_hold_is_taken_to_no_other_state(before: HoldState, after: HoldState) -> None:
    with pytest.raises(ValueError, match=f"{before} cannot become {after}"):
        a_hold(state=before).to(after)
