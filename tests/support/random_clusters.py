"""Random clusters and pods from a seed, for asking two schedulers the same.

Everything is as the API server accepts it. Nodes are Ready and complete; pods are bound by
`spec.nodeName`, so they may take more than a node has. Features are switched separately: what is
off occurs nowhere. Each pod that asks uses a few of them, so that about as many nodes fit as do
not. Bound pods tolerate everything, since the taint eviction controller would delete them.
"""

import random
from dataclasses import dataclass

from support.random_devices import Devices, add_devices, add_served, random_devices
from support.random_pods import (
    CHIP,
    EFFECTS,
    GENERATIONS,
    TAINT_KEYS,
    TAINT_VALUES,
    a_pod,
    a_toleration,
    add_ports,
    add_resize,
    add_resources,
    add_selectors,
)
from support.random_terms import NAMESPACES, a_spread, an_affinity, some
from support.random_volumes import Storage, add_topology_labels, add_volumes, random_storage

PRIORITY_CLASS = "asks"
"""Preempts nothing."""
CANARY = "differ.example.com/canary"

NODE_FEATURES = ("taints", "selectors", "resources", "ports")
POD_FEATURES = ("affinity", "anti-affinity", "existing", "spread")
"""`existing`: terms of bound pods, which count for every other pod."""
FEATURES = (*NODE_FEATURES, *POD_FEATURES, "volumes", "devices")

_ROOM = {
    "cpu": ("2500m", "4", "6", "8", "16"),
    "memory": ("6G", "8Gi", "16Gi", "32Gi"),
    "pods": ("3", "5", "8", "110", "110"),
    "ephemeral-storage": ("30Gi", "100G"),
}


@dataclass(frozen=True)
class Bound:
    """A pod on a node: what to create, the status it gets, and whether it is deleted."""

    raw: dict
    status: dict | None = None
    deleted: bool = False

    @property
    def phase(self):
        return (self.status or {}).get("phase")


@dataclass(frozen=True)
class Asking:
    """A pod that asks for a node, and the features that it uses."""

    raw: dict
    features: tuple


@dataclass(frozen=True)
class RandomCluster:
    seed: int
    namespaces: tuple
    nodes: tuple
    bound: tuple
    asking: tuple
    storage: Storage
    devices: Devices


def seed_named(text):
    """A number, "random", or, for the same clusters each time, nothing."""
    return random.SystemRandom().randrange(1, 10**6) if text == "random" else int(text or "1")


def features_named(text):
    """`"nodes,spread"` -> the features; `nodes` and `all` stand for several."""
    short = {"nodes": NODE_FEATURES, "all": FEATURES}
    named = [name.strip() for name in text.split(",") if name.strip()]
    found = [feature for name in named for feature in short.get(name, (name,))]
    assert set(found) <= set(FEATURES), f"{text}: not all of these are in {FEATURES}"
    return tuple(f for f in FEATURES if f in found)


def random_cluster(seed, features=FEATURES, *, pods=10):
    """`pods`: how many ask."""
    rng = random.Random(seed)
    namespaces = tuple(_namespace(rng, name) for name in NAMESPACES)
    nodes = tuple(_node(rng, f"n{seed}-{i}", features) for i in range(rng.randint(6, 12)))
    names = [node["metadata"]["name"] for node in nodes]
    bound = [_bound(rng, i, rng.choice(names), features) for i in range(2 * len(nodes))]
    _take_ports_once(bound)
    asking = tuple(_asking(rng, f"asks-{i}", names, features) for i in range(pods))
    storage = Storage()
    if "volumes" in features:
        storage = random_storage(rng, seed, names)
        _use_storage(rng, storage, bound, asking, seed=seed)
    devices = Devices()
    if "devices" in features:
        stay = [p.raw for p in bound if not p.deleted and p.phase not in ("Succeeded", "Failed")]
        devices = random_devices(rng, seed, names, stay)
        for node in nodes:
            add_served(rng, node, devices)
        for one in asking:
            if "devices" in one.features:
                add_devices(rng, one.raw, devices)
    return RandomCluster(seed, namespaces, nodes, tuple(bound), asking, storage, devices)


def _use_storage(rng, storage, bound, asking, *, seed):
    for pod in bound:
        names = storage.bound[pod.raw["metadata"]["namespace"]]
        if names and rng.random() < 0.4:
            add_volumes(rng, pod.raw["spec"], names)
    for one in asking:
        if "volumes" in one.features:
            names = storage.claims[one.raw["metadata"]["namespace"]]
            add_volumes(rng, one.raw["spec"], names, seed=seed)


def _namespace(rng, name):
    labels = some(rng, {"team": rng.choice(("red", "blue")), "stage": "prod"}, 0.7)
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}


