"""LimitRanges, as the API server's plugin LimitRanger applies them to a pod (kubernetes 1.37,
plugin/pkg/admission/limitranger): first the defaults of all of a namespace, then their bounds.

A pod out of bounds is refused, so nobody can create it, and its group never becomes whole.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from lws_placement.engine.base.pod_totals import total_of_containers
from lws_placement.engine.base.quantities import CPU, Resources, amount_requested
from lws_placement.engine.base.raw import Raw

_NOTHING: Raw = {}
CONTAINER, POD, CLAIM = "Container", "Pod", "PersistentVolumeClaim"


@dataclass(frozen=True, slots=True)
class Bounds:
    """What one pod, each container of it, or a claim made for it, must keep to. Resource ->
    quantity, as in the API.
    """

    kind: str
    """CONTAINER, POD or CLAIM."""
    least: Raw
    most: Raw
    ratio: Raw
    """The greatest limit, in units of the request."""


@dataclass(frozen=True, slots=True)
class LimitRange:
    """`limits`, `requests`: defaults of containers, resource -> quantity, as in the API."""

    name: str
    limits: Raw
    requests: Raw
    bounds: tuple[Bounds, ...] = ()


def with_defaults(container: Raw, ranges: Iterable[LimitRange]) -> Raw:
    """The first range that sets a resource counts. Before that, an absent request defaults to the
    container's own limit.
    """
    resources = container.get("resources") or _NOTHING
    limits = resources.get("limits") or _NOTHING
    requests = {**limits, **(resources.get("requests") or _NOTHING)}
    for one in ranges:
        limits, requests = {**one.limits, **limits}, {**one.requests, **requests}
    return {**container, "resources": {**resources, "limits": limits, "requests": requests}}


def why_refused(spec: Raw, ranges: Sequence[LimitRange], *, claims: Sequence[Raw] = ()) -> str:
    """Which range refuses a pod with this spec, defaults included, or one of the claims that are
    made with it, and why, in LimitRanger's words; empty if none does. Raises InvalidObjectError for
    a quantity that is none.
    """
    for one in ranges:
        for bounds in one.bounds:
            for who, resources in _judged(spec, bounds.kind, claims):
                why = _why_out_of_bounds(resources, bounds)
                if why:
                    return f"LimitRange {one.name} refuses {who}: {why}"
    return ""


def _judged(spec: Raw, kind: str, claims: Sequence[Raw]) -> Iterator[tuple[str, Raw]]:
    """Who is judged, in words, and with which requests and limits. A claim has requests alone."""
    if kind == CLAIM:
        for claim in claims:
            asked = ((claim.get("spec") or _NOTHING).get("resources") or _NOTHING).get("requests")
            yield f"claim {claim['metadata']['name']}", {"requests": asked, "limits": asked}
        return
    if kind == POD:
        sums = {amounts: _of_pod(spec, amounts) for amounts in ("requests", "limits")}
        yield "the pod", sums
        return
    for container in (*spec.get("containers", ()), *(spec.get("initContainers") or ())):
        yield f"container {container.get('name')}", container.get("resources") or _NOTHING


def _of_pod(spec: Raw, kind: str) -> Raw:
    """Requests or limits of the whole pod, without overhead, as quantities."""

    def of(holder: Raw) -> Resources:
        stated = (holder.get("resources") or _NOTHING).get(kind) or _NOTHING
        return {name: _milli(quantity) for name, quantity in stated.items()}

    sums = {**total_of_containers(spec, of), **of(spec)}
    return {name: f"{n}m" if n % 1000 else n // 1000 for name, n in sums.items()}


def _why_out_of_bounds(resources: Raw, bounds: Bounds) -> str:
    requests = resources.get("requests") or _NOTHING
    limits = resources.get("limits") or _NOTHING
    for name, least in bounds.least.items():
        rule = f"minimum {name} usage per {bounds.kind} is {least}"
        if name not in requests:
            return f"{rule}. No request is specified"
        for field, stated in (("request", requests), ("limit", limits)):
            if name in stated and _milli(stated[name]) < _milli(least):
                return f"{rule}, but {field} is {stated[name]}"
    for name, most in bounds.most.items():
        rule = f"maximum {name} usage per {bounds.kind} is {most}"
        first = "request" if bounds.kind == CLAIM else "limit"
        if name not in limits:
            return f"{rule}. No {first} is specified"
        for field, stated in ((first, limits), ("request", requests)):
            if name in stated and _milli(stated[name]) > _milli(most):
                return f"{rule}, but {field} is {stated[name]}"
    for name, ratio in bounds.ratio.items():
        rule = f"{name} max limit to request ratio per {bounds.kind} is {ratio}, but"
        request, limit = _milli(requests.get(name)), _milli(limits.get(name))
        if not request or not limit:
            return f"{rule} {'limit' if request else 'request'} is not specified or 0"
        if limit * 1000 > _milli(ratio) * request:
            return f"{rule} limit is {limits[name]} and request is {requests[name]}"
    return ""


def _milli(quantity: object) -> int:
    """In thousandths, rounded up, as LimitRanger compares."""
    return amount_requested(CPU, quantity)
