"""Random device classes, ResourceSlices and claims, and pods that use them.

Allocated claims are reserved for bound pods that do not end, so that no controller frees them.
Names end with the seed.
"""

from dataclasses import dataclass

from support.devices import a_claim, a_class, a_device, a_request, a_slice, a_template
from support.random_terms import NAMESPACES, some

LOCAL, SHARED = "gpu.example.com", "nic.example.com"
_TAINT = {"key": "sick", "value": "x", "effect": "NoSchedule"}
_ALLOCATED = "2026-01-01T00:00:00Z"
"""kube-scheduler adds what is missing, and the API server refuses that."""
_POLICY = {"default": "10Gi", "validRange": {"min": "10Gi", "max": "40Gi", "step": "5Gi"}}


@dataclass(frozen=True)
class Devices:
    """`objects`: to be created before all pods, `allocated`: after those that are bound, with the
    name of a bound pod for each.
    """

    objects: tuple = ()
    allocated: tuple = ()
    claims: dict = None
    """Namespace -> names of claims."""
    templates: dict = None
    resource: str = ""
    """An extended resource that a class serves."""


def random_devices(rng, seed, names, bound):
    """`bound`: pods that stay on their nodes."""
    classes = [f"any-{seed}", f"large-{seed}", f"nic-{seed}"]
    large = f'device.attributes["{LOCAL}"].?model.orValue("") == "large"'
    resource = f"example.com/served-{seed}"
    objects = [
        a_class(classes[0], driver=LOCAL, resource=resource),
        a_class(classes[1], large, driver=LOCAL),
        a_class(classes[2], driver=SHARED),
    ]
    slices = [one for name in names for one in _on_node(rng, seed, name)]
    slices += _shared(rng, seed, names)
    claims, templates = {}, {}
    for namespace in NAMESPACES:
        claims[namespace] = [f"claim-{n}" for n in range(4)]
        templates[namespace] = [f"template-{n}" for n in range(5)]
        for name in claims[namespace]:
            objects.append(_claim(rng, classes, name, namespace))
        for name in templates[namespace]:
            requests, constraints = _asked(rng, classes)
            objects.append(
                a_template(name, *requests, namespace=namespace, constraints=constraints)
            )
    allocated = list(_allocated(rng, slices, bound, classes))
    for claim, _ in allocated:
        claims[claim["metadata"]["namespace"]].append(claim["metadata"]["name"])
    objects += slices
    for obj in (*objects, *(claim for claim, _ in allocated)):
        obj["metadata"].pop("uid", None)
    return Devices(tuple(objects), tuple(allocated), claims, templates, resource)


def add_devices(rng, raw, devices):
    """To a pod that asks."""
    spec, namespace = raw["spec"], raw["metadata"]["namespace"]
    if rng.random() < 0.3:
        resources = spec["containers"][0].setdefault("resources", {})
        amount = {devices.resource: str(rng.randint(1, 2))}
        for field in ("limits", "requests"):
            resources[field] = resources.get(field, {}) | amount
        if rng.random() < 0.7:
            return
    names = rng.sample(devices.claims[namespace], 2)
    found = []
    for number in range(rng.choice((1, 1, 2))):
        if rng.random() < 0.6:
            name = rng.choice(devices.templates[namespace])
            found.append({"name": f"d{number}", "resourceClaimTemplateName": name})
        else:
            found.append({"name": f"d{number}", "resourceClaimName": names[number]})
    spec["resourceClaims"] = found


def add_served(rng, node, devices):
    """A few nodes offer the extended resource themselves."""
    if rng.random() < 0.15:
        for field in ("capacity", "allocatable"):
            node["status"][field] = node["status"][field] | {devices.resource: "2"}


# -- what drivers publish -------------------------------------------------------------------------


def _on_node(rng, seed, node):
    match rng.random():
        case x if x < 0.15:
            return []
        case x if x < 0.3:
            return _partitioned(rng, seed, node)
        case x if x < 0.45:
            found = [_shareable(f"d{n}") for n in range(rng.choice((1, 2)))]
        case _:
            found = [_device(rng, f"d{n}") for n in range(rng.randint(1, 4))]
    name = f"{node}-{seed}"
    if rng.random() < 0.15:
        half = len(found) // 2
        parts = [a_slice(f"{name}-0", *found[half:], node=node, driver=LOCAL, count=2)]
        if half and rng.random() < 0.7:
            parts.append(a_slice(f"{name}-1", *found[:half], node=node, driver=LOCAL, count=2))
        return parts
    return [a_slice(name, *found, node=node, driver=LOCAL)]


def _device(rng, name):
    more = some(rng, {"numa": rng.choice((0, 1)), "model": rng.choice(("small", "large"))}, 0.9)
    return a_device(name, **more, **some(rng, {"taints": [_TAINT]}, 0.15))


def _shareable(name):
    capacity = {"hbm": {"value": "40Gi", "requestPolicy": _POLICY}}
    return a_device(name, model="large", capacity=capacity, allowMultipleAllocations=True)


