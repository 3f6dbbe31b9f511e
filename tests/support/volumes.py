"""Claims, volumes and classes as the API server has them."""

HOST, ZONE = "kubernetes.io/hostname", "topology.kubernetes.io/zone"
SPEC = {
    "accessModes": ["ReadWriteOnce"],
    "resources": {"requests": {"storage": "1Gi"}},
    "storageClassName": "local",
}


def a_claim(name, *, volume="", owner=None, deleted=None, phase="Pending", **spec):
    meta = {"namespace": "ns", "name": name, "uid": f"uid-{name}", "deletionTimestamp": deleted}
    if volume:
        meta["annotations"] = {"pv.kubernetes.io/bind-completed": "yes"}
        spec["volumeName"] = volume
    if owner:
        meta["ownerReferences"] = [{"uid": owner, "controller": True}]
    return {"metadata": meta, "spec": {**SPEC, **spec}, "status": {"phase": phase}}


def a_volume(name, *, host="", labels=None, claim=None, csi=None, size="1Gi", **spec):
    spec = {
        "capacity": {"storage": size},
        "accessModes": ["ReadWriteOnce"],
        "storageClassName": "local",
        **spec,
    }
    if host:
        expression = {"key": HOST, "operator": "In", "values": [host]}
        terms = [{"matchExpressions": [expression]}]
        spec["nodeAffinity"] = {"required": {"nodeSelectorTerms": terms}}
    if claim:
        spec["claimRef"] = {"namespace": "ns", "name": claim}
    if csi:
        spec["csi"] = {"driver": csi, "volumeHandle": name}
    phase = "Bound" if claim else "Available"
    return {
        "metadata": {"name": name, "labels": labels or {}},
        "spec": spec,
        "status": {"phase": phase},
    }


def a_class(name, provisioner="kubernetes.io/no-provisioner", *, waits=True, zones=(), **meta):
    raw = {"metadata": {"name": name, **meta}, "provisioner": provisioner}
    raw["volumeBindingMode"] = "WaitForFirstConsumer" if waits else "Immediate"
    if zones:
        expression = {"key": ZONE, "values": list(zones)}
        raw["allowedTopologies"] = [{"matchLabelExpressions": [expression]}]
    return raw
