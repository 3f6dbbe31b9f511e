"""Random claims, volumes, storage classes and attach limits, and pods that use them.

Claims are unbound for good or bound by name, so that no controller binds one in between: no volume
fits a claim with immediate binding. Names end with the seed.
"""

from dataclasses import dataclass

from support.random_terms import NAMESPACES, some

PLAIN, TRACKED, NEEDED = (
    "plain.csi.example.com",
    "tracked.csi.example.com",
    "needed.csi.example.com",
)
ZONE, REGION = "topology.kubernetes.io/zone", "topology.kubernetes.io/region"
OLD_ZONE = "failure-domain.beta.kubernetes.io/zone"
STAYS = "differ.example.com/stays"
_TOPOLOGIES = {"zone": ["a", "b", "c"], "rack": ["r1", "r2", "r3", "r4"], ZONE: ["a", "b", "c"]}
_SIZES = ("1Gi", "2Gi", "5Gi", "5G")
_BOUND = {"pv.kubernetes.io/bind-completed": "yes", "pv.kubernetes.io/bound-by-controller": "yes"}

DRIVERS = tuple(
    {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "CSIDriver",
        "metadata": {"name": name},
        "spec": {"attachRequired": True, "podInfoOnMount": False, **spec},
    }
    for name, spec in (
        (PLAIN, {}),
        (TRACKED, {"storageCapacity": True}),
        (NEEDED, {"preventPodSchedulingIfMissing": True}),
    )
)


@dataclass(frozen=True)
class Storage:
    objects: tuple = ()
    claims: dict = None
    """Namespace -> names of claims."""
    bound: dict = None
    """Namespace -> names of bound claims."""


def add_topology_labels(rng, labels):
    """As nodes of a cloud have them."""
    labels |= some(rng, {ZONE: rng.choice("abc"), REGION: rng.choice(("east", "west"))}, 0.6)
    labels |= some(rng, {OLD_ZONE: rng.choice("abc")}, 0.1)


def random_storage(rng, seed, names):
    objects = [*_classes(rng, seed), *_on_nodes(rng, names), *_capacities(rng, seed)]
    objects += [_static_volume(rng, seed, i, names) for i in range(3 * len(names))]
    claims, bound = {}, {}
    for namespace in NAMESPACES:
        claims[namespace], bound[namespace] = [], []
        for number in range(14):
            name = f"c{number}"
            made = _claim(rng, seed, namespace, name, names)
            objects += made
            claims[namespace].append(name)
            if len(made) > 1:
                bound[namespace].append(name)
    objects += _attachments(rng, objects, names)
    return Storage(tuple(objects), claims, bound)


def add_volumes(rng, spec, names, *, seed=None, most=2):
    """`seed`: with it, the pod may have generic ephemeral volumes, too."""
    found = []
    for number in range(rng.choice((1, 1, most))):
        if seed is not None and rng.random() < 0.2:
            template = {"spec": _claim_spec(rng, rng.choice(_waiting(seed)))}
            found.append({"name": f"v{number}", "ephemeral": {"volumeClaimTemplate": template}})
            continue
        name = "missing" if seed is not None and rng.random() < 0.03 else rng.choice(names)
        volume = {"name": f"v{number}", "persistentVolumeClaim": {"claimName": name}}
        found.append(volume)
    spec["volumes"] = found


def _waiting(seed):
    return [f"{name}-{seed}" for name in ("static", "made", "tracked", "needed")]


def _classes(rng, seed):
    for name, provisioner in (
        ("static", "kubernetes.io/no-provisioner"),
        ("made", PLAIN),
        ("tracked", TRACKED),
        ("needed", NEEDED),
        ("now", "nobody.example.com"),
    ):
        mode = "Immediate" if name == "now" else "WaitForFirstConsumer"
        raw = {
            "apiVersion": "storage.k8s.io/v1",
            "kind": "StorageClass",
            "metadata": {"name": f"{name}-{seed}"},
            "provisioner": provisioner,
            "volumeBindingMode": mode,
        }
        if name != "static" and rng.random() < 0.5:
            keys = rng.sample(list(_TOPOLOGIES), rng.choice((1, 1, 2)))
            terms = [{"matchLabelExpressions": [_one_of(rng, key)]} for key in keys]
            raw["allowedTopologies"] = terms
        yield raw


