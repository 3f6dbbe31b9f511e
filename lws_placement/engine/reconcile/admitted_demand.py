"""Members admitted larger than their template: a LimitRange's defaults, a RuntimeClass's overhead,
an injected container.

No template shows the difference, and a group is planned from templates before its workers exist.
The best guess for the next members is what members of the same revision and role requested when
they were admitted: the plan reserves at least that much for them.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from lws_placement.engine.base.quantities import greatest
from lws_placement.engine.messages import larger_note, member_in_words, more_in_words
from lws_placement.engine.model.pods import Demand
from lws_placement.engine.model.workload import Templates


@dataclass(frozen=True, slots=True)
class Admitted:
    """Demands of recently admitted members of one revision of a set."""

    leaders: tuple[Demand, ...] = ()
    workers: tuple[Demand, ...] = ()


def as_admitted(templates: Templates, admitted: Admitted) -> Templates:
    """The templates raised to what was admitted; the same object if nothing is raised."""
    leader = at_least(templates.leader, admitted.leaders)
    worker = at_least(templates.worker, admitted.workers)
    if leader is templates.leader and worker is templates.worker:
        return templates
    more = [
        *_more(member_in_words(0), leader, templates.leader),
        *_more("workers", worker, templates.worker),
    ]
    # The template does not tell what the API server is asked for, so not what it refuses.
    return replace(
        templates,
        leader=leader,
        worker=worker,
        larger=larger_note(more),
        leader_forbidden="",
        worker_forbidden="",
    )


def at_least(demand: Demand, admitted: Iterable[Demand]) -> Demand:
    """The demand raised to the resources and host ports of all of these; the same object if equal.

    Copies nothing else: a worker's selector names the domain that its leader had then.
    """
    resources, ports = dict(demand.resources), set(demand.host_ports)
    for one in admitted:
        resources = greatest(resources, dict(one.resources))
        ports |= set(one.host_ports)
    if resources == dict(demand.resources) and ports == set(demand.host_ports):
        return demand
    return replace(
        demand, resources=tuple(sorted(resources.items())), host_ports=tuple(sorted(ports))
    )


def _more(who: str, asked: Demand, given: Demand) -> Iterator[str]:
    if asked is not given:
        yield more_in_words(who, asked, given)
