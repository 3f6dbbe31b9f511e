"""Answers and outcomes as text, for `explain` and `simulate`.

The reasons are worded by `engine/messages.py`, as in events. This module lays them out, one fact a
line, so that the text can be searched and compared.
"""

from collections.abc import Iterator, Sequence

from lws_placement.engine.messages import domain_in_words, preemption_note
from lws_placement.engine.model.groups import GroupId
from lws_placement.engine.model.reservation import Hold, Reservation
from lws_placement.engine.objects.placement_request import PlacementRequest, Scope
from lws_placement.engine.preemption.blockers import Blockers, Infeasible
from lws_placement.engine.preemption.search import WhyNoPreemption
from lws_placement.inspect.inquiry import Answer, Inquiry, Standing
from lws_placement.inspect.misses import Miss
from lws_placement.inspect.node_groups import Growth
from lws_placement.inspect.outcome import Outcome, SetOutcome, Update

_MOST_PODS = 3
_MOST_MADE = 8
_SCOPES = {Scope.NAMESPACE: "namespace", Scope.LWS: "LeaderWorkerSet", Scope.NOBODY: "own"}
_HAS_DOMAIN = (Standing.PLACED, Standing.COMING)


def answer_text(answer: Answer, inquiry: Inquiry) -> list[str]:
    """The state of one group."""
    lines = [f"{answer.name}: {answer.note}"]
    lines += [f"  {line}" for line in _queue(answer, inquiry)]
    lines += [f"  {line}" for line in _misses(answer, inquiry)]
    lines += [f"  {line}" for line in _members(answer)]
    return lines


def outcome_text(outcome: Outcome) -> list[str]:
    """The result of a simulation."""
    lines: list[str] = []
    for key, domains, nodes in outcome.keys:
        lines.append(f"{key}: {_counted(domains, 'domain')}, {_counted(nodes, 'node')}")
    if outcome.left_out:
        kinds = ", ".join(f"{n} {kind}" for kind, n in sorted(outcome.left_out.items()))
        lines.append(f"left out, as it says nothing about placement: {kinds}")
    assumed = "; ".join(_assumed(outcome))
    if assumed:
        lines.append(f"assumed: {assumed}")
    for one in outcome.sets:
        lines += ["", *_set(one, outcome.inquiry)]
    if outcome.growth:
        lines += ["", *map(_growth, outcome.growth)]
    return [*lines, "", _total(outcome.sets)]


def _growth(growth: Growth) -> str:
    made = growth.made
    text = f"node group {growth.node_group}: {len(made)} of {growth.most} made"
    if not made:
        return text
    shown = [f"{one.domain} for {one.group}" for one in made[:_MOST_MADE]]
    more = f", and {len(made) - len(shown)} more" if len(made) > len(shown) else ""
    nodes = sum(one.nodes for one in made)
    return f"{text} ({_counted(nodes, 'node')}): {', '.join(shown)}{more}"


def _assumed(outcome: Outcome) -> Iterator[str]:
    if outcome.adds_tolerations is not None:
        how = "adds tolerations" if outcome.adds_tolerations else "adds no tolerations"
        yield (
            f"the API server {how} for extended resources to pods (--extended-resource-toleration)"
        )
    if outcome.unknown:
        yield f"{_and(outcome.unknown)}, as none is given"


# -- sets ------------------------------------------------------------------------------------------


def _set(one: SetOutcome, inquiry: Inquiry) -> Iterator[str]:
    if one.refused:
        yield f"{one.name}: refused at admission: {one.refused}"
        return
    what = f"{_counted(one.replicas, 'group')} of {_counted(one.size, 'pod')}"
    yield f"{one.name}: {what}, {request_in_words(one.request, groups=one.replicas)}"
    for answer in one.groups:
        yield from (f"  {line}" for line in _group(answer, inquiry))
    if one.update is not None:
        yield from (f"  {line}" for line in _update(one.update, inquiry))


def _group(answer: Answer, inquiry: Inquiry) -> Iterator[str]:
    name = answer.name.partition("/")[2]
    if answer.standing in (*_HAS_DOMAIN, Standing.NEXT) and answer.reservation is not None:
        yield f"{name}: {_places(answer.reservation)}"
        return
    yield f"{name}: {answer.note}"
    if len(inquiry.queue) > 1:
        yield from (f"  {line}" for line in _queue(answer, inquiry))
    yield from (f"  {line}" for line in _misses(answer, inquiry))


def _update(update: Update, inquiry: Inquiry) -> Iterator[str]:
    for name, where, why in update.moved:
        words = domain_in_words(why, inquiry.name_of)
        yield f"rolling update: {name} would have to leave {where}: {words}"
    if update.changed and not update.moved:
        yield "rolling update: every group comes back to its own domain"
    if not update.surge:
        return
    room = [a.reservation for a in update.surge if a.reservation is not None]
    more = f"{_counted(len(update.surge), 'group')} more (maxSurge)"
    if len(room) == len(update.surge):
        where = ", ".join(_value(hold) for reservation in room for hold in reservation.holds)
        yield f"rolling update: room for {more} in {where}"
        return
    yield f"rolling update: {f'room for {len(room)} of' if room else 'no room for'} {more}"
    waits = next(a for a in update.surge if a.reservation is None)
    yield from (f"  {line}" for line in list(_misses(waits, inquiry))[:1])
    if update.unavailable:
        down = _counted(update.unavailable, "group")
        yield f"  it goes on by taking down {down} at a time (maxUnavailable)"
    elif not room:
        yield "  it cannot go on, as no group may be taken down (maxUnavailable)"


