"""What takes room past kube-scheduler is seen at once: the group is repaired, and no node gives the
same room away twice.
"""

import json

import pytest
from e2e.resizing import let_resize, resize

from lws_placement.engine.base.quantities import parse_quantity
from lws_placement.errors import LocalClusterError

SMALL = {"cpu": "1"}


def amounts(pod, resource):
    containers = pod["spec"]["containers"]
    asked = (c.get("resources", {}).get("requests", {}).get(resource, "0") for c in containers)
    return sum(map(parse_quantity, asked))


def overfull(scene):
    """Nodes on which pods request more than there is."""
    nodes = {o["metadata"]["name"]: o for o in scene.get("nodes", labels=f"pool={scene.namespace}")}
    pods = [p for p in scene.get("pods") if p["spec"].get("nodeName") in nodes]
    found = set()
    for name, node in nodes.items():
        for resource in ("cpu", "google.com/tpu"):
            there = parse_quantity(node["status"]["allocatable"].get(resource, "0"))
            taken = sum(amounts(p, resource) for p in pods if p["spec"]["nodeName"] == name)
            if taken > there:
                found.add((name, resource))
    return found


def small(scene, name, **spec):
    container = {"name": "c", "image": "x", "resources": {"requests": SMALL}}
    meta = {"name": name, "namespace": scene.namespace}
    spec = {"containers": [container], **spec}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec}


def free_cpu(scene, node):
    """What no pod requests there, though members may have been promised it."""
    found = scene.one("node", node)["status"]["allocatable"]["cpu"]
    pods = [p for p in scene.get("pods") if p["spec"].get("nodeName") == node]
    return parse_quantity(found) - sum(amounts(p, "cpu") for p in pods)


def repaired(scene, taken):
    scene.wait(lambda: scene.pin("llm-0") not in ("", taken), "it is pinned to another node")
    scene.installation.start_scheduler()
    scene.wait_bound(3, "llm")
    assert scene.broken_promises() == []
    assert overfull(scene) == set()


def test_a_foreign_pod_that_is_resized_where_a_member_is_to_come(pinned):
    taken = pinned.pin("llm-0")
    pinned.create(small(pinned, "grows", nodeName=taken))
    let_resize(pinned, "grows")
    assert pinned.pin("llm-0") == taken
    resize(pinned.kubectl, "grows", str(free_cpu(pinned, taken)))
    repaired(pinned, taken)


def test_a_binding_that_somebody_else_creates_where_a_member_is_to_come(pinned):
    taken = pinned.pin("llm-0")
    foreign = small(pinned, "bound", schedulerName="nobody")
    foreign["spec"]["containers"][0]["resources"]["limits"] = {"google.com/tpu": "4"}
    pinned.create(foreign)
    target = {"apiVersion": "v1", "kind": "Node", "name": taken}
    body = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": "bound"}, "target": target}
    path = f"/api/v1/namespaces/{pinned.namespace}/pods/bound/binding"
    pinned.cluster.kubectl("create", "--raw", path, "-f", "-", stdin=json.dumps(body))
    assert pinned.node_of("bound") == taken
    repaired(pinned, taken)


def test_a_pod_that_names_its_node_where_a_member_is_to_come(pinned):
    taken = pinned.pin("llm-0")
    pinned.create(pinned.filler(taken))
    repaired(pinned, taken)


def test_ephemeral_containers_take_nothing(scene):
    """The API server lets them request nothing, and a member with one stays where it is."""
    scene.pool(1)
    scene.create(scene.lws())
    scene.wait_bound(4, "llm")
    uids = scene.uids("llm")

    def debug(**more):
        container = {"name": "debug", "image": "x", "targetContainerName": "model", **more}

        def with_it(pod):
            pod["spec"]["ephemeralContainers"] = [container]

        scene.replace("pod", "llm-0-1", with_it, subresource="/ephemeralcontainers")

    with pytest.raises(LocalClusterError, match="resources"):
        debug(resources={"requests": {"cpu": "64"}})
    debug()
    pod = scene.one("pod", "llm-0-1")
    assert [c["name"] for c in pod["spec"]["ephemeralContainers"]] == ["debug"]
    assert scene.uids("llm") == uids
    assert scene.broken_promises() == []
