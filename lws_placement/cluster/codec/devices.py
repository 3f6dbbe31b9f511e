"""`resource.k8s.io/v1` objects -> the values that device rules need. For an object that violates
the API schema a decoder raises one of UNREADABLE.

`unmodelled` names a field that is not known here: then it is not known what kube-scheduler does.
"""

from collections.abc import Hashable, Iterable, Mapping
from fractions import Fraction
from functools import lru_cache
from typing import Any, TypeVar

from lws_placement.cluster.api.timestamps import decode_time
from lws_placement.cluster.codec.objects import checked_text, controlling_owner
from lws_placement.cluster.codec.selectors import decode_node_terms
from lws_placement.engine.base.quantities import parse_quantity
from lws_placement.engine.base.raw import Raw
from lws_placement.engine.objects.devices.claims import (
    Allocation,
    Constraint,
    DeviceClaim,
    DeviceClaimSpec,
    DeviceToleration,
    GivenDevice,
    Request,
    RequestList,
)
from lws_placement.engine.objects.devices.devices import (
    Capacity,
    CapacityRange,
    Device,
    DeviceClass,
    DeviceTaint,
    NodeChoice,
    Slice,
    TaintRule,
    Value,
)
from lws_placement.errors import InvalidObjectError

T = TypeVar("T", bound=Hashable)

_EXTENDED = "resource.kubernetes.io/extended-resource-claim"
_TAINTING = ("NoSchedule", "NoExecute")
_MOST_COUNT = 2**31


@lru_cache(maxsize=65536)
def _first_of(value: Hashable) -> Any:
    return value


def _shared(value: T) -> T:
    """One object for equal ones: hundreds of thousands of devices are of few kinds."""
    found: T = _first_of(value)
    return found


def decode_class(raw: Raw) -> DeviceClass:
    spec = raw.get("spec") or {}
    selectors, unmodelled = _selectors(spec.get("selectors"))
    return DeviceClass(
        name=checked_text(raw["metadata"]["name"]),
        selectors=selectors,
        resource=checked_text(spec.get("extendedResourceName") or ""),
        created_s=decode_time(raw["metadata"].get("creationTimestamp")),
        unmodelled=unmodelled,
    )


def _selectors(raws: Iterable[Raw] | None) -> tuple[tuple[str, ...], str]:
    """Their expressions, and what is unmodelled."""
    found = [(raw.get("cel") or {}).get("expression") for raw in raws or ()]
    if None in found:
        return (), "a selector"
    return tuple(map(checked_text, found)), ""


# -- claims ---------------------------------------------------------------------------------------


def decode_claim(raw: Raw) -> DeviceClaim:
    meta, status = raw["metadata"], raw.get("status") or {}
    given = status.get("allocation")
    return DeviceClaim(
        namespace=checked_text(meta["namespace"]),
        name=checked_text(meta["name"]),
        uid=checked_text(meta["uid"]),
        spec=decode_claim_spec(raw.get("spec") or {}),
        allocation=_allocation(given) if given is not None else None,
        reserved=frozenset(checked_text(r["uid"]) for r in status.get("reservedFor") or ()),
        deleting=bool(meta.get("deletionTimestamp")),
        owner_uid=checked_text(controlling_owner(raw).get("uid", "")),
        extended=(meta.get("annotations") or {}).get(_EXTENDED) == "true",
    )


def decode_claim_template(raw: Raw) -> DeviceClaimSpec:
    return decode_claim_spec(raw["spec"].get("spec") or {})