def _partitioned(rng, seed, node):
    """Whole and half devices that share counters."""
    counters = [{"name": "chip", "counters": {"units": {"value": "4"}}}]
    devices = [
        a_device(
            f"p{number}",
            model="large" if units == 4 else "small",
            numa=0,
            consumesCounters=[{"counterSet": "chip", "counters": {"units": {"value": str(units)}}}],
        )
        for number, units in enumerate(rng.sample((4, 2, 2, 1, 3), 3))
    ]
    name = f"{node}-{seed}"
    return [
        a_slice(f"{name}-c", node=node, driver=LOCAL, count=2, sharedCounters=counters),
        a_slice(f"{name}-p", *devices, node=node, driver=LOCAL, count=2),
    ]


def _shared(rng, seed, names):
    """Pools that several nodes reach."""
    where = {"key": "zone", "operator": "In", "values": rng.sample("abc", rng.choice((1, 2)))}
    term = {"nodeSelectorTerms": [{"matchExpressions": [where]}]}
    nics = [a_device(f"n{n}", numa=n % 2) for n in range(rng.randint(1, 3))]
    found = [a_slice(f"zone-{seed}", *nics, driver=SHARED, pool="zone", nodeSelector=term)]
    if rng.random() < 0.3:
        found.append(a_slice(f"all-{seed}", a_device("e0", numa=0), driver=SHARED, allNodes=True))
    if rng.random() < 0.5:
        own = [a_device(f"o{n}", nodeName=name) for n, name in enumerate(rng.sample(names, 3))]
        one = a_slice(f"own-{seed}", *own, driver=SHARED, perDeviceNodeSelection=True)
        found.append(one)
    return found


# -- claims ---------------------------------------------------------------------------------------


def _claim(rng, classes, name, namespace):
    requests, constraints = _asked(rng, classes)
    raw = a_claim(name, *requests, namespace=namespace)
    if constraints:
        raw["spec"]["devices"]["constraints"] = constraints
    return raw


def _asked(rng, classes):
    """Requests and constraints."""
    requests = [_request(rng, classes, f"r{n}") for n in range(rng.choice((1, 1, 1, 2)))]
    constraints = []
    if rng.random() < 0.2:
        kind = rng.choice(("matchAttribute", "distinctAttribute"))
        constraints.append({kind: f"{LOCAL}/{rng.choice(('numa', 'model'))}"})
    return requests, constraints


def _request(rng, classes, name):
    if rng.random() < 0.2:
        options = [
            {"name": f"o{n}", "deviceClassName": rng.choice(classes[:2])} | more
            for n, more in enumerate(({"count": rng.choice((2, 3))}, {}))
        ]
        return {"name": name, "firstAvailable": options}
    return a_request(
        rng.choice((*classes, classes[0])), *_selectors(rng), name=name, **_fields(rng)
    )


def _selectors(rng):
    own = f'device.attributes["{LOCAL}"]'
    chosen = (
        f'"numa" in {own} && {own}.numa == 0',
        f'has({own}.model) && {own}.model in ["small", "medium"]',
        f'!("numa" in {own}) || {own}.numa > 0',
        f'{own}.?model.orValue("none").startsWith("l")',
        f'has(device.capacity["{LOCAL}"].hbm) && '
        f'device.capacity["{LOCAL}"].hbm.compareTo(quantity("40Gi")) >= 0',
        f"cel.bind(own, {own}, !has(own.numa) || own.numa == 1)",
    )
    return [rng.choice(chosen)] if rng.random() < 0.35 else []


def _fields(rng):
    match rng.random():
        case x if x < 0.2:
            fields = {"count": 2}
        case x if x < 0.3:
            fields = {"allocationMode": "All"}
        case x if x < 0.4:
            fields = {"capacity": {"requests": {"hbm": rng.choice(("5Gi", "11Gi", "41Gi"))}}}
        case _:
            fields = {}
    toleration = {"key": "sick", "operator": "Exists"}
    return fields | some(rng, {"tolerations": [toleration]}, 0.4)


def _allocated(rng, slices, bound, classes):
    """Claims that have a device already, each with the pod that it serves."""
    there = [
        (one["spec"], device)
        for one in slices
        for device in one["spec"].get("devices", ())
        if not device.get("allowMultipleAllocations")
    ]
    for number, (spec, device) in enumerate(rng.sample(there, min(len(there), len(there) // 3))):
        pod = rng.choice(bound)
        raw = a_claim(f"used-{number}", classes[0], namespace=pod["metadata"]["namespace"])
        result = {"request": "r", "driver": spec["driver"], "pool": spec["pool"]["name"]}
        results = [result | {"device": device["name"]}]
        allocation = {"devices": {"results": results}, "allocationTimestamp": _ALLOCATED}
        home = spec.get("nodeName") or device.get("nodeName")
        if home:
            field = {"key": "metadata.name", "operator": "In", "values": [home]}
            allocation["nodeSelector"] = {"nodeSelectorTerms": [{"matchFields": [field]}]}
        elif "nodeSelector" in spec:
            allocation["nodeSelector"] = spec["nodeSelector"]
        raw["status"] = {"allocation": allocation}
        yield raw, pod["metadata"]["name"]


def canary_devices(seed):
    """A class, a slice of the node `canary-SEED`, and a claim in namespace `canary`: the last of
    their kinds.
    """
    name = f"canary-{seed}"
    objects = [
        a_class(name, driver="canary.example.com"),
        a_slice(name, "d0", node=name, driver="canary.example.com"),
        a_claim(name, name, namespace="canary"),
    ]
    for obj in objects:
        obj["metadata"].pop("uid")
    return objects
