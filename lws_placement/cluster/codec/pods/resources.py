"""The resources a pod takes of a node, as counted by kube-scheduler's NodeResourcesFit
(`PodRequests` in component-helpers 1.37; KEP-2837 for pod-level resources, KEP-1287 for in-place
resizes).

The total is what containers take together (`base/pod_totals.py`), then pod-level requests in place
of the sum, then overhead. Requests absent from a template default to its limits, as in the API
server on creation (`admission/pod_defaults.py` for those of the pod).

During a resize the node still reserves the old amounts. So a running pod counts with the largest of
its spec's requests, the node's allocated amounts, and the amounts in force. Requests that the
kubelet calls infeasible do not count.
"""

from collections.abc import Iterable, Iterator

from lws_placement.engine.admission.pod_defaults import with_pod_level_requests
from lws_placement.engine.base.pod_totals import total_of_containers
from lws_placement.engine.base.quantities import Resources, amount_requested, greatest, total
from lws_placement.engine.base.raw import Raw

_NOTHING: Raw = {}


def decode_requests(spec: Raw, status: Raw) -> dict[str, int]:
    """Requests in each resource's own unit (`quantities.py`). Raises InvalidObjectError."""
    counted = total_of_containers(spec, _asked)
    whole_pod = with_pod_level_requests(spec).get("resources") or _NOTHING
    pod_level = _amounts(whole_pod.get("requests") or _NOTHING)
    if _is_resized(spec, status):
        infeasible = _is_infeasible(status)
        whole = [status.get("allocatedResources"), _in_force(status)]
        if None in whole:
            at_node = [*_of_containers(spec, status, infeasible=infeasible)]
        else:
            at_node = [_amounts(amounts or _NOTHING) for amounts in whole]
        counted = _greatest_of(at_node if infeasible else [counted, *at_node])
        if pod_level and status.get("resources") is not None:
            reported = [_amounts(amounts or _NOTHING) for amounts in whole]
            pod_level = _greatest_of(reported if infeasible else [pod_level, *reported])
    return total(({**counted, **pod_level}, _amounts(spec.get("overhead") or _NOTHING)))


def _asked(container: Raw) -> Resources:
    resources = container.get("resources") or _NOTHING
    return _amounts(
        {**(resources.get("limits") or _NOTHING), **(resources.get("requests") or _NOTHING)}
    )


def _of_containers(spec: Raw, status: Raw, *, infeasible: bool) -> Iterator[Resources]:
    """The sums of allocated amounts and of amounts in force. A container without a report counts
    with its requests.
    """
    reported = _reported(status)

    def allocated(container: Raw) -> Resources:
        amounts = reported.get(container["name"], _NOTHING).get("allocatedResources")
        if amounts is not None:
            return _amounts(amounts)
        return {} if infeasible else _asked(container)

    def in_force(container: Raw) -> Resources:
        amounts = _in_force(reported.get(container["name"], _NOTHING))
        return _amounts(amounts) if amounts is not None else allocated(container)

    yield total_of_containers(spec, allocated)
    yield total_of_containers(spec, in_force)


def _is_resized(spec: Raw, status: Raw) -> bool:
    """True if the node reports other amounts than the spec requests; false for most pods."""
    if status.get("allocatedResources") is not None or status.get("resources") is not None:
        return True
    reported = _reported(status)
    for container in (*spec.get("containers", ()), *(spec.get("initContainers") or ())):
        known = reported.get(container.get("name"))
        if known is not None:
            asked = (container.get("resources") or _NOTHING).get("requests") or _NOTHING
            if any(
                amounts is not None and amounts != asked
                for amounts in (known.get("allocatedResources"), _in_force(known))
            ):
                return True
    return False


def _reported(status: Raw) -> dict[object, Raw]:
    """Statuses of containers that report resources, by name."""
    kinds = (status.get("containerStatuses") or (), status.get("initContainerStatuses") or ())
    return {
        s.get("name"): s
        for some in kinds
        for s in some
        if "allocatedResources" in s or "resources" in s
    }


def _in_force(reported: Raw) -> Raw | None:
    found: Raw | None = (reported.get("resources") or _NOTHING).get("requests")
    return found


def _is_infeasible(status: Raw) -> bool:
    return any(
        c.get("type") == "PodResizePending" and c.get("reason") == "Infeasible"
        for c in status.get("conditions") or ()
    )


def _greatest_of(some: Iterable[Resources]) -> Resources:
    result: Resources = {}
    for one in some:
        result = greatest(result, one)
    return result


def _amounts(quantities: Raw) -> Resources:
    return {name: amount_requested(name, quantity) for name, quantity in quantities.items()}
