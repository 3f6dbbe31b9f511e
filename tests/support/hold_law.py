"""Every write of a hold is one of those of its life (`engine/model/hold_states.py`)."""

from lws_placement.cluster.codec.hold_lease import decode_holds
from lws_placement.engine.base import keys
from lws_placement.engine.model.hold_states import TRANSITIONS


def states(lease):
    """Group -> state, of a Lease that is a hold that can be read."""
    if lease is None or keys.HOLD not in (lease["metadata"].get("annotations") or {}):
        return {}
    try:
        return {hold.group: hold.state for hold in decode_holds(lease)}
    except ValueError:
        return {}


def against_the_law(change):
    """What is wrong with a change of a Lease, in words."""
    before = states(change.before)
    after = {} if change.kind == "DELETED" else states(change.obj)
    return [
        f"{change.obj['metadata']['name']}: {step[0]} -> {step[1]} of {group}"
        for group in before | after
        if (step := (before.get(group), after.get(group))) not in TRANSITIONS
    ]
