"""A group whose pods carry a scheduling gate of somebody else: a quota that is still to be granted,
a topology still to be chosen, a replacement still to be let in.

Nobody can run it before that gate is gone, however much room there is; so it is not planned, nobody
is evicted for it, and it holds nothing. Its place in the order is that of its age, as ever. Our own
gate goes last: what others do to a pod before they let it go (a node selector, a toleration) is
known when it is planned.

A group that came back so keeps its holds as one without pods does: until somebody waits who could
use the room. While a member is bound, what is held stays held, and the members that wait for others
are pinned when these have let them go.
"""

from lws_placement.engine.messages import gate_note
from lws_placement.engine.reconcile.actions import Action, Blocked, DeletePod, EndHold, Hindrance
from lws_placement.engine.reconcile.context import Context
from lws_placement.engine.reconcile.group_state import GroupState, MembersState, living_members
from lws_placement.engine.reconcile.vacant_holds import kept_or_ended


def is_held_back(observed: GroupState) -> bool:
    """Does it wait for others, all of it?"""
    members = living_members(observed.pods).values()
    return any(p.foreign_gates for p in members) and all(p.node is None for p in members)


def waits_for_others(current: MembersState) -> Blocked | None:
    """In words; None if no member does."""
    for pod in current.members.values():
        if pod.node is None and pod.foreign_gates:
            gate = pod.foreign_gates[0]
            return Blocked(gate_note(gate, pod), Hindrance.GATED, gist=gate)
    return None


def hold_back(current: MembersState, waits: Blocked, context: Context) -> list[Action]:
    """Nothing of the group is bound."""
    observed = current.observed
    if current.going:
        return [waits]
    holds = kept_or_ended(observed, context)
    actions: list[Action] = [waits]
    if not observed.active or any(isinstance(a, EndHold) for a in holds):
        # What was let go for a plan that does not count any more must not be bound by it.
        loose = [p for p in current.members.values() if p.marked and not p.gated and not p.released]
        actions += [DeletePod(p, "no hold covers it any more") for p in loose]
    return [*actions, *holds]
