"""Members admitted other than their template: a LimitRange's defaults, a RuntimeClass's overhead,
an injected container, a node selector of the namespace (plugin PodNodeSelector) or of a policy.

No template shows the difference, and a group is planned from templates before its workers exist.
The best guess for the next members is what members of the same revision and role were admitted
with: the plan reserves at least that much for them, on nodes that they may use.

Rules about other pods, volumes and claims that admission adds are not learned: they name what the
one member is, not the next one.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from lws_placement.engine.base.keys import MEMBER_MARKER
from lws_placement.engine.base.quantities import greatest
from lws_placement.engine.messages import (
    chosen_in_words,
    larger_note,
    member_in_words,
    more_in_words,
)
from lws_placement.engine.model.pods import Demand, Toleration
from lws_placement.engine.model.workload import Templates


@dataclass(frozen=True, slots=True)
class Admitted:
    """Demands of recently admitted members of one revision of a set."""

    leaders: tuple[Demand, ...] = ()
    workers: tuple[Demand, ...] = ()


Selector = tuple[tuple[str, str], ...]


def as_admitted(templates: Templates, admitted: Admitted, namespace: Selector = ()) -> Templates:
    """The templates with what was admitted; the same object if there is no difference. `namespace`:
    the node selector that its annotation names.
    """
    leader = _as_like(templates.leader, admitted.leaders)
    worker = _as_like(templates.worker, admitted.workers)
    surplus: dict[str, int] = {}
    if not admitted.workers:
        worker = _tolerating(worker, _added_to_leaders(templates, leader))
        worker = _choosing(worker, namespace, leader.selector, templates.leader.selector)
        surplus = _surplus(leader, templates.leader)
    if leader is templates.leader and worker is templates.worker:
        return templates
    more = [
        *_more(member_in_words(0), leader, templates.leader),
        *_more("workers", worker, templates.worker),
    ]
    asked = (leader.resources, worker.resources)
    if asked != (templates.leader.resources, templates.worker.resources):
        # The template does not tell what the API server is asked for, so not what it refuses.
        templates = replace(templates, leader_forbidden="", worker_forbidden="")
    larger = larger_note(more) if more else ""
    return replace(templates, leader=leader, worker=worker, larger=larger, surplus=surplus)


def _as_like(demand: Demand, admitted: Sequence[Demand]) -> Demand:
    return on_nodes_of(at_least(demand, admitted), admitted)


def _added_to_leaders(templates: Templates, leader: Demand) -> set[Toleration]:
    """Tolerations that workers are expected to get as well, until one is known:
    PodTolerationRestriction's default tolerations, say. If that is wrong, the first worker shows
    it; without, no worker would ever come. Not those for the leader's own extended resources
    (`fit/extended_resources.py`).
    """
    own = {*templates.leader_extended, MEMBER_MARKER}
    added = set(leader.tolerations) - set(templates.leader.tolerations)
    return {toleration for toleration in added if toleration.key not in own}


def _choosing(demand: Demand, namespace: Selector, leader: Selector, template: Selector) -> Demand:
    """Workers that are not known yet get the namespace's node selector, too, if leaders got it.

    Whether a plugin adds it, only pods show. A leader without it shows that none does, and then
    workers planned with it might wait for ever. A worker whose template contradicts it is refused.
    """
    added = set(namespace) - set(template)
    own = dict(demand.selector)
    if not added or not added <= set(leader):
        return demand
    if any(own.get(key, value) != value for key, value in namespace):
        return demand
    return replace(demand, selector=tuple(sorted({**own, **dict(namespace)}.items())))


def _tolerating(demand: Demand, added: set[Toleration]) -> Demand:
    if added <= set(demand.tolerations):
        return demand
    return replace(demand, tolerations=tuple(sorted(added | set(demand.tolerations))))


def _surplus(leader: Demand, template: Demand) -> dict[str, int]:
    """What leaders got beyond their template, of an injected container, say. Not extended
    resources: what is added to all pods of a namespace requests none.
    """
    known = dict(template.resources)
    more = {name: amount - known.get(name, 0) for name, amount in leader.resources}
    return {name: amount for name, amount in more.items() if amount > 0 and "/" not in name}


def at_least(demand: Demand, admitted: Iterable[Demand]) -> Demand:
    """The demand raised to the resources and host ports of all; the same object if equal."""
    resources, ports = dict(demand.resources), set(demand.host_ports)
    for one in admitted:
        resources = greatest(resources, dict(one.resources))
        ports |= set(one.host_ports)
    if resources == dict(demand.resources) and ports == set(demand.host_ports):
        return demand
    return replace(
        demand, resources=tuple(sorted(resources.items())), host_ports=tuple(sorted(ports))
    )


def on_nodes_of(demand: Demand, admitted: Sequence[Demand]) -> Demand:
    """The demand with the choice of nodes that all of these agree on; the same object if equal."""
    if not admitted:
        return demand
    first, *others = admitted
    selector, tolerations = set(first.selector), set(first.tolerations)
    for one in others:
        selector &= set(one.selector)
        tolerations &= set(one.tolerations)
    agreed = all(one.required == first.required for one in others)
    chosen = tuple(sorted({**dict(demand.selector), **dict(selector)}.items()))
    required = first.required if agreed else demand.required
    tolerated = tuple(sorted(tolerations | set(demand.tolerations)))
    if (chosen, required, tolerated) == (demand.selector, demand.required, demand.tolerations):
        return demand
    return replace(demand, selector=chosen, required=required, tolerations=tolerated)


def _more(who: str, asked: Demand, given: Demand) -> Iterator[str]:
    if (asked.resources, asked.host_ports) != (given.resources, given.host_ports):
        yield more_in_words(who, asked, given)
    chosen = chosen_in_words(asked, given)
    if chosen:
        yield f"{who} for {chosen}"
