"""Random groups of pods from a seed, for a random cluster: a leader and workers with the features
of single pods (`random_clusters.py`), and rules among the members besides.
"""

import copy
import random
from dataclasses import dataclass

from support.random_clusters import FEATURES, add_features
from support.random_devices import add_devices
from support.random_pods import a_pod
from support.random_terms import some

from lws_placement.engine.objects.placement_request import TopologyRequest

GROUP = "group"
"""Label of a group's pods and of no others."""

_HOST = "kubernetes.io/hostname"
_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_APART, _NEAR, _SPREAD = "members apart", "members near", "members spread"
_NEEDS = {_APART: "anti-affinity", _NEAR: "affinity", _SPREAD: "spread"}
"""Rule among members -> the feature that switches it."""


@dataclass(frozen=True)
class RandomGroup:
    """`pods`: by rank, as they are written. `order`: in which they are created. `stays`: its pods
    are left for later groups. `features`: that it uses, with its shape.
    """

    name: str
    namespace: str
    request: TopologyRequest
    pods: tuple
    order: tuple
    stays: bool
    features: tuple


def random_group(cluster, number, features):
    """For this random cluster."""
    seed, nodes = cluster.seed, [node["metadata"]["name"] for node in cluster.nodes]
    rng = random.Random(f"{seed}/{number}")
    size = rng.choice((2, 2, 3, 3, 4, 5))
    name = f"g{seed}-{number}"
    group_labels = {GROUP: name, "set": rng.choice(("s1", "s2"))}
    worker, used = _template(rng, nodes, group_labels, features)
    if "devices" in used:
        add_devices(rng, worker, cluster.devices)
    leader = copy.deepcopy(worker)
    if rng.random() < 0.4:
        leader, of_leader = _template(rng, nodes, group_labels, features)
        leader["metadata"]["namespace"] = worker["metadata"]["namespace"]
        if "devices" in of_leader:
            add_devices(rng, leader, cluster.devices)
        used |= of_leader
    pods = [leader, *(copy.deepcopy(worker) for _ in range(1, size))]
    by_role = rng.random() < 0.5
    for rank, pod in enumerate(pods):
        pod["metadata"]["name"] = f"{name}-{rank}"
        role = {"role": "worker" if rank else "leader"} if by_role else {}
        pod["metadata"]["labels"] |= role | {"rank": str(rank)}
    shape, request = _request(rng, size)
    return RandomGroup(
        name=name,
        namespace=worker["metadata"]["namespace"],
        request=request,
        pods=tuple(pods),
        order=tuple(rng.sample(range(size), size)),
        stays=rng.random() < 0.4,
        features=(shape, *(f for f in (*FEATURES, *_NEEDS) if f in used)),
    )


def _request(rng, size):
    """The shape in words, and the request."""
    ranks = tuple(range(size))
    match rng.random():
        case x if x < 0.55:
            key = rng.choice(("zone", "zone", "rack", "rack", "pool", "pool", _HOST))
            return "one domain", TopologyRequest(outer=key)
        case x if x < 0.8:
            return "anywhere", TopologyRequest()
        case x if x < 0.9:
            return "one region", TopologyRequest(required_topology=rng.choice(("zone", "pool")))
    subgroups = (ranks[: size // 2], ranks[size // 2 :])
    return "subgroups", TopologyRequest(inner=rng.choice(("rack", _HOST)), subgroups=subgroups)


def _template(rng, nodes, group_labels, features):
    pod = a_pod(rng, "template", asks=True)
    pod["metadata"]["labels"] |= group_labels
    used = set(add_features(rng, pod, nodes, features, most=(0, 0, 0, 1, 1, 2)))
    rules = [rule for rule, feature in _NEEDS.items() if feature in features]
    chosen = rng.sample(rules, min(len(rules), rng.choice((0, 0, 1, 1, 1, 2))))
    for rule in chosen:
        _add(rng, rule, pod)
    return pod, used | set(chosen)


# -- rules among members --------------------------------------------------------------------------


def _add(rng, rule, pod):
    spec, labels = pod["spec"], pod["metadata"]["labels"]
    match rule:
        case "members apart":
            key = rng.choice((_HOST, _HOST, _HOST, "rack", "zone"))
            _add_term(spec, "podAntiAffinity", _selecting_members(rng, labels), key)
        case "members near":
            key = rng.choice(("zone", "zone", "rack", "pool", _HOST))
            _add_term(spec, "podAffinity", _selecting_members(rng, labels), key)
        case "members spread":
            _add_constraint(rng, spec, _selecting_members(rng, labels))


def _add_term(spec, kind, selecting, key):
    kinds = spec.setdefault("affinity", {}).setdefault(kind, {})
    kinds.setdefault(_REQUIRED, []).append({"topologyKey": key} | selecting)


def _add_constraint(rng, spec, selecting):
    """No key is in two constraints of a pod."""
    constraints = spec.setdefault("topologySpreadConstraints", [])
    taken = {constraint["topologyKey"] for constraint in constraints}
    keys = [key for key in (_HOST, "rack", "zone") if key not in taken]
    if keys:
        more = {
            "minDomains": rng.randint(1, 3),
            "nodeAffinityPolicy": rng.choice(("Honor", "Ignore")),
            "nodeTaintsPolicy": rng.choice(("Honor", "Ignore")),
        }
        constraint = {
            "topologyKey": rng.choice(keys),
            "maxSkew": rng.choice((1, 1, 2)),
            "whenUnsatisfiable": "DoNotSchedule",
        }
        constraints.append(constraint | some(rng, more, 0.3) | selecting)


def _selecting_members(rng, labels):
    """Of this group alone, of one role of it, or of all groups of its set."""
    of_set = {"matchLabels": {"set": labels["set"]}}
    match rng.random():
        case x if x < 0.3:
            return {"labelSelector": {"matchLabels": {GROUP: labels[GROUP]}}}
        case x if x < 0.6:
            return {"labelSelector": of_set, "matchLabelKeys": [GROUP]}
        case x if x < 0.75:
            return {"labelSelector": of_set}
        case x if x < 0.9:
            role = {"matchLabels": {"role": rng.choice(("leader", "worker"))}}
            return {"labelSelector": role, "matchLabelKeys": [GROUP]}
    not_leader = {"key": "rank", "operator": "NotIn", "values": ["0"]}
    return {"labelSelector": {"matchExpressions": [not_leader]}, "matchLabelKeys": [GROUP]}
