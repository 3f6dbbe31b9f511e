"""kube-scheduler's inter-pod affinity and topology spread, written down once more, plainly: one pod
after another, each node asked with all pods that have a node by then.
"""

from itertools import permutations

from lws_placement.engine.fit.node_filters import is_chosen, untolerated
from lws_placement.engine.objects.label_terms import meets


def chosen(selector, labels):
    return selector is not None and all(meets(labels, r) for r in selector)


def is_let_in(pod, node, pods, nodes, *, namespace="ns"):
    """`pod`: (demand, labels); `pods`: (demand, labels, node) of all that have a node."""
    demand, labels = pod
    rules = demand.rules
    for other, their_labels, place in pods:
        for term in other.rules.of(their_labels).anti_affinity if other.rules else ():
            if chosen(term.selector, labels) and shared(term.topology_key, place, node):
                return False
    if rules is None:
        return True
    rules = rules.of(labels)
    for term in rules.anti_affinity:
        for _, their_labels, place in pods:
            if chosen(term.selector, their_labels) and shared(term.topology_key, place, node):
                return False
    return is_near(rules, labels, node, pods) and is_spread(
        demand, rules, labels, node, pods, nodes
    )


def shared(key, one, other):
    return key in one.labels and one.labels[key] == other.labels.get(key)


def is_near(rules, labels, node, pods):
    if not rules.affinity:
        return True
    if any(term.topology_key not in node.labels for term in rules.affinity):
        return False
    matching = [
        place
        for _, theirs, place in pods
        if all(chosen(term.selector, theirs) for term in rules.affinity)
    ]
    known = {
        (t.topology_key, place.labels[t.topology_key])
        for place in matching
        for t in rules.affinity
        if t.topology_key in place.labels
    }
    if all((t.topology_key, node.labels[t.topology_key]) in known for t in rules.affinity):
        return True
    return not known and all(chosen(term.selector, labels) for term in rules.affinity)


def is_spread(demand, rules, labels, node, pods, nodes):
    keys = [c.topology_key for c in rules.spread]
    if any(key not in node.labels for key in keys):
        return False
    for constraint in rules.spread:
        counts = {}
        for one in nodes:
            if any(key not in one.labels for key in keys):
                continue
            if constraint.honors_affinity and not is_chosen(demand, one):
                continue
            if constraint.honors_taints and untolerated(demand, one) is not None:
                continue
            number = sum(
                chosen(constraint.selector, theirs)
                for _, theirs, place in pods
                if place.name == one.name and constraint.selector
            )
            value = one.labels[constraint.topology_key]
            counts[value] = counts.get(value, 0) + number
        least = min(counts.values(), default=0) if len(counts) >= constraint.min_domains else 0
        mine = counts.get(node.labels[constraint.topology_key], 0)
        if mine + chosen(constraint.selector, labels) - least > constraint.max_skew:
            return False
    return True


def are_all_bound(pods, places, running, nodes):
    """Whether kube-scheduler binds these pods there, in whatever order it takes them: one that is
    refused is tried again. `places`: a node each.
    """
    return all(
        _are_bound(pods, places, running, nodes, order) for order in permutations(range(len(pods)))
    )


def _are_bound(pods, places, running, nodes, order):
    bound, waiting = list(running), list(order)
    while waiting:
        let_in = next((i for i in waiting if is_let_in(pods[i], places[i], bound, nodes)), None)
        if let_in is None:
            return False
        waiting.remove(let_in)
        bound.append((*pods[let_in], places[let_in]))
    return True
