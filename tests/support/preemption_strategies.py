"""Random groups that preempt, and clusters full of others."""

from hypothesis import strategies as st
from support.tenants import Town, a_budget, a_demand, a_group, a_group_id

from lws_placement.engine.model.hold_states import HoldState

OUTRANKS = 3


@st.composite
def towns(draw):
    town = Town()
    number = 0
    for d in range(draw(st.integers(1, 3))):
        for n in range(draw(st.integers(1, 2))):
            town.add_domain(f"d{d}", nodes=n + 1, gpu=4, cpu=4)
    nodes = sorted({n.node.name for d in town.domains() for n in d.nodes})
    for node in nodes:
        left = {"gpu": 4, "cpu": 4}
        for _ in range(draw(st.integers(0, 3))):
            asked = {r: draw(st.integers(0, left[r])) for r in ("gpu", "cpu")}
            left = {r: left[r] - asked[r] for r in left}
            name = draw(st.sampled_from([None, None, None, "x", "y", "z"]))
            number += 1
            town.add_pod(
                f"p{number}",
                node,
                group=a_group_id(name) if name else None,
                priority=draw(st.integers(0, OUTRANKS)),
                demand=a_demand(**{r: a for r, a in asked.items() if a}),
                terminating=draw(st.sampled_from([False, False, False, False, True])),
                ready=draw(st.booleans()),
                labels=(("app", draw(st.sampled_from(["one", "two"]))),),
            )
    for value in draw(st.sets(st.sampled_from(["d0", "d1", "d2"]))):
        state = draw(st.sampled_from([HoldState.ACTIVE, HoldState.ACTIVE, HoldState.LEAVING]))
        town.hold(value, a_group_id(draw(st.sampled_from(["x", "y", "z"]))), state=state)
    for app in draw(st.sets(st.sampled_from(["one", "two"]))):
        town.budgets.append(
            a_budget(
                f"for-{app}",
                app=app,
                allowed=draw(st.integers(0, 2)),
                unhealthy_always=draw(st.booleans()),
            )
        )
    return town


gpus = st.builds(lambda gpu, cpu: a_demand(gpu=gpu, cpu=cpu), st.integers(1, 4), st.integers(1, 2))


groups = st.lists(gpus, min_size=1, max_size=3).map(lambda d: a_group(*d, outranks=OUTRANKS))