def decode_claim_spec(raw: Raw) -> DeviceClaimSpec:
    devices = raw.get("devices") or {}
    requests, constraints, unmodelled = [], [], []
    for request in devices.get("requests") or ():
        exactly, several = request.get("exactly"), request.get("firstAvailable")
        options = [exactly] if exactly is not None else several or ()
        if not options:
            unmodelled.append("a request")
        name = checked_text(request["name"])
        found = [_request(name if exactly is not None else o["name"], o) for o in options]
        unmodelled += [field for _, field in found if field]
        requests.append(RequestList(name, tuple(r for r, _ in found), exactly is None))
    for constraint in devices.get("constraints") or ():
        distinct = constraint.get("distinctAttribute")
        attribute = distinct if distinct is not None else constraint.get("matchAttribute")
        if attribute is None:
            unmodelled.append("a constraint")
            continue
        names = frozenset(map(checked_text, constraint.get("requests") or ()))
        constraints.append(Constraint(names, checked_text(attribute), distinct is not None))
    first = unmodelled[0] if unmodelled else ""
    return _shared(DeviceClaimSpec(tuple(requests), tuple(constraints), first))


def _request(name: object, raw: Raw) -> tuple[Request, str]:
    """The request, and what of it is unmodelled."""
    selectors, unmodelled = _selectors(raw.get("selectors"))
    mode = raw.get("allocationMode") or "ExactCount"
    if mode not in ("ExactCount", "All"):
        unmodelled = f"allocation mode {checked_text(mode)[:40]}"
    elif raw.get("derivedAttributes"):
        unmodelled = "derivedAttributes"
    count = raw.get("count")
    count = 1 if count is None else max(0, min(int(count), _MOST_COUNT))
    capacity = (raw.get("capacity") or {}).get("requests") or {}
    request = Request(
        name=checked_text(name),
        device_class=checked_text(raw["deviceClassName"]),
        count=None if mode == "All" else count,
        selectors=selectors,
        admin=raw.get("adminAccess") is True,
        tolerations=tuple(map(_toleration, raw.get("tolerations") or ())),
        capacity=tuple(sorted((checked_text(n), _amount(q)) for n, q in capacity.items())),
    )
    return request, unmodelled


def _toleration(raw: Raw) -> DeviceToleration:
    fields = ("key", "operator", "value", "effect")
    return DeviceToleration(*(checked_text(raw.get(field) or "") for field in fields))


def _allocation(raw: Raw) -> Allocation:
    selector = raw.get("nodeSelector")
    results = (raw.get("devices") or {}).get("results") or ()
    return Allocation(
        devices=tuple(map(_given, results)),
        required=decode_node_terms(selector["nodeSelectorTerms"]) if selector is not None else None,
    )


def _given(raw: Raw) -> GivenDevice:
    driver, pool, device = (checked_text(raw[field]) for field in ("driver", "pool", "device"))
    consumed = raw.get("consumedCapacity") or {}
    return GivenDevice(
        (driver, pool, device),
        admin=raw.get("adminAccess") is True,
        shared=raw.get("shareID") is not None,
        consumed=tuple(sorted((checked_text(n), _amount(q)) for n, q in consumed.items())),
    )


# -- devices --------------------------------------------------------------------------------------


def decode_slice(raw: Raw) -> Slice:
    spec = raw["spec"]
    pool = spec["pool"]
    driver, pool_name = checked_text(spec["driver"]), checked_text(pool["name"])
    per_device = spec.get("perDeviceNodeSelection") is True
    devices = [_device(d, driver, pool_name) for d in spec.get("devices") or ()]
    return Slice(
        name=checked_text(raw["metadata"]["name"]),
        pool=(driver, pool_name),
        generation=int(pool.get("generation") or 0),
        count=int(pool.get("resourceSliceCount") or 0),
        nodes=None if per_device else _nodes(spec),
        counters=_counters(spec.get("sharedCounters"), "name"),
        devices=tuple(devices),
    )


def _nodes(raw: Raw) -> NodeChoice:
    selector = raw.get("nodeSelector")
    return NodeChoice(
        name=checked_text(raw.get("nodeName") or ""),
        everywhere=raw.get("allNodes") is True,
        terms=decode_node_terms(selector["nodeSelectorTerms"]) if selector is not None else None,
    )


