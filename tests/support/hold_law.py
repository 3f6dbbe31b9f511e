"""Every write of a hold is one of those of its life (`engine/model/hold_states.py`)."""

from dataclasses import replace

from lws_placement.cluster.codec.hold_lease import decode_holds
from lws_placement.engine.base import keys
from lws_placement.engine.model.hold_states import TRANSITIONS
from lws_placement.errors import InvalidObjectError


def holds_of(lease):
    """By group, of a Lease that is a hold that can be read."""
    if lease is None or keys.HOLD not in (lease["metadata"].get("annotations") or {}):
        return {}
    try:
        return {hold.group: replace(hold, resource_version="") for hold in decode_holds(lease)}
    except InvalidObjectError:
        return {}


def against_the_law(change):
    """What is wrong with a change of a Lease, in words. Several groups may share one Lease: what
    did not change is no transition.
    """
    before = holds_of(change.before)
    after = {} if change.kind == "DELETED" else holds_of(change.obj)
    changed = [g for g in before | after if before.get(g) != after.get(g)]
    steps = [(g, (state(before.get(g)), state(after.get(g)))) for g in changed]
    return [f"{g}: {step[0]} -> {step[1]}" for g, step in steps if step not in TRANSITIONS]


def state(hold):
    return hold.state if hold is not None else None
