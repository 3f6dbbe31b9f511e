"""Objects of `resource.k8s.io/v1` as tests make them."""

API = "resource.k8s.io/v1"
DRIVER = "gpu.example.com"


def a_device(name, **fields):
    """Attributes by name, as plain values; other fields as the API has them."""
    known = ("capacity", "taints", "consumesCounters", "nodeName", "allNodes", "nodeSelector")
    known += ("allowMultipleAllocations", "bindsToNode", "bindingConditions")
    given = {key: value for key, value in fields.items() if key in known}
    attributes = {key: _value(value) for key, value in fields.items() if key not in known}
    return {"name": name, **given} | ({"attributes": attributes} if attributes else {})


def _value(value):
    return {{bool: "bool", int: "int", str: "string"}[type(value)]: value}


def a_slice(name, *devices, node="", driver=DRIVER, pool="", generation=1, count=1, **spec):
    """`devices`: a number, names, or devices; on the node, unless `spec` says otherwise."""
    if devices and isinstance(devices[0], int):
        devices = [f"d{i}" for i in range(devices[0])]
    found = [a_device(d) if isinstance(d, str) else d for d in devices]
    where = {"nodeName": node} if node else {}
    return {
        "apiVersion": API,
        "kind": "ResourceSlice",
        "metadata": {"name": name, "uid": f"uid-{name}"},
        "spec": {
            "driver": driver,
            "pool": {
                "name": pool or node or name,
                "generation": generation,
                "resourceSliceCount": count,
            },
            **where,
            **({"devices": found} if found else {}),
            **spec,
        },
    }


def a_class(name, *expressions, driver=DRIVER, resource="", created=None):
    """Of the driver's devices; expressions besides."""
    every = [f'device.driver == "{driver}"', *expressions]
    spec = {"selectors": [{"cel": {"expression": text}} for text in every]}
    if resource:
        spec["extendedResourceName"] = resource
    meta = {"name": name, "uid": f"uid-{name}"}
    if created:
        meta["creationTimestamp"] = created
    return {"apiVersion": API, "kind": "DeviceClass", "metadata": meta, "spec": spec}


def a_request(device_class, *expressions, name="r", **fields):
    selectors = [{"cel": {"expression": text}} for text in expressions]
    exactly = {"deviceClassName": device_class, **fields}
    return {"name": name, "exactly": exactly | ({"selectors": selectors} if selectors else {})}


def a_claim_spec(*requests, constraints=()):
    """A request may be the name of a class."""
    found = [a_request(r) if isinstance(r, str) else r for r in requests]
    return {
        "devices": {"requests": found} | ({"constraints": [*constraints]} if constraints else {})
    }


def a_template(name, *requests, namespace="ns", constraints=()):
    return {
        "apiVersion": API,
        "kind": "ResourceClaimTemplate",
        "metadata": {"name": name, "namespace": namespace, "uid": f"uid-{name}"},
        "spec": {"spec": a_claim_spec(*requests, constraints=constraints)},
    }


def a_claim(name, *requests, namespace="ns", devices=None, node="", users=(), **meta):
    """`devices`: of the driver's pool of `node`, that it has already."""
    raw = {
        "apiVersion": API,
        "kind": "ResourceClaim",
        "metadata": {"name": name, "namespace": namespace, "uid": f"uid-{name}", **meta},
        "spec": a_claim_spec(*(requests or ("gpu",))),
    }
    if devices is not None:
        results = [
            {"request": "r", "driver": DRIVER, "pool": node, "device": device} for device in devices
        ]
        field = {"key": "metadata.name", "operator": "In", "values": [node]}
        raw["status"] = {
            "allocation": {
                "devices": {"results": results},
                "nodeSelector": {"nodeSelectorTerms": [{"matchFields": [field]}]},
            },
            "reservedFor": [{"resource": "pods", "name": uid, "uid": uid} for uid in users],
        }
    return raw