def _counters(raws: Iterable[Raw] | None, field: str) -> dict[str, dict[str, Fraction]]:
    return {
        checked_text(raw[field]): {
            checked_text(name): _amount(counter["value"])
            for name, counter in (raw.get("counters") or {}).items()
        }
        for raw in raws or ()
    }


def _device(raw: Raw, driver: str, pool: str) -> Device:
    taints = [_taint(t) for t in raw.get("taints") or ()]
    fields = ("nodeName", "nodeSelector", "allNodes")
    uses = raw.get("consumesCounters") or ()
    unmodelled = "nodeAllocatableResources" if raw.get("nodeAllocatableResources") else ""
    if any(one.get("compatibilityGroups") for one in uses):
        unmodelled = "compatibilityGroups"
    return Device(
        id=(driver, pool, checked_text(raw["name"])),
        attributes={
            _shared(checked_text(name)): _shared(_value(value))
            for name, value in (raw.get("attributes") or {}).items()
        },
        capacity={
            _shared(checked_text(name)): _shared(_capacity(value))
            for name, value in (raw.get("capacity") or {}).items()
        },
        taints=tuple(taint for taint in taints if taint.effect in _TAINTING),
        uses=_counters(uses, "counterSet") or None,
        nodes=_nodes(raw) if any(raw.get(f) is not None for f in fields) else None,
        shareable=raw.get("allowMultipleAllocations") is True,
        stays_local=raw.get("bindsToNode") is True,
        binds_late=bool(raw.get("bindingConditions")),
        unmodelled=unmodelled,
    )


def _value(raw: Raw) -> Value:
    """Raises InvalidObjectError."""
    ((kind, given),) = raw.items()
    types: dict[str, type] = {"int": int, "bool": bool, "string": str, "version": str}
    if kind in types and isinstance(given, int | bool | str) and type(given) is types[kind]:
        return kind, given
    one = kind.removesuffix("s")
    if one in types and isinstance(given, list) and all(type(v) is types[one] for v in given):
        return kind, tuple(given)
    raise InvalidObjectError(f"an attribute of kind {kind[:40]} is not readable")


def _capacity(raw: Raw) -> Capacity:
    policy = raw.get("requestPolicy") or {}
    valid = policy.get("validRange")
    least = valid.get("min") if valid is not None else None
    return Capacity(
        value=_amount(raw["value"]),
        default=_optional(policy.get("default")),
        valid_range=CapacityRange(
            _amount(least), _optional(valid.get("max")), _optional(valid.get("step"))
        )
        if valid is not None and least is not None
        else None,
        valid_values=tuple(map(_amount, policy.get("validValues") or ())),
    )


def decode_taint_rule(raw: Raw) -> TaintRule | None:
    """None if it taints nothing."""
    spec = raw["spec"]
    selector: Mapping[str, object] | None = spec.get("deviceSelector")
    taint = _taint(spec["taint"])
    if selector is None or taint.effect not in _TAINTING:
        return None
    fields = ("driver", "pool", "device")
    driver, pool, device = (checked_text(selector.get(field) or "") for field in fields)
    return TaintRule(driver, pool, device, taint)


def _taint(raw: Raw) -> DeviceTaint:
    key, value, effect = (checked_text(raw.get(f) or "") for f in ("key", "value", "effect"))
    return DeviceTaint(key, value, effect)


def _optional(quantity: object) -> Fraction | None:
    return None if quantity is None else _amount(quantity)


def _amount(quantity: object) -> Fraction:
    """Exact. Raises InvalidObjectError."""
    if isinstance(quantity, bool) or not isinstance(quantity, str | int | float):
        raise InvalidObjectError("a quantity is neither text nor a number")
    if isinstance(quantity, int):
        quantity = max(-(2**63), min(quantity, 2**63))
    return Fraction(parse_quantity(str(quantity)))
