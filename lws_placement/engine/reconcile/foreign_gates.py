"""Groups whose pods carry a scheduling gate of another controller: a quota not yet granted, a
topology not yet chosen, a replacement not yet admitted.

Such a group cannot run before that gate is gone, however much room there is. So it is not planned,
evicts nothing and holds nothing. It keeps its place in the queue by age. Our own gate goes last:
what another controller does to a pod before it removes its gate (a node selector, a toleration) is
known when the pod is planned.

A group that comes back in this state keeps its holds like a group without pods: until a group or
pod waits that could use the room. While a member is bound, the holds stay, and the other members
are pinned when their foreign gates are gone.
"""

from lws_placement.engine.messages import gate_note
from lws_placement.engine.reconcile.actions import Action, Blocked, DeletePod, EndHold, Hindrance
from lws_placement.engine.reconcile.context import Context
from lws_placement.engine.reconcile.group_state import GroupState, MembersState, living_members
from lws_placement.engine.reconcile.vacant_holds import kept_or_ended


def is_held_back(observed: GroupState) -> bool:
    """Whether foreign gates hold back the whole group: a member has one, and no member is bound."""
    members = living_members(observed.pods).values()
    return any(p.foreign_gates for p in members) and all(p.node is None for p in members)


def waits_for_others(current: MembersState) -> Blocked | None:
    """The foreign gate that an unbound member waits for, in words; None if there is none."""
    for pod in current.members.values():
        if pod.node is None and pod.foreign_gates:
            gate = pod.foreign_gates[0]
            return Blocked(gate_note(gate, pod), Hindrance.GATED, gist=gate)
    return None


def hold_back(current: MembersState, waits: Blocked, context: Context) -> list[Action]:
    """For a group without bound members."""
    observed = current.observed
    if current.going:
        return [waits]
    holds = kept_or_ended(observed, context)
    actions: list[Action] = [waits]
    if not observed.active or any(isinstance(a, EndHold) for a in holds):
        # Pods that were ungated for a plan that no longer counts must not be bound by it.
        loose = [p for p in current.members.values() if p.marked and not p.gated and not p.released]
        actions += [DeletePod(p, "no hold covers it any more") for p in loose]
    return [*actions, *holds]
