"""Random pods: what they take of a node, and which nodes they accept."""

from support.random_terms import NAMESPACES, pod_labels, some

CHIP = "example.com/chip"
GENERATIONS = ("1", "2", "3", "7", "03", "old")
"""Values of a node label that Gt and Lt compare."""
TAINT_KEYS = ("dedicated", "gpu", "maintenance")
TAINT_VALUES = ("a", "b", "")
EFFECTS = ("NoSchedule", "NoExecute", "PreferNoSchedule")

_ASKED = {
    "cpu": ("100m", "0.5", "1", "1500m", "2", "0"),
    "memory": ("128Mi", "500M", "1Gi", "2e9", "3Gi"),
    "ephemeral-storage": ("1Gi", "10G"),
}
_MUCH = {"cpu": ("2500m", "3", "4", "5", "6"), "memory": ("4Gi", "5G", "8Gi")}
"""Near what is left of a node, so that a small error shows."""
_PORTS = (80, 443, 8080)
_ADDRESSES = ("", "0.0.0.0", "127.0.0.1", "10.0.0.7")


def a_pod(rng, name, *, asks):
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": rng.choice(NAMESPACES),
            "labels": pod_labels(rng, asks=asks),
        },
        "spec": {"containers": [{"name": "c0", "image": "x"}]},
    }


# -- what they take -------------------------------------------------------------------------------


def add_resources(rng, spec, *, share):
    """`share`: of the containers that get some; each kind of container now and then."""
    containers = spec["containers"]
    if rng.random() < 0.3:
        containers.append({"name": "c1", "image": "x"})
    started = []
    for number in range(rng.choice((0, 0, 1, 2))):
        started.append({"name": f"i{number}", "image": "x"})
        if rng.random() < 0.5:
            started[-1]["restartPolicy"] = "Always"
    if started:
        spec["initContainers"] = started
    for container in (*containers, *started):
        if rng.random() < share:
            container["resources"] = _amounts(rng, much=0.4 if container in started else 0.1)
    if len(containers) + len(started) <= 2 and rng.random() < 0.1:
        # At least what two containers can ask for.
        kind = rng.choice(("requests", "limits"))
        spec["resources"] = {kind: {"cpu": "12", "memory": "16Gi"}}


def _amounts(rng, *, much):
    """`much`: share of containers that ask for much of something."""
    asked = some(rng, {name: rng.choice(amounts) for name, amounts in _ASKED.items()}, 0.5)
    if rng.random() < much:
        resource = rng.choice(list(_MUCH))
        asked[resource] = rng.choice(_MUCH[resource])
    chips = {CHIP: str(rng.randint(0, 2))} if rng.random() < 0.2 else {}
    if rng.random() < 0.2:
        return {"limits": asked | chips}  # they become the requests
    return {"requests": asked | chips, "limits": chips}


def add_ports(rng, spec):
    """Ports of one container differ, and those of the host network are the container's."""
    host = rng.random() < 0.25
    if host:
        spec["hostNetwork"] = True
    ports = []
    for port in rng.sample(_PORTS, rng.choice((1, 1, 2))):
        one = {"containerPort": port, "protocol": rng.choice(("TCP", "TCP", "UDP"))}
        if not host or rng.random() < 0.5:
            one |= {"hostPort": port, "hostIP": rng.choice(_ADDRESSES)}
        ports.append(one)
    containers = spec["containers"]
    if rng.random() < 0.2:
        sidecar = {"name": "s0", "image": "x", "restartPolicy": "Always"}
        containers = spec["initContainers"] = [*spec.get("initContainers", []), sidecar]
    containers[-1]["ports"] = ports


def add_resize(rng, spec):
    """The status of a pod whose node reports other amounts than its spec asks for."""
    container = spec["containers"][0]
    container["resources"] = _amounts(rng, much=0.6)
    amounts = {"cpu": rng.choice(_ASKED["cpu"][:5]), "memory": rng.choice(_ASKED["memory"])}
    in_force = {**amounts, "cpu": rng.choice((amounts["cpu"], *_MUCH["cpu"][:2]))}
    reported = {
        "name": container["name"],
        "image": "x",
        "imageID": "",
        "ready": True,
        "restartCount": 0,
        "allocatedResources": amounts,
        "resources": {"requests": in_force},
    }
    status = {"phase": "Running", "containerStatuses": [reported]}
    if rng.random() < 0.5:
        why = rng.choice(("Infeasible", "Deferred"))
        status["conditions"] = [{"type": "PodResizePending", "status": "True", "reason": why}]
    return status


# -- where they may go ----------------------------------------------------------------------------


def a_toleration(rng):
    if rng.random() < 0.15:
        return {"operator": "Exists"}
    if rng.random() < 0.2:
        return {"key": "node.kubernetes.io/unschedulable", "operator": "Exists"}
    toleration = {"key": rng.choice(TAINT_KEYS)}
    if rng.random() < 0.6:
        toleration["operator"] = "Exists"
    else:
        toleration |= some(rng, {"operator": "Equal", "value": rng.choice(TAINT_VALUES)}, 0.8)
    if rng.random() < 0.4:
        toleration["effect"] = rng.choice(EFFECTS)
    return toleration


def add_selectors(rng, spec, nodes):
    if rng.random() < 0.3:
        spec["nodeSelector"] = some(
            rng, {"zone": rng.choice("abc"), "pool": rng.choice(("default", "accelerated"))}, 0.6
        )
    if rng.random() < 0.8:
        terms = [_node_term(rng, nodes) for _ in range(rng.choice((1, 1, 2, 3)))]
        required = {"nodeSelectorTerms": terms}
        spec["affinity"] = {
            "nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}
        }


def _node_term(rng, nodes):
    term = {}
    if rng.random() < 0.9:
        expressions = [_node_expression(rng) for _ in range(rng.choice((1, 1, 2)))]
        term["matchExpressions"] = expressions
    if rng.random() < 0.2:
        operator = rng.choice(("In", "NotIn", "NotIn"))
        field = {"key": "metadata.name", "operator": operator, "values": [rng.choice(nodes)]}
        term["matchFields"] = [field]
    return term


def _node_expression(rng):
    operator = rng.choice(("In", "In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"))
    if operator in ("Gt", "Lt"):
        key = rng.choice(("generation", "generation", "generation", "zone"))
        return {"key": key, "operator": operator, "values": [rng.choice(GENERATIONS)]}
    values = {
        "zone": ["a", "b", "c"],
        "rack": ["r1", "r2", "r3", "r4"],
        "pool": ["default", "accelerated"],
        "generation": ["1", "2", "old"],
    }
    key = rng.choice(list(values))
    expression = {"key": key, "operator": operator}
    if operator in ("In", "NotIn"):
        expression["values"] = rng.sample(values[key], rng.randint(1, 2))
    return expression
