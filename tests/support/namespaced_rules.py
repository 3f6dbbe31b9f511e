"""Pods of several namespaces, for `reference_rules.py`, which knows none: the namespace becomes one
more label, and each term requires it. Terminating pods carry a label that spread constraints avoid.
"""

from dataclasses import replace

from support.reference_rules import are_all_bound, chosen

from lws_placement.engine.fit.node_filters import is_chosen, untolerated
from lws_placement.engine.objects.nodes import NodeTerm, Operator, Requirement
from lws_placement.engine.objects.pod_rules import PodRules

_NAMESPACE, _GOING = "its namespace", "it is terminating"


class NamespacedRules:
    """`namespaces`: name -> labels; `nodes`: all of them; `running`: bound pods, decoded."""

    def __init__(self, namespaces, nodes, running):
        self._namespaces = namespaces
        self._nodes = nodes
        self._by_name = {node.name: node for node in nodes}
        self._running = [
            (*self._told(pod), self._by_name[pod.node]) for pod in running if not pod.finished
        ]

    def are_bound_in_every_order(self, pods, names, *, pinned):
        """Whether kube-scheduler binds these pods on the nodes of these names, in whatever order it
        takes them, with our pins or without.
        """
        told = [self._told(pod) for pod in pods]
        if pinned:
            told = [
                (_pinned(demand, name), labels)
                for (demand, labels), name in zip(told, names, strict=True)
            ]
        places = [self._by_name[name] for name in names]
        return are_all_bound(told, places, self._running, self._nodes)

    def _told(self, pod):
        """Its demand and labels."""
        labels = dict(pod.labels) | {_NAMESPACE: pod.namespace}
        if pod.terminating:
            labels[_GOING] = ""
        if pod.demand.rules is None:
            return pod.demand, labels
        own = pod.demand.rules.of(dict(pod.labels))
        rules = PodRules(
            affinity=tuple(self._term(term, pod) for term in own.affinity),
            anti_affinity=tuple(self._term(term, pod) for term in own.anti_affinity),
            spread=tuple(_constraint(constraint, pod) for constraint in own.spread),
        )
        return replace(pod.demand, rules=rules), labels

    def _term(self, term, pod):
        if term.selector is None:
            return term
        names = set(term.namespaces)
        if term.namespace_selector is not None:
            names |= {
                name
                for name, labels in self._namespaces.items()
                if chosen(term.namespace_selector, labels)
            }
        elif not names:
            names = {pod.namespace}
        there = Requirement(_NAMESPACE, Operator.IN, tuple(sorted(names)))
        return replace(term, selector=(*term.selector, there))


def _constraint(constraint, pod):
    if not constraint.selector:
        return constraint  # it counts no pod
    there = Requirement(_NAMESPACE, Operator.IN, (pod.namespace,))
    stays = Requirement(_GOING, Operator.DOES_NOT_EXIST)
    return replace(constraint, selector=(*constraint.selector, there, stays))


def _pinned(demand, name):
    pin = Requirement("metadata.name", Operator.IN, (name,))
    terms = (NodeTerm(),) if demand.required is None else demand.required
    required = tuple(replace(term, fields=(*term.fields, pin)) for term in terms)
    return replace(demand, required=required)


# -- the state in the end -------------------------------------------------------------------------


def too_uneven(members, pods, nodes):
    """The spread constraints of members that are not kept once all pods are where they are, in
    words. Node affinity counts as the members wrote it, without our pins, which would hide other
    nodes. `members`: (pod as it was written, name of its node); `pods`: all that are bound, theirs
    included.
    """
    by_name = {node.name: node for node in nodes}
    found = []
    for pod, name in members:
        rules = pod.demand.rules.of(dict(pod.labels)) if pod.demand.rules else PodRules()
        keys = [constraint.topology_key for constraint in rules.spread]
        for constraint in rules.spread:
            counted = [n for n in nodes if _is_counted(n, constraint, keys, pod.demand)]
            counts = dict.fromkeys((n.labels[constraint.topology_key] for n in counted), 0)
            names = {n.name for n in counted}
            for other in pods:
                if other.node in names and _counts(constraint, other, pod.namespace):
                    counts[by_name[other.node].labels[constraint.topology_key]] += 1
            least = min(counts.values()) if len(counts) >= constraint.min_domains else 0
            mine = counts[by_name[name].labels[constraint.topology_key]]
            if mine - least > constraint.max_skew:
                found.append(f"{pod.key} on {name}: {constraint} and there are {counts}")
    return found


def _is_counted(node, constraint, keys, demand):
    if any(key not in node.labels for key in keys):
        return False
    if constraint.honors_affinity and not is_chosen(demand, node):
        return False
    return not constraint.honors_taints or untolerated(demand, node) is None


def _counts(constraint, pod, namespace):
    if not constraint.selector or pod.terminating or pod.finished or pod.namespace != namespace:
        return False
    return chosen(constraint.selector, dict(pod.labels))