def _total(sets: Sequence[SetOutcome]) -> str:
    groups = [answer for one in sets for answer in one.groups]
    placed = sum(a.standing in _HAS_DOMAIN for a in groups)
    refused = sum(bool(one.refused) for one in sets)
    preempting = sum(a.standing is Standing.PREEMPTS for a in groups)
    waiting = len(groups) - placed - preempting
    parts = [f"{placed} of {_counted(len(groups), 'group')} placed"]
    if preempting:
        parts.append(f"{preempting} {'preempts' if preempting == 1 else 'preempt'} others")
    if waiting:
        parts.append(f"{waiting} {'waits' if waiting == 1 else 'wait'}")
    if refused:
        parts.append(f"{_counted(refused, 'set')} refused")
    return ", ".join(parts)


# -- groups ----------------------------------------------------------------------------------------


def _members(answer: Answer) -> Iterator[str]:
    """Unbound pods of a group that has a domain."""
    if answer.standing not in (Standing.COMING, Standing.CHANGING):
        return
    for pod in answer.pods:
        if pod.node is not None:
            continue
        where = f"pinned to {pod.pinned}" if pod.pinned else "gated" if pod.gated else "not pinned"
        why = f"; kube-scheduler: {pod.unschedulable}" if pod.unschedulable else ""
        yield f"{pod.name}: {where}, not bound yet{why}"
    absent = answer.size - len(answer.pods)
    if absent > 0:
        yield f"{_counted(absent, 'pod')} still to be created"


def request_in_words(request: PlacementRequest, *, groups: int) -> str:
    """The placement that a set of so many groups asks for."""
    if not request.managed:
        return "not managed: kube-scheduler alone places them"
    if not request.places:
        return "without exclusive topology: kube-scheduler alone places them"
    each = "" if groups == 1 else "each "
    among = (
        "" if request.scope is Scope.CLUSTER else f" among groups of its {_SCOPES[request.scope]}"
    )
    parts = []
    if request.topology:
        parts.append(f"{each}alone{among} in a domain of {request.topology}")
    if request.subgroup_topology:
        parts.append(f"each subgroup alone{among} in a domain of {request.subgroup_topology}")
    if request.gang:
        parts.append(f"{each}all or none, anywhere")
    if request.required_topology:
        parts.append(f"within one {request.required_topology}")
    if request.preferred_topology:
        parts.append(f"within one {request.preferred_topology} if possible")
    return ", ".join(parts)


def _places(reservation: Reservation) -> str:
    """The domains, each with its members' nodes by rank; last those that lie inside another one."""
    full = sorted((h for h in reservation.holds if h.nodes), key=lambda h: min(h.nodes))
    parts = [f"{_value(h)} ({' '.join(h.nodes[r] for r in sorted(h.nodes))})" for h in full]
    inside = [h.domain.shown_value for h in reservation.holds if not h.nodes]
    return ", ".join(parts) + (f", in it {_and(inside)}" if inside else "")


def _value(hold: Hold) -> str:
    return "anywhere" if hold.domain.anywhere else hold.domain.shown_value


def _queue(answer: Answer, inquiry: Inquiry) -> Iterator[str]:
    if answer.place:
        before = f", right behind {answer.before}" if answer.before else ""
        yield f"place {answer.place} of {len(inquiry.queue)} in the queue{before}"


def _misses(answer: Answer, inquiry: Inquiry) -> Iterator[str]:
    for miss in answer.misses:
        yield f"{miss.domain or 'anywhere'}: {_miss(miss, inquiry)}"
    if answer.blockers is not None:
        yield from _blockers(answer.blockers, (), inquiry)
    if answer.more:
        yield f"and {_counted(answer.more, 'domain')} more"
    if answer.nobody is not None and answer.nobody.why is WhyNoPreemption.FREEING:
        yield preemption_note(answer.nobody, inquiry.name_of)


def _miss(miss: Miss, inquiry: Inquiry) -> str:
    words = domain_in_words(miss.reason, inquiry.name_of)
    return "; ".join([words, *_blockers(miss.blockers, (miss.reason.holder,), inquiry)])


def _blockers(
    blockers: Blockers | Infeasible | None, named: tuple[GroupId | None, ...], inquiry: Inquiry
) -> Iterator[str]:
    """`named`: groups that were named before."""
    match blockers:
        case Infeasible():
            yield "would not fit even if nothing else were there"
        case Blockers(groups, pods) if groups or pods:
            if groups == named and not pods:
                yield "fits once it ends"
                return
            ending = [inquiry.name_of(group) for group in groups]
            ending += sorted(inquiry.place_of(pod) for pod in pods)[:_MOST_PODS]
            if len(pods) > _MOST_PODS:
                ending.append(f"{_counted(len(pods) - _MOST_PODS, 'pod')} more")
            verb = "ends" if len(groups) + len(pods) == 1 else "end"
            yield f"fits once {_and(ending)} {verb}"
        case _:
            return


def _and(parts: Sequence[str]) -> str:
    *first, last = parts
    return f"{', '.join(first)} and {last}" if first else last


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
