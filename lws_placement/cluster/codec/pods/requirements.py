"""A pod spec (of a pod or of a template) -> its demand on a node.

Resources are in `pod_resources.py`.

The API server stores node affinity of any length, and each plan compares it with every node. So a
pod that says more than `_MOST_PARTS` things about nodes and other pods is not compared at all: it
fits nowhere, and other pods are kept out of every domain that it may keep them out of.
"""

from collections.abc import Collection, Iterable
from dataclasses import replace
from typing import Any
from weakref import WeakKeyDictionary, ref

from lws_placement.cluster.codec.pods.devices import decode_claim_refs
from lws_placement.cluster.codec.pods.resources import decode_requests
from lws_placement.cluster.codec.pods.rules import decode_rules, shunned_by_all
from lws_placement.cluster.codec.pods.volumes import decode_volumes
from lws_placement.cluster.codec.selectors import decode_node_term
from lws_placement.engine.base.keys import NODE_NAME_FIELD, OUR_PREFIX
from lws_placement.engine.base.quantities import PODS
from lws_placement.engine.base.raw import Raw
from lws_placement.engine.model.pods import Demand, HostPort, Toleration
from lws_placement.engine.objects.nodes import NodeName, NodeTerm

_SAY_WHERE = ("affinity", "nodeSelector", "tolerations", "topologySpreadConstraints")
_MOST_PARTS = 1024
_PARTS_PER_LOOK = 16
_VALUES_PER_PART = 16


def decode_demand(
    spec: Raw,
    *,
    status: Raw | None = None,
    pinned: NodeName | None = None,
    exclusive: Collection[str] = (),
    pod: str = "",
    claim_templates: Collection[str] = (),
) -> Demand:
    """`status`: of a pod that may run. `pinned`: the node-name pin that we added; `required` leaves
    it out. `exclusive`: see `decode_rules`. `pod`, `claim_templates`: see `decode_volumes`.
    """
    resources = {**decode_requests(spec, status or {}), PODS: 1}
    kept = {n: a for n, a in resources.items() if a > 0 and not n.startswith(OUR_PREFIX)}
    amounts, parts = tuple(sorted(kept.items())), _parts_of(spec)
    if parts > _MOST_PARTS:
        return _shared(Demand(amounts, required=(), rules=shunned_by_all(spec)))
    return _shared(
        Demand(
            resources=amounts,
            selector=tuple(sorted((spec.get("nodeSelector") or {}).items())),
            required=_required(spec, pinned),
            # Their order is irrelevant, and the API server adds some: equal ones compare equal.
            tolerations=tuple(
                sorted({decode_toleration(t) for t in spec.get("tolerations") or ()})
            ),
            host_ports=tuple(sorted(_host_ports(spec))),
            rules=decode_rules(spec, exclusive=exclusive),
            volumes=decode_volumes(spec, pod=pod, claim_templates=claim_templates),
            device_claims=decode_claim_refs(spec),
            weight=1 + parts // _PARTS_PER_LOOK,
        )
    )


def node_pin(spec: Raw) -> NodeName | None:
    """The only node that every required node affinity term names by `matchFields`; else None."""
    found: set[str] = set()
    terms = _terms(spec)
    for term in terms:
        names = [
            f["values"][0]
            for f in term.get("matchFields") or ()
            if f.get("key") == NODE_NAME_FIELD
            and f.get("operator") == "In"
            and len(f.get("values") or ()) == 1
        ]
        if not names:
            return None
        found.update(names)
    return found.pop() if len(found) == 1 else None


_in_use: WeakKeyDictionary[Demand, ref[Demand]] = WeakKeyDictionary()


def _shared(demand: Demand) -> Demand:
    """Shares one object among equal demands: tens of thousands of pods come from few templates. It
    goes with the last pod, template or hold that has it, as users may make it large.
    """
    known = _in_use.get(demand)
    shared = known() if known is not None else None
    if shared is None:
        _in_use[demand] = ref(demand)
        return demand
    return shared


def _parts_of(spec: Raw) -> int:
    """How much it says about nodes and other pods: fields, and listed values by the dozen."""
    return sum(_size(spec[part]) for part in _SAY_WHERE if spec.get(part))


def _size(part: object) -> int:
    match part:
        case dict():
            return sum(map(_size, part.values()))
        case [str(), *_]:
            return 1 + len(part) // _VALUES_PER_PART
        case list():
            return sum(map(_size, part))
        case _:
            return 1


def _terms(spec: Raw) -> list[Raw]:
    affinity: Any = (spec.get("affinity") or {}).get("nodeAffinity") or {}
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution") or {}
    terms: list[Raw] = required.get("nodeSelectorTerms") or []
    return terms


def _required(spec: Raw, pinned: NodeName | None) -> tuple[NodeTerm, ...] | None:
    terms = _terms(spec)
    if not terms:
        return None
    result = []
    for raw in terms:
        term = decode_node_term(raw)
        if pinned is not None:
            fields = tuple(f for f in term.fields if f.key != NODE_NAME_FIELD)
            term = replace(term, fields=fields)
            if term == NodeTerm():
                return None  # it had only our pin: without it, this ORed term matches every node
        result.append(term)
    return tuple(result)


def decode_toleration(raw: Raw) -> Toleration:
    return Toleration(
        key=raw.get("key") or "",
        operator=raw.get("operator") or "Equal",
        value=raw.get("value") or "",
        effect=raw.get("effect") or "",
    )


def _host_ports(spec: Raw) -> Iterable[HostPort]:
    sidecars = [c for c in spec.get("initContainers") or () if c.get("restartPolicy") == "Always"]
    for container in (*spec.get("containers", ()), *sidecars):
        for port in container.get("ports") or ():
            host_port = port.get("hostPort") or (
                port.get("containerPort") if spec.get("hostNetwork") else 0
            )
            if host_port:
                ip, protocol = port.get("hostIP") or "0.0.0.0", port.get("protocol") or "TCP"
                yield HostPort(ip, protocol, host_port)