# -- nodes ----------------------------------------------------------------------------------------


def _node(rng, name, features):
    labels = {
        "zone": rng.choice("abc"),
        "rack": rng.choice(("r1", "r2", "r3", "r4")),
        "pool": rng.choice(("default", "accelerated")),
        "generation": rng.choice(GENERATIONS),
    }
    labels = some(rng, labels, 0.85)
    if rng.random() < 0.95:
        labels["kubernetes.io/hostname"] = name
    if "volumes" in features:
        add_topology_labels(rng, labels)
    room = {resource: rng.choice(amounts) for resource, amounts in _ROOM.items()}
    if rng.random() < 0.6:
        room[CHIP] = str(rng.randint(0, 4))
    spec = {}
    if "taints" in features:
        keys = rng.sample(TAINT_KEYS, rng.choice((0, 0, 0, 0, 1, 1, 2)))
        spec["taints"] = [_taint(rng, key) for key in keys]
        spec["unschedulable"] = rng.random() < 0.1
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": labels},
        "spec": spec,
        "status": {
            "capacity": room,
            "allocatable": room,
            "conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady"}],
        },
    }


def _taint(rng, key):
    return {"key": key, "value": rng.choice(TAINT_VALUES), "effect": rng.choice(EFFECTS)}


# -- pods on nodes --------------------------------------------------------------------------------


def _bound(rng, number, node, features):
    raw = a_pod(rng, f"bound-{number}", asks=False)
    meta, spec = raw["metadata"], raw["spec"]
    spec |= {"nodeName": node, "tolerations": [{"operator": "Exists"}]}
    if "resources" in features:
        add_resources(rng, spec, share=0.4)
    if "ports" in features and rng.random() < 0.3:
        add_ports(rng, spec)
    if "existing" in features and rng.random() < 0.15:
        key = rng.choice(("podAntiAffinity", "podAntiAffinity", "podAffinity"))
        spec["affinity"] = {key: an_affinity(rng, labels=meta["labels"], most=2)}
    match rng.random():
        case x if x < 0.1:
            meta["finalizers"] = ["differ.example.com/stays"]
            return Bound(raw, deleted=True)
        case x if x < 0.2:
            return Bound(raw, deleted=True)
        case x if x < 0.3:
            return Bound(raw, {"phase": rng.choice(("Succeeded", "Failed"))})
        case x if x < 0.45 and "resources" in features:
            return Bound(raw, add_resize(rng, spec))
    return Bound(raw, {"phase": "Running"} if rng.random() < 0.2 else None)


def _take_ports_once(bound):
    """Each port of a node is one pod's. kube-scheduler keeps ports as a set: of two pods that share
    one, which no kubelet lets run, the first to end would free it.
    """
    taken = set()
    for spec in (pod.raw["spec"] for pod in bound):
        for container in (*spec["containers"], *spec.get("initContainers", ())):
            ports = {
                (spec["nodeName"], p["containerPort"], p["protocol"]): p
                for p in container.pop("ports", ())
            }
            container["ports"] = [p for key, p in ports.items() if key not in taken]
            taken |= ports.keys()


# -- pods that ask --------------------------------------------------------------------------------


def _asking(rng, name, nodes, features):
    raw = a_pod(rng, name, asks=True)
    chosen = add_features(rng, raw, nodes, features, most=(0, 1, 1, 1, 2, 2, 3))
    used = {*chosen, *({"existing"} & set(features))}
    return Asking(raw, tuple(f for f in FEATURES if f in used))


def add_features(rng, raw, nodes, features, *, most):
    """To a pod that asks. `most`: one of these is how many, tolerations aside. Returns them."""
    labels, spec = raw["metadata"]["labels"], raw["spec"]
    spec["priorityClassName"] = PRIORITY_CLASS
    own = [f for f in features if f not in ("taints", "existing")]
    chosen = rng.sample(own, min(len(own), rng.choice(most)))
    if "taints" in features and rng.random() < 0.6:
        chosen.append("taints")
        spec["tolerations"] = [a_toleration(rng) for _ in range(rng.randint(1, 3))]
    if "selectors" in chosen:
        add_selectors(rng, spec, nodes)
    if "resources" in chosen:
        add_resources(rng, spec, share=1)
    if "ports" in chosen:
        add_ports(rng, spec)
    if "affinity" in chosen:
        spec.setdefault("affinity", {})["podAffinity"] = an_affinity(
            rng, labels=labels, most=2, wide=True
        )
    if "anti-affinity" in chosen:
        terms = an_affinity(rng, labels=labels, most=2)
        spec.setdefault("affinity", {})["podAntiAffinity"] = terms
    if "spread" in chosen:
        spec["topologySpreadConstraints"] = a_spread(rng, labels=labels)
    return chosen