def _one_of(rng, key=""):
    key = key or rng.choice(list(_TOPOLOGIES))
    return {"key": key, "values": rng.sample(_TOPOLOGIES[key], rng.choice((1, 2)))}


def _on_nodes(rng, names):
    for name in names:
        if rng.random() < 0.9:
            drivers = [
                {"name": driver, "nodeID": name, "topologyKeys": []}
                | ({"allocatable": {"count": rng.randint(0, 6)}} if rng.random() < 0.8 else {})
                for driver in (PLAIN, TRACKED, NEEDED)
                if rng.random() < 0.85
            ]
            yield {
                "apiVersion": "storage.k8s.io/v1",
                "kind": "CSINode",
                "metadata": {"name": name},
                "spec": {"drivers": drivers},
            }


def _capacities(rng, seed):
    for number in range(rng.randint(1, 4)):
        raw = {
            "apiVersion": "storage.k8s.io/v1",
            "kind": "CSIStorageCapacity",
            "metadata": {"name": f"room-{number}", "namespace": rng.choice(NAMESPACES)},
            "storageClassName": f"tracked-{seed}",
        }
        raw |= some(rng, {"capacity": rng.choice(_SIZES), "maximumVolumeSize": "3Gi"}, 0.6)
        if rng.random() < 0.9:
            one = _one_of(rng)
            raw["nodeTopology"] = {"matchLabels": {one["key"]: one["values"][0]}}
        yield raw


def _static_volume(rng, seed, number, names):
    """On one node, or for a zone."""
    raw = _volume(rng, f"static-{seed}-{number}", f"static-{seed}")
    raw["spec"]["local"] = {"path": "/data"}
    affinity = _host(rng.choice(names))
    if rng.random() < 0.2:
        affinity = _affinity({"operator": "In"} | _one_of(rng))
    raw["spec"]["nodeAffinity"] = affinity
    raw["metadata"]["labels"] = {"disk": rng.choice(("ssd", "hdd"))}
    return raw


def _volume(rng, name, storage_class):
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name},
        "spec": {
            "capacity": {"storage": rng.choice(_SIZES)},
            "accessModes": ["ReadWriteOnce"]
            + ([] if rng.random() < 0.5 else ["ReadOnlyMany"])
            + ([] if rng.random() < 0.5 else ["ReadWriteMany"]),
            "volumeMode": rng.choice(("Filesystem", "Filesystem", "Filesystem", "Block")),
            "storageClassName": storage_class,
            "persistentVolumeReclaimPolicy": "Retain",
        },
    }


def _host(name):
    return _affinity({"key": "kubernetes.io/hostname", "operator": "In", "values": [name]})


def _affinity(expression):
    return {"required": {"nodeSelectorTerms": [{"matchExpressions": [expression]}]}}


def _claim_spec(rng, storage_class):
    spec = {
        "accessModes": [rng.choice(("ReadWriteOnce", "ReadWriteOnce", "ReadWriteMany"))],
        "resources": {"requests": {"storage": rng.choice(_SIZES)}},
        "storageClassName": storage_class,
    }
    if storage_class.startswith("static"):
        if rng.random() < 0.2:
            spec["selector"] = {"matchLabels": {"disk": rng.choice(("ssd", "hdd"))}}
        if rng.random() < 0.15:
            spec["volumeMode"] = "Block"
    return spec


def _claim(rng, seed, namespace, name, names):
    """A claim, after the volume that it is bound to, if it is."""
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": name, "namespace": namespace},
    }
    match rng.random():
        case x if x < 0.45:
            return _bound(rng, seed, claim, names)
        case x if x < 0.85:
            claim["spec"] = _claim_spec(rng, rng.choice(_waiting(seed)))
            if rng.random() < 0.1:
                node = {"volume.kubernetes.io/selected-node": rng.choice(names)}
                claim["metadata"]["annotations"] = node
        case x if x < 0.9:
            claim["spec"] = _claim_spec(rng, f"now-{seed}")
        case x if x < 0.93:
            claim["spec"] = _claim_spec(rng, "nowhere")
        case x if x < 0.96:
            claim["spec"] = _claim_spec(rng, f"made-{seed}")
            claim["metadata"]["finalizers"] = [STAYS]
        case _:
            claim["spec"] = _claim_spec(rng, "") | {"volumeName": f"lost-{seed}"}
            claim["metadata"]["annotations"] = dict(_BOUND)
    return [claim]


