"""Members that need devices (Dynamic Resource Allocation), on the whole stack. The part of drivers,
the ResourceSlices, is the test's; the controller of claims is real.
"""

import pytest
from e2e.resources import path_of
from support.devices import a_claim, a_class, a_slice, a_template

ONE = {"google.com/tpu": "1"}
FROM_TEMPLATE = {"resourceClaims": [{"name": "gpu", "resourceClaimTemplateName": "gpu"}]}
SHARED = {"resourceClaims": [{"name": "gpu", "resourceClaimName": "gpu"}]}


@pytest.fixture
def devices(scene):
    """Makes a class of the scene and slices of its driver, and removes them after the test."""
    driver = f"{scene.namespace}.example.com"
    made = []

    def make(*nodes, each=1, resource=""):
        found = [a_class(scene.namespace, driver=driver, resource=resource)]
        found += [a_slice(f"{driver}-{n}", each, node=n, driver=driver) for n in nodes]
        for obj in found:
            obj["metadata"].pop("uid")
        scene.create(*found)
        made.extend(found)

    yield make
    for obj in made:
        kind, name = obj["kind"].lower(), obj["metadata"]["name"]
        scene.cluster.api.delete(path_of(kind, "", name))


def in_namespace(scene, obj):
    obj["metadata"]["namespace"] = scene.namespace
    obj["metadata"].pop("uid")
    return obj


def a_template_of(scene):
    return in_namespace(scene, a_template("gpu", scene.namespace))


def nodes_of(scene):
    return [p["spec"]["nodeName"] for p in scene.bound()]


def test_one_device_on_each_node_means_one_member_on_each_node(scene, devices):
    first, second = scene.pool(2, nodes_each=3)[:3], scene.nodes[3:]
    devices(first[0], *second)
    scene.create(a_template_of(scene), scene.lws(size=3, resources=ONE, pod=FROM_TEMPLATE))
    scene.wait_bound(3)
    assert scene.places() == {("llm", "0"): {"n01"}}
    assert sorted(nodes_of(scene)) == sorted(second)
    assert scene.notes("Moving") == []


def test_a_group_waits_for_a_device_in_use_and_is_woken(scene, devices):
    (node,) = scene.pool(1, nodes_each=1)
    devices(node)
    user = scene.filler(node, {}, "user")
    del user["spec"]["nodeName"]
    user["spec"]["resourceClaims"] = FROM_TEMPLATE["resourceClaims"]
    scene.create(a_template_of(scene), user)
    scene.wait(lambda: scene.one("pod", "user")["spec"].get("nodeName"), "the device is in use")
    scene.create(scene.lws(size=1, resources=ONE, pod=FROM_TEMPLATE))
    (event, *_) = scene.wait(lambda: scene.events("WaitingForDomain"), "it waits")
    assert "too few free devices for its claim gpu" in event["message"]
    scene.kubectl("delete", "pod", "user", "--wait=false")
    scene.wait_bound(1)


def test_members_that_share_a_claim_are_on_one_node(scene, devices):
    names = scene.pool(2, nodes_each=2)
    devices(names[3])
    claim = in_namespace(scene, a_claim("gpu", scene.namespace))
    scene.create(claim, scene.lws(size=3, resources=ONE, pod=SHARED))
    scene.wait_bound(3)
    assert set(nodes_of(scene)) == {names[3]}
    assert scene.notes("Moving") == []


def test_an_extended_resource_is_served_by_devices(scene, devices):
    names = scene.pool(2, nodes_each=2)
    resource = f"{scene.namespace}.example.com/gpu"
    devices(names[0], names[2], names[3], each=2, resource=resource)
    scene.create(scene.lws(size=2, resources=ONE | {resource: "2"}))
    scene.wait_bound(2)
    assert sorted(nodes_of(scene)) == names[2:]
    assert scene.notes("Moving") == []


def test_a_restarted_group_gets_its_devices_again(scene, devices):
    names = scene.pool(1, nodes_each=2)
    devices(*names)
    scene.create(a_template_of(scene), scene.lws(size=2, resources=ONE, pod=FROM_TEMPLATE))
    scene.wait_bound(2)
    before = scene.uids()
    scene.kubectl("delete", "pod", "llm-0", "--wait=false")
    scene.wait(lambda: not before & scene.uids(), "all pods are new")
    scene.wait_bound(2)
    assert sorted(nodes_of(scene)) == names
