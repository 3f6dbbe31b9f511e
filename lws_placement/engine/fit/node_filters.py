"""kube-scheduler's node filters, one function per rule, with reasons that a person can act on.

Modelled: NodeUnschedulable, TaintToleration, NodeAffinity with nodeSelector, NodePorts,
NodeResourcesFit and node readiness; in `pod_rules.py`, InterPodAffinity and PodTopologySpread; in
`volumes.py`, VolumeBinding, VolumeZone, VolumeRestrictions and NodeVolumeLimits; in `devices.py`,
DynamicResources. kube-scheduler still checks what is left out there, and the planner's repair
handles its refusal.
"""

from lws_placement.engine.model.pods import Demand, HostPort, Toleration
from lws_placement.engine.model.snapshot import NodeView
from lws_placement.engine.objects.label_terms import term_matches
from lws_placement.engine.objects.nodes import Node, Taint

_UNSCHEDULABLE = Taint("node.kubernetes.io/unschedulable", "", "NoSchedule")
_EVERY_IP = "0.0.0.0"


def why_not_node(demand: Demand, view: NodeView) -> str | None:
    """Why the pod does not fit on the node as it is now; None if it fits."""
    return why_not_static(demand, view.node) or why_no_room(demand, view)


def fits_node(demand: Demand, view: NodeView) -> bool:
    """Whether `why_not_node` is None, without the words."""
    return has_room(demand, view) and why_not_static(demand, view.node) is None


def why_not_static(demand: Demand, node: Node) -> str | None:
    """The part that does not depend on the pods there, unless a rule of the pod does."""
    if not node.ready:
        return "not ready"
    if node.unschedulable and not is_tolerated(_UNSCHEDULABLE, demand.tolerations):
        return "cordoned"
    taint = untolerated(demand, node)
    if taint is not None:
        value = f"={taint.value}" if taint.value else ""
        return f"taint {taint.key}{value}:{taint.effect} is not tolerated"
    for key, value in demand.selector:
        if node.labels.get(key) != value:
            return f"nodeSelector {key}={value} is not met"
    if not _is_required(demand, node):
        return "required node affinity is not met"
    return demand.node_rule.why_not(node) if demand.node_rule is not None else None


def untolerated(demand: Demand, node: Node) -> Taint | None:
    """The first taint that keeps the pod off the node."""
    for taint in node.taints:
        if taint.effect != "PreferNoSchedule" and not is_tolerated(taint, demand.tolerations):
            return taint
    return None


def is_chosen(demand: Demand, node: Node) -> bool:
    """Whether the pod's node selector and required node affinity admit the node."""
    chosen = all(node.labels.get(key) == value for key, value in demand.selector)
    return chosen and _is_required(demand, node)


def _is_required(demand: Demand, node: Node) -> bool:
    return demand.required is None or any(
        term_matches(term, node.labels, name=node.name) for term in demand.required
    )


def has_room(demand: Demand, view: NodeView) -> bool:
    """Whether `why_no_room` is None, without the words."""
    free = view.free
    for name, amount in demand.resources:
        if amount > free.get(name, 0) and amount > 0:
            return False
    return not demand.host_ports or why_port_taken(demand, view) is None


def why_no_room(demand: Demand, view: NodeView) -> str | None:
    """The part that depends on them: resources and host ports."""
    free = view.free
    for name, amount in demand.resources:
        if amount > free.get(name, 0) and amount > 0:
            asked = amount_in_words(name, amount)
            return f"{asked} asked, {amount_in_words(name, free.get(name, 0))} free"
    return why_port_taken(demand, view)


def why_port_taken(demand: Demand, view: NodeView) -> str | None:
    for port in demand.host_ports:
        if any(ports_clash(port, taken) for taken in view.ports):
            return f"host port {port.port}/{port.protocol} is taken"
    return None


def ports_clash(one: HostPort, other: HostPort) -> bool:
    """As kube-scheduler's HostPortInfo: 0.0.0.0 clashes with every address."""
    same = (one.protocol, one.port) == (other.protocol, other.port)
    return same and (one.ip == other.ip or _EVERY_IP in (one.ip, other.ip))


def amount_in_words(name: str, amount: int) -> str:
    """`("cpu", 2500)` -> "2500m cpu"; bytes in the largest whole binary unit."""
    amount = max(amount, 0)
    if name == "cpu":
        return f"{amount // 1000} cpu" if amount % 1000 == 0 else f"{amount}m cpu"
    if name == "memory" or name.endswith("storage") or name.startswith("hugepages-"):
        for unit, factor in (("Gi", 2**30), ("Mi", 2**20), ("Ki", 2**10)):
            if amount >= factor:
                return f"{amount // factor}{unit} {name}"
    return f"{amount} {name}"


def is_tolerated(taint: Taint, tolerations: tuple[Toleration, ...]) -> bool:
    return any(_tolerates(t, taint) for t in tolerations)


def _tolerates(toleration: Toleration, taint: Taint) -> bool:
    if toleration.effect and toleration.effect != taint.effect:
        return False
    if toleration.key and toleration.key != taint.key:
        return False
    if toleration.operator == "Exists":
        return True
    # Other operators compare numbers where an alpha feature is on, and tolerate nothing elsewhere.
    equal = toleration.operator == "Equal" and toleration.value == taint.value
    return bool(toleration.key) and equal