def _bound(rng, seed, claim, names):
    meta = claim["metadata"]
    name = f"v-{seed}-{meta['namespace']}-{meta['name']}"
    volume = _volume(rng, name, "")
    spec = volume["spec"]
    spec["claimRef"] = {"namespace": meta["namespace"], "name": meta["name"]}
    match rng.random():
        case x if x < 0.25:
            spec["local"] = {"path": "/data"}
            spec["nodeAffinity"] = _host(rng.choice(names))
        case x if x < 0.5:
            spec["nfs"] = {"server": "nfs.example.com", "path": "/data"}
        case _:
            driver = rng.choice((PLAIN, PLAIN, TRACKED, NEEDED))
            spec["csi"] = {"driver": driver, "volumeHandle": name}
            if rng.random() < 0.4:
                spec["nodeAffinity"] = _affinity({"operator": "In"} | _one_of(rng))
    if rng.random() < 0.3:
        zones = rng.choice(("a", "b", "a__b", "c____a", "b__c"))
        labels = {ZONE: zones, REGION: rng.choice(("east", "west"))}
        volume["metadata"]["labels"] = some(rng, labels, 0.6) | some(rng, {OLD_ZONE: "a"}, 0.1)
    spec["accessModes"] = [rng.choice(("ReadWriteMany",) * 4 + ("ReadWriteOncePod",))]
    claim["spec"] = {
        "accessModes": spec["accessModes"],
        "resources": {"requests": spec["capacity"]},
        "storageClassName": "",
        "volumeMode": spec["volumeMode"],
        "volumeName": name,
    }
    return [volume, claim]


def _attachments(rng, objects, names):
    attached = [o for o in objects if o["kind"] == "PersistentVolume" and "csi" in o["spec"]]
    for volume in rng.sample(attached, min(4, len(attached))):
        name = volume["metadata"]["name"]
        yield {
            "apiVersion": "storage.k8s.io/v1",
            "kind": "VolumeAttachment",
            "metadata": {"name": f"a-{name}"},
            "spec": {
                "attacher": volume["spec"]["csi"]["driver"],
                "nodeName": rng.choice(names),
                "source": {"persistentVolumeName": name},
            },
        }


def canary_storage(seed):
    """A bound claim, and two open ones: one needs a capacity, the other a driver on the node
    `canary-SEED`. All in namespace `canary`.
    """
    node, meta = f"canary-{seed}", {"namespace": "canary"}
    size = {"storage": "1Gi"}
    volume = {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": node},
        "spec": {
            "capacity": size,
            "accessModes": ["ReadWriteOnce"],
            "local": {"path": "/data"},
            "nodeAffinity": _host(node),
            "claimRef": meta | {"name": f"bound-{seed}"},
        },
    }
    capacity = {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "CSIStorageCapacity",
        "metadata": meta | {"name": f"room-{seed}"},
        "storageClassName": f"canary-tracked-{seed}",
        "nodeTopology": {},
        "capacity": "1Gi",
    }
    on_node = {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "CSINode",
        "metadata": {"name": node},
        "spec": {"drivers": [{"name": NEEDED, "nodeID": node, "topologyKeys": []}]},
    }
    found = [volume, capacity, on_node]
    for name, driver in (("tracked", TRACKED), ("needed", NEEDED)):
        storage_class = {
            "apiVersion": "storage.k8s.io/v1",
            "kind": "StorageClass",
            "metadata": {"name": f"canary-{name}-{seed}"},
            "provisioner": driver,
            "volumeBindingMode": "WaitForFirstConsumer",
        }
        found += [storage_class, _canary_claim(seed, name, f"canary-{name}-{seed}")]
    bound = _canary_claim(seed, "bound", "")
    bound["spec"]["volumeName"] = node
    return [*found, bound]


def _canary_claim(seed, name, storage_class):
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"namespace": "canary", "name": f"{name}-{seed}"},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Gi"}},
            "storageClassName": storage_class,
        },
    }
