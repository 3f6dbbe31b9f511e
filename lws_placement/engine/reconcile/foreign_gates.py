"""Groups that cannot run for something that is not ours: their pods carry a scheduling gate of
another controller (a quota not yet granted, a topology not yet chosen, a replacement not yet
admitted), or the API server would refuse members to come (a LimitRange).

Such a group cannot run before that has changed, however much room there is. So it is not planned,
evicts nothing and holds nothing. It keeps its place in the queue by age. Our own gate goes last:
what another controller does to a pod before it removes its gate (a node selector, a toleration) is
known when the pod is planned.

A group that comes back in this state keeps its holds like a group without pods: until a group or
pod waits that could use the room, or Kueue takes its quota away. Where Kueue asks us whether there
is a place for the group (`quota.py`), it is planned behind Kueue's gates. While a member is bound,
the holds stay, and the other members are pinned when their foreign gates are gone.
"""

from collections.abc import Sequence

from lws_placement.engine.base.keys import KUEUE_GATES
from lws_placement.engine.messages import forbidden_note, gate_note
from lws_placement.engine.model.pods import Pod
from lws_placement.engine.reconcile.actions import Action, Blocked, DeletePod, EndHold, Hindrance
from lws_placement.engine.reconcile.context import Context
from lws_placement.engine.reconcile.group_state import GroupState, MembersState
from lws_placement.engine.reconcile.vacant_holds import kept_or_ended


def is_held_back(observed: GroupState) -> bool:
    """Whether others hold back the whole group: none of its living pods is bound."""
    members = observed.members
    if not members or any(p.node is not None for p in members.values()):
        return False
    return waits_for_others(MembersState.of(observed, members)) is not None


def waits_for_others(current: MembersState) -> Blocked | None:
    """In words: the foreign gate that an unbound member waits for, or why a member to come would be
    refused; None if there is neither.
    """
    for pod in current.members.values():
        gates = _gates_that_count(pod, current) if pod.node is None else ()
        if gates:
            return Blocked(gate_note(gates[0], pod), Hindrance.GATED, gist=gates[0])
    if current.templates is not None and not current.templates.runnable:
        for rank in range(current.info.size):
            why = current.templates.forbidden(rank)
            if why and rank not in current.members:
                return Blocked(forbidden_note(rank, why), Hindrance.FORBIDDEN)
    return None


def _gates_that_count(pod: Pod, current: MembersState) -> Sequence[str]:
    """Kueue removes its gates once we have told it that the group is held."""
    if not current.observed.awaits_our_check:
        return pod.foreign_gates
    return [gate for gate in pod.foreign_gates if gate not in KUEUE_GATES]


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
